"""Where images and masks come from.

open (a configuration -> a Source, which gives images by index), shapes (drawn images); custom, voc, coco (layouts of
files), prepare and prepared (lists written once, and their Sources), check, folds, official (downloads), cache.
"""
