"""Names of the formats, and of the files and folders that each writes, the main one last; nothing heavy is loaded for them."""

FORMATS = {
    'coco': ('annotations.json',),
    'yolo': ('labels', 'images', 'train.txt', 'val.txt', 'data.yaml'),
    'voc': ('JPEGImages', 'SegmentationObject', 'ImageSets', 'labelmap.txt', 'SegmentationClass'),
    'label-studio': ('label_studio.xml', 'label_studio.json'),
    'tiff': ('tiff',),
}
# Folders of copied photographs.
COPIES = {'yolo': 'images', 'voc': 'JPEGImages'}
