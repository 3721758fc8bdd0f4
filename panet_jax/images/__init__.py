"""One photograph or mask, in NumPy.

decode (files), class_masks (what a mask means), objects (connected regions of a label map), resize, scribbles (generated
from masks), overlays (and their colors), legend, sample (an image with its labels).
"""
