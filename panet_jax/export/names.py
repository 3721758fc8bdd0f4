"""Names of the formats, and of the files and folders that each writes; nothing heavy is loaded for them."""

FORMATS = {
    'coco': ('annotations.json',),
    'yolo': ('labels', 'images', 'train.txt', 'val.txt', 'data.yaml'),
    'voc': ('JPEGImages', 'SegmentationClass', 'SegmentationObject', 'ImageSets', 'labelmap.txt'),
    'label-studio': ('label_studio.json', 'label_studio.xml'),
    'tiff': ('tiff',),
}
# Folders of copied photographs.
COPIES = {'yolo': 'images', 'voc': 'JPEGImages'}
