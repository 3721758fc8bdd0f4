"""COCO's layout: images, and a json of instances as polygons and RLE."""

import contextlib
import functools
import json
import re
from pathlib import Path

import numpy as np
from pycocotools import mask as coco_mask

from panet_jax.datasets.files import Archive, Files, Folder
from panet_jax.datasets.layout import Record
from panet_jax.errors import InputError
from panet_jax.method.episode import IGNORE

FIELDS = {
    'images': {'id': int | str, 'file_name': str, 'height': int, 'width': int},
    'categories': {'id': int, 'name': str},
    'annotations': {'id': int | str, 'image_id': int | str, 'category_id': int, 'segmentation': object},
}
IMAGE_ROOT = re.compile(rb'"image_root"\s*:\s*("(?:[^"\\]|\\.)*")')
HEAD = 4096  # bytes at the beginning of a json, which contain image_root if there is one
YEARS = ('2014', '2017')
NAMED, TEXT_AFTER = b'"file_name"', re.compile(rb'\s*:\s*("(?:[^"\\]|\\.)*")')
JSONS = ('annotations/instances_{}.json', 'annotations/{}.json', '{}.json')


class CocoLayout:
    """Images with instance annotations, unpacked or as COCO's archives.

    Classes are the categories of the json in the order of their ids: 1..80 for COCO. Where instances overlap, the
    smaller one is on top; in the order of the json a dining table often hides the objects on it. A crowd is void, except
    where another object covers it. A list is a json: 'train2014' means annotations/instances_train2014.json with the
    images in train2014/, images/train2014/ or images/. The bare name of a json, such as 'instances', works too.

    Args:
        root: folder with `annotations/` and images, or with the archives.
        split: name of the list to open.

    Raises:
        InputError: there is no such list.
    """

    def __init__(self, root: str | Path, split: str):
        self._root, self._split = Path(root), split
        self._files = _open(self._root, split)
        self._json = self._files.find(*(place.format(split) for place in JSONS))
        if self._json is None:
            raise InputError(
                f"wanted COCO's annotations/instances_{split}.json in {str(root)!r}; lists there: "
                f'{", ".join(_lists(self._files)) or "none"}. Choose with {{data.root=}}, '
                '{data.train_split=|data.test_split=}.'
            )
        folders = (_noted_folder(self._root / self._json), f'{split}', f'images/{split}', 'images')
        self._folder = next((folder for folder in folders if folder and self._files.listing(folder)), '')

    @functools.cached_property
    def classes(self) -> tuple[str, ...]:
        """The categories in the order of their ids.

        Raises:
            InputError: there are too many, or two have the same name or id.
        """
        names = tuple(category['name'] for category in self._categories)
        if not 0 < len(names) < IGNORE:
            raise InputError(
                f'{self._where} has {len(names)} categories; wanted 1 to {IGNORE - 1}, as a label is stored in one byte; leave '
                'out those that you do not need.'
            )
        if len(set(names)) < len(names) or len({c['id'] for c in self._categories}) < len(names):
            raise InputError(f'{self._where} has two categories with the same name or id.')
        return names

    @functools.cached_property
    def names(self) -> list[str]:
        """File names, without ending, of the images that show an object; no episode can use the others.

        Raises:
            InputError: an image file is missing, or no image has an annotation.
        """
        photos = [image['file_name'] for image, _ in self._annotated.values()]
        missing = [photo for photo in photos if not self._files.find(self._path(photo))]
        if missing or not photos:
            raise InputError(
                f'{len(missing)} of the {len(photos)} images of {self._where} are not in '
                f'{self._folder or self._root}/, the first is {missing[0]}.'
                if photos
                else f'{self._where} has no image with an annotation.'
            )
        return list(self._annotated)

    def record(self, name: str) -> Record:
        """Reads the bytes of an image and paints its instances into masks.

        Args:
            name: name of the image.

        Returns:
            The Record.

        Raises:
            InputError: the file or its annotation is damaged.
        """
        image, annotations = self._annotated[name]
        shape = image['height'], image['width']
        label, instances, crowd = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16), np.zeros(shape, bool)
        masks = [self._decode(annotation, shape) for _, annotation in annotations]
        for index in sorted(range(len(masks)), key=lambda index: -masks[index].sum()):  # the smallest is painted last
            number, annotation = annotations[index]
            if annotation.get('iscrowd', 0):
                crowd |= masks[index]
            else:
                label[masks[index]], instances[masks[index]] = number, index + 1
        label[crowd & (label == 0)] = IGNORE
        return Record(self._files.read(self._path(image['file_name'])), label, instances)

    def where(self, name: str) -> str:
        """The name of an image's file in messages."""
        return self._files.where(self._path(self._annotated[name][0]['file_name']))

    def stamps(self) -> list:
        """Names, sizes and times of the json, of the photographs that it names, and of the archives."""
        photos = _photos_in(self._files.read(self._json)) if self._files.unpacked(self._folder) else ()
        return self._files.stamps([self._json, *map(self._path, photos)])

    def class_lists(self) -> dict[int, list[str]]:
        """The images of each category in the order of pycocotools' getImgIds, which the authors draw from.

        That is the order of a Python set of the image ids, filled in the order of the annotations.

        Returns:
            {class number: names of its images}.
        """
        ids = {number: [] for number in range(1, 1 + len(self.classes))}
        numbers = {category['id']: number for number, category in enumerate(self._categories, 1)}
        for annotation in self._content['annotations']:
            ids[numbers[annotation['category_id']]].append(annotation['image_id'])
        names = {image['id']: name for name, (image, _) in self._annotated.items()}
        # The order of a set of texts differs between processes.
        ordered = dict.fromkeys if any(isinstance(image, str) for image in names) else set
        return {number: [names[image] for image in ordered(images)] for number, images in ids.items()}

    @functools.cached_property
    def _content(self):
        return _parse(self._files.read_text(self._json), self._where)

    @functools.cached_property
    def _categories(self):
        return sorted(self._content['categories'], key=lambda category: category['id'])

    @functools.cached_property
    def _annotated(self):
        """{name: (image, [(class number, annotation)])} of the images that show an object."""
        numbers = {category['id']: number for number, category in enumerate(self._categories, 1)}
        by_image = {image['id']: [] for image in self._content['images']}
        for annotation in self._content['annotations']:
            if annotation['image_id'] not in by_image or annotation['category_id'] not in numbers:
                raise InputError(
                    f'annotation {annotation["id"]} of {self._where} names an image or a category that is not in it.'
                )
            by_image[annotation['image_id']].append((numbers[annotation['category_id']], annotation))
        shown = [image for image in self._content['images'] if by_image[image['id']]]
        named = {str(Path(image['file_name']).with_suffix('')): (image, by_image[image['id']]) for image in shown}
        if len(named) < len(shown) or len(by_image) < len(self._content['images']):
            raise InputError(f'{self._where} has two images with the same id or file_name.')
        return named

    @property
    def _where(self):
        return self._files.where(self._json)

    def _path(self, photo):
        return f'{self._folder}/{photo}' if self._folder else photo

    def _decode(self, annotation, shape):
        """Polygons, uncompressed or compressed RLE -> [H, W] bool, by COCO's own code."""
        segmentation = annotation['segmentation']
        try:
            if isinstance(segmentation, list):
                _check_polygons(segmentation, shape)
                segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, *shape))
            else:
                segmentation = coco_mask.frPyObjects(_checked_rle(segmentation, shape), *shape)
            return coco_mask.decode(segmentation).astype(bool)
        except Exception as error:  # pycocotools raises bare Exceptions
            raise InputError(
                f'the segmentation of annotation {annotation["id"]} in {self._where} cannot be read '
                f'({type(error).__name__}: {error}).'
            ) from error


