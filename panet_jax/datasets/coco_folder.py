"""A folder in COCO's format: images and one json of instances, polygons and RLE."""

import json
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from panet_jax.datasets.source import Sample, list_folder, read_image
from panet_jax.episode import IGNORE
from panet_jax.errors import InputError


class CocoFolder:
    """Images with instance annotations of one json as a random-access Source.

    Classes are the json's categories in the order of their ids: 1..80 for COCO. Instances are painted
    in the json's order, later ones on top, as the reference does; crowd regions are void where no
    object is.

    Args:
        root: folder with `annotations/` and images.
        split: 'train2014' reads annotations/instances_train2014.json and train2014/ (or
            images/train2014/, or images/); the bare name of a json, such as 'instances', works too.
    """

    def __init__(self, root, split):
        path = _find_annotations(Path(root), split)
        content = _read_json(path)
        self._folder = _find_images(Path(root), split)
        categories = sorted(content['categories'], key=lambda category: category['id'])
        self.classes = tuple(category['name'] for category in categories)
        if not 0 < len(self.classes) < IGNORE:
            raise InputError(f'{path} has {len(self.classes)} categories; wanted 1 to {IGNORE - 1}.')
        numbers = {category['id']: number for number, category in enumerate(categories, 1)}
        by_image = {image['id']: [] for image in content['images']}
        for annotation in content['annotations']:
            if annotation['image_id'] not in by_image or annotation['category_id'] not in numbers:
                raise InputError(
                    f'annotation {annotation["id"]} of {path} names an image or a category that is not in it.'
                )
            by_image[annotation['image_id']].append((numbers[annotation['category_id']], annotation))
        # Images without any object can be neither support nor query.
        self._images = [image for image in content['images'] if by_image[image['id']]]
        self._annotations = [by_image[image['id']] for image in self._images]
        self.presence = np.zeros((len(self._images), len(self.classes)), bool)
        for index, annotations in enumerate(self._annotations):
            for number, annotation in annotations:
                self.presence[index, number - 1] |= not annotation.get('iscrowd', 0)
        self._check_files()

    def __len__(self):
        return len(self._images)

    def __getitem__(self, index):
        path = self._folder / self._images[index]['file_name']
        image = np.asarray(read_image(path).convert('RGB'))
        label, _ = self._paint(index)
        if image.shape[:2] != label.shape:
            raise InputError(
                f'{path} is {image.shape[1::-1]} pixels but the json says {label.shape[::-1]}; mend or remove it.'
            )
        return Sample(image, label)

    def instances(self, index):
        """[H, W] int32: 0 for no object or crowd, else the annotation's place in the image, from 1."""
        return self._paint(index)[1]

    def name(self, index):
        """The image's file name without ending, such as 000000253452."""
        return Path(self._images[index]['file_name']).stem

    def _paint(self, index):
        shape = self._images[index]['height'], self._images[index]['width']
        label, instances, crowd = np.zeros(shape, np.uint8), np.zeros(shape, np.int32), np.zeros(shape, bool)
        for place, (number, annotation) in enumerate(self._annotations[index], 1):
            mask = self._decode(annotation, shape)
            if annotation.get('iscrowd', 0):
                crowd |= mask
            else:
                label[mask], instances[mask] = number, place
        label[crowd & (label == 0)] = IGNORE
        return label, instances

    def _decode(self, annotation, shape):
        """Polygons, uncompressed or compressed RLE -> [H, W] bool, by COCO's own code."""
        segmentation = annotation['segmentation']
        try:
            if isinstance(segmentation, list) or isinstance(segmentation['counts'], list):
                segmentation = coco_mask.frPyObjects(segmentation, *shape)
            if isinstance(segmentation, list):
                segmentation = coco_mask.merge(segmentation)
            mask = coco_mask.decode(segmentation).astype(bool)
        except Exception as error:  # pycocotools raises bare Exceptions
            raise InputError(f'the segmentation of annotation {annotation["id"]} cannot be read ({error}).') from error
        if mask.shape != shape:
            raise InputError(
                f'the RLE of annotation {annotation["id"]} is {mask.shape}, its image {shape} (height, width).'
            )
        return mask

    def _check_files(self):
        there = list_folder(self._folder)
        missing = [
            image['file_name']
            for image in self._images
            if image['file_name'] not in there and not (self._folder / image['file_name']).is_file()
        ]
        if missing:
            raise InputError(
                f'{len(missing)} of {len(self)} images are not in {self._folder}, the first is {missing[0]}.'
            )


def _find_annotations(root, split):
    folder = root / 'annotations'
    if not folder.is_dir():
        raise InputError(f"--config.data.root must be a folder in COCO's layout, but there is no {str(folder)!r}.")
    for path in (folder / f'instances_{split}.json', folder / f'{split}.json'):
        if path.is_file():
            return path
    there = ', '.join(sorted(path.name for path in folder.glob('*.json'))) or 'none'
    raise InputError(
        f'no instances_{split}.json in {folder}; files there: {there}. Choose with --config.data.train_split= and '
        '--config.data.test_split=.'
    )


def _find_images(root, split):
    for folder in (root / split, root / 'images' / split, root / 'images'):
        if folder.is_dir():
            return folder
    raise InputError(
        f'the images of {split!r} were looked for in {root / split}, {root / "images" / split} and {root / "images"}.'
    )


def _read_json(path):
    try:
        content = json.loads(path.read_text())
        for part, fields in (('images', ('id', 'file_name', 'height', 'width')), ('categories', ('id', 'name'))):
            _check_fields(content[part], part, fields)
        _check_fields(content['annotations'], 'annotations', ('id', 'image_id', 'category_id', 'segmentation'))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is not a json of COCO's instances ({type(error).__name__}: {error}).") from error
    return content


def _check_fields(entries, part, fields):
    for entry in entries:
        for field in fields:
            if field not in entry:
                raise KeyError(f'{field} in {part}')
