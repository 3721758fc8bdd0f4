"""Where images and masks come from.

open (a configuration -> a Source, which gives images by index), source (its interface), shapes (drawn images).

Layouts of files: layout (their interface), custom (finds the one of a user's folder), mask_folders (images/ and masks/), voc,
label_map (CVAT), coco, yolo, label_studio, labelme; outlines (of the last three), files (in folders or archives).

prepare and prepared (lists written once, and their Sources), superseded (such lists that are outdated), check, folds,
official (downloads), cache.
"""
