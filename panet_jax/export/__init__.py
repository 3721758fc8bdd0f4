"""Labels in files that other programs read.

formats (all of them, one after the other), names (of their files), labeled_image (what they are made of); coco, yolo, voc
(and CVAT), label_studio, tiff; polygons, photos (copies); records (the objects of each image, kept on disk).
"""