def _noted_folder(path):
    """The folder of the photographs relative to the json, which our exports write at its beginning; '' if it is missing."""
    if not path.is_file():  # in an archive
        return ''
    with open(path, 'rb') as file:
        noted = IMAGE_ROOT.search(file.read(HEAD))
    return json.loads(noted[1]) if noted else ''


def _check_polygons(polygons, shape):
    """Refuses lists that pycocotools would read as a box, and polygons that would fill the memory."""
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise ValueError(f'a polygon has {len(polygon)} numbers; wanted x and y of three points or more')
        if not all(abs(coordinate) <= 2 * max(shape) for coordinate in polygon):  # false for NaN too
            raise ValueError(f'a polygon leaves its image of {shape} pixels (height, width)')


def _checked_rle(rle, shape):
    """An RLE with its runs as a list. They must cover the image: pycocotools leaves other pixels uninitialized."""
    if tuple(rle['size']) != shape:
        raise ValueError(f'it is for {rle["size"]} pixels, its image is {shape} (height, width)')
    runs = rle['counts'] if isinstance(rle['counts'], list) else _unpack_runs(rle['counts'])
    if min(runs) < 0 or sum(runs) != shape[0] * shape[1]:
        raise ValueError(f'its runs cover {sum(runs)} pixels of {shape[0] * shape[1]}')
    return {'size': list(shape), 'counts': runs}


