"""VOC's layout with the user's classes, whose colors are in labelmap.txt: CVAT's Segmentation mask 1.1."""

import functools
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from panet_jax.datasets.mask_folders import ALL, BACKGROUND
from panet_jax.datasets.voc import LISTS, PHOTOS, VocLayout, voc_lists
from panet_jax.errors import InputError
from panet_jax.images.decode import open_image
from panet_jax.images.overlays import voc_color
from panet_jax.method.episode import IGNORE

LABEL_MAP = 'labelmap.txt'
VOID = 0xE0E0C0  # VOC's color of void


class LabelMapLayout(VocLayout):
    """A list of a folder in VOC's layout with labelmap.txt.

    A line of labelmap.txt is NAME:R,G,B:PARTS:ACTIONS. A mask is read by its colors, whether it is a palette or RGB.

    Args:
        root: folder of JPEGImages, or one above it.
        split: a list of ImageSets/Segmentation, or 'all' for the images of all lists.

    Raises:
        InputError: the folder has another layout, or labelmap.txt cannot be read.
    """

    def __init__(self, root: str | Path, split: str):
        super().__init__(root, split)
        colors = self._read_colors()
        self.classes = tuple(name for name in colors if name.lower() not in BACKGROUND)
        if not 0 < len(self.classes) < IGNORE:
            raise InputError(f'{self._where} names {len(self.classes)} classes; wanted 1 to {IGNORE - 1}.')
        self._numbers = {color: self.classes.index(name) + 1 for name, color in colors.items() if name in self.classes}
        background = [color for name, color in colors.items() if name not in self.classes]
        self._numbers |= {VOID: IGNORE, **dict.fromkeys(background or [0], 0)}

    @functools.cached_property
    def names(self) -> list[str]:
        """The names of the images of the list.

        Raises:
            InputError: there is no such list, it is empty, or files of its images are missing.
        """
        if self._split != ALL or ALL in voc_lists(self._root):
            return super().names
        lists = (LabelMapLayout(self._root, split).names for split in voc_lists(self._root))
        return list(dict.fromkeys(name for names in lists for name in names))

    @property
    def _where(self):
        return self._files.where(LABEL_MAP)

    def _read_colors(self):
        """{name of a class: its color as one number}."""
        lines = (line.strip() for line in self._files.read_text(LABEL_MAP).splitlines())
        parts = [line.split(':') for line in lines if line and not line.startswith('#')]
        try:
            # Datumaro omits a color that is VOC's own.
            texts = {name: color or ','.join(map(str, voc_color(n))) for n, (name, color, *_) in enumerate(parts)}
            return {name: _color(text) for name, text in texts.items()}
        except ValueError as error:
            raise InputError(f'{self._where} cannot be read ({error}); a line is NAME:R,G,B::.') from error

    def _read_list(self, split):
        """The names of a list, one a line. A name with spaces may be in quotes; the rest of a line, as in VOC, is ignored."""
        lines = (line.strip() for line in self._files.read_text(f'{LISTS}/{split}.txt').splitlines())
        return list(dict.fromkeys(self._name_in(line) for line in lines if line))

    def _name_in(self, line):
        if line.startswith('"'):
            return line.split('"')[1]
        return line if self._find(PHOTOS, line) else PurePosixPath(line.split()[0]).stem

    def _read_label(self, name):
        colors, where = _colors_of(self._files.read(name), self._files.where(name)), self._files.where(name)
        used, places = np.unique(colors, return_inverse=True)
        if unknown := [color for color in used.tolist() if color not in self._numbers]:
            rgb = tuple(unknown[0].to_bytes(3, 'big'))
            raise InputError(f'{where} has the color {rgb}, which is not in {LABEL_MAP}; add its class there.')
        return np.array([self._numbers[color] for color in used.tolist()])[places.reshape(colors.shape)]

    def _read_instances(self, name):
        image = open_image(self._files.read(name), self._files.where(name))
        if image.mode in ('P', 'L'):
            return np.asarray(image).astype(np.uint16)
        colors = _colors_of(self._files.read(name), self._files.where(name))
        used, places = np.unique(np.where(colors == VOID, 0, colors), return_inverse=True)
        numbers = np.arange(len(used)) + (used[0] != 0)
        return numbers[places.reshape(colors.shape)].astype(np.uint16)


def _color(text: str) -> int:
    red, green, blue = (int(part) for part in text.split(','))
    return red << 16 | green << 8 | blue


def _colors_of(data: bytes, where: str) -> np.ndarray:
    """[H, W] int, the color of each pixel as one number."""
    image: Image.Image = open_image(data, where)
    rgb = np.asarray(image.convert('RGB')).astype(int)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]
