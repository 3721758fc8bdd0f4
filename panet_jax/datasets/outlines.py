"""Photographs whose objects are outlined in files of other programs: YOLO, Label Studio, labelme."""

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from pycocotools import mask as coco_mask

from panet_jax.datasets.files import Files
from panet_jax.datasets.layout import Record
from panet_jax.errors import InputError
from panet_jax.method.episode import IGNORE


class Outlines(NamedTuple):
    """The photographs, classes and objects that a program's files describe.

    Attributes:
        classes: names of the classes.
        photos: {image name: file of the photograph} of the images that show an object.
        sources: {image name: file that outlines its objects}.
        masks: (name of an image, its (H, W)) -> [(class number from 1, [H, W] bool)], one pair for each object.
        lists: {list: names of its images}.
    """

    classes: tuple[str, ...]
    photos: Mapping[str, str]
    sources: Mapping[str, str]
    masks: Callable[[str, tuple[int, int]], list[tuple[int, np.ndarray]]]
    lists: Mapping[str, list[str]]


class OutlineLayout:
    """Photographs with the outlines of their objects, as a Layout. Where objects overlap, the smaller one is on top.

    Args:
        files: the files.
        outlines: the Outlines read from them.
        split: name of the list to open.
        where: name of the folder in errors.

    Raises:
        InputError: there is no such list, or it shows no object, or there are too many classes.
    """

    def __init__(self, files: Files, outlines: Outlines, split: str, where: str):
        if split not in outlines.lists:
            raise InputError(
                f'there is no list {split!r} in {where}; lists there: {", ".join(outlines.lists)}. Choose with '
                '{data.train_split=|data.test_split=}.'
            )
        if not outlines.lists[split]:
            raise InputError(f'no photograph of {split!r} in {where} has an outlined object.')
        if not 0 < len(outlines.classes) < IGNORE or len(set(outlines.classes)) < len(outlines.classes):
            raise InputError(f'{where} has {len(outlines.classes)} classes; wanted 1 to {IGNORE - 1} different ones.')
        self._files, self._outlines = files, outlines
        self.classes, self.names = tuple(outlines.classes), list(outlines.lists[split])

    def record(self, name: str) -> Record:
        """Reads the bytes of an image and paints its objects into masks.

        Args:
            name: name of the image.

        Returns:
            The Record.

        Raises:
            InputError: a file is damaged.
        """
        data = self._files.read(self._outlines.photos[name])
        shape = upright_shape(data, self.where(name))
        label, instances = np.zeros(shape, np.uint8), np.zeros(shape, np.uint16)
        objects = self._outlines.masks(name, shape)
        order = sorted(range(len(objects)), key=lambda index: -objects[index][1].sum())  # the smallest is painted last
        for index in order:
            number, mask = objects[index]
            label[mask], instances[mask] = number, index + 1
        return Record(data, label, instances)

    def where(self, name: str) -> str:
        """The name of an image's file in messages."""
        return self._files.where(self._outlines.photos[name])

    def stamps(self) -> list:
        """The classes, and names, sizes and times of the files of the images."""
        sources = {self._outlines.sources[name] for name in self.names}
        photos = {self._outlines.photos[name] for name in self.names}
        return [self.classes, self._files.stamps(sorted(sources | photos))]

    def class_lists(self) -> dict[int, list[str]]:
        """{}: no other code draws from such a folder, so there is no order to keep."""
        return {}


def upright_shape(data: bytes, where: str) -> tuple[int, int]:
    """The size of a photograph after its EXIF orientation is applied; it is not decoded.

    Args:
        data: content of the image file.
        where: the file's name in errors.

    Returns:
        (H, W).

    Raises:
        InputError: it is no image.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5  # width and height are exchanged
            return image.size if turned else image.size[::-1]
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f'{where} cannot be read as an image ({error}); replace it or leave it out.') from error


def polygon_mask(points: np.ndarray, shape: tuple[int, int], where: str) -> np.ndarray:
    """The pixels inside a polygon, by COCO's own code.

    Args:
        points: [P, 2] float, x and y in pixels; pixel x covers x..x+1.
        shape: (H, W) of the image.
        where: name of the polygon in errors.

    Returns:
        [H, W] bool.

    Raises:
        InputError: it has fewer than three points, or leaves the image.
    """
    if len(points) < 3:
        raise InputError(f'{where} has {len(points)} point(s); wanted three or more around an object.')
    if not (np.abs(points) <= 2 * max(shape)).all():  # false for NaN too
        raise InputError(f'{where} leaves its image of {shape[::-1]} pixels (width, height).')
    return coco_mask.decode(coco_mask.frPyObjects([np.ravel(points).tolist()], *shape))[..., 0].astype(bool)