def _unpack_runs(text):
    """Unpacks COCO's compressed RLE: six bits a character; from the fourth run on, differences to the run before last."""
    runs, value, shift = [], 0, 0
    for code in text.encode():
        code -= ord('0')
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (code & 16) << shift - 4 if code & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    return runs


def coco_lists(root: str | Path) -> tuple[str, ...]:
    """The image lists of a folder in COCO's layout.

    Args:
        root: the folder.

    Returns:
        The names of COCO's own lists, such as 'train2014', and of other jsons of instances.
    """
    return _lists(_open(Path(root), None))


def _open(root, split):
    """The files of a folder and of its archives; an archive of images is opened only for the list of its name."""
    archives = [root / f'{part}{year}.zip' for year in YEARS for part in ('annotations_trainval', 'train', 'val')]
    needed = [path for path in archives if path.name.startswith('annotations') or path.stem == split]
    return Files([Folder(root), *(Archive(path) for path in needed if path.is_file())])


def _lists(files):
    names = [name for name in files.listing('annotations') if name.endswith('.json')]
    names += [name for name in files.listing('') if name.endswith('.json') and _may_be_coco(files.read_text(name))]
    stems = {Path(name).stem.removeprefix('instances_') for name in names}
    return tuple(sorted(stem for stem in stems if not stem.startswith(('captions_', 'person_keypoints_', 'panoptic_'))))


def _may_be_coco(text):
    """Whether a json may be COCO's; Label Studio's is a list of tasks with annotations."""
    return text.lstrip()[:1] == '{' and '"annotations"' in text


def _photos_in(content):
    """The values of file_name in the bytes of a json. Parsing all of COCO's would take ten seconds and gigabytes."""
    photos, position = [], content.find(NAMED)
    with contextlib.suppress(ValueError):  # `_parse` reports a broken json
        while position >= 0:
            if text := TEXT_AFTER.match(content, position + len(NAMED)):
                photos.append(json.loads(text[1]))
            position = content.find(NAMED, position + 1)
    return photos


def _parse(text, where):
    try:
        content = json.loads(text)
        for part, fields in FIELDS.items():
            for entry in content[part]:
                for field, types in fields.items():
                    if not isinstance(entry[field], types) or isinstance(entry[field], bool):
                        raise TypeError(f'{field} of {part} is {entry[field]!r:.40}')
        if any(not 0 < image[side] < 65536 for image in content['images'] for side in ('height', 'width')):
            raise ValueError('height and width must be 1 to 65535')
        if not all(Path(image['file_name']).name for image in content['images']):
            raise ValueError('a file_name is empty')
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{where} is not a json of COCO's instances ({type(error).__name__}: {error}).") from error
    return content
