"""Where images and masks come from.

open (a configuration -> a Source, which gives images by index), shapes (drawn images); custom (finds the layout of a
user's folder), masks, voc, label_map (CVAT), coco, yolo, label_studio, labelme (layouts), outlines (of the last three),
prepare and prepared (lists written once, and their Sources), check, folds, official (downloads), cache.
"""
