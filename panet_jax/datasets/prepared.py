"""A prepared image list as a random-access Source."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from panet_jax.datasets.prepare import SPLIT
from panet_jax.datasets.source import Sample
from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_mask, decode_photo
from panet_jax.images.scribbles import NO_SCRIBBLE, ROBOT_VERSION, draw_scribbles


class Prepared:
    """A Source of a list that `prepare` wrote. Images are decoded on demand.

    Args:
        folder: folder of the prepared list.

    Raises:
        InputError: the list is damaged.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        try:
            # Undecoded bytes: tensorflow-datasets decodes images differently if OpenCV is installed.
            raw = dict.fromkeys(('image', 'label', 'instances'), tfds.decode.SkipDecoding())
            builder = tfds.builder_from_directory(str(folder))
            self._examples = builder.as_data_source(SPLIT, decoders=raw)
            metadata = json.loads((self.folder / 'metadata.json').read_text())
        except (OSError, ValueError, KeyError, AssertionError, RuntimeError) as error:
            raise _damaged(folder, error) from error
        self.classes = tuple(metadata['classes'])
        self.skipped = [(name, reason) for name, reason in metadata['skipped']]
        self.class_lists = {int(c): np.array(images, int) for c, images in metadata['class_lists'].items()}
        self.shortened = frozenset(metadata['shortened'])
        self._names = metadata['names']
        self.fingerprint = _fingerprint(metadata)
        self.areas = np.zeros((len(self._names), len(self.classes)), np.int32)
        for index, areas in enumerate(metadata['areas']):
            for number, pixels in areas:
                self.areas[index, number - 1] = pixels
        self.presence = self.areas > 0

    def __len__(self):
        return len(self._names)

    def __getitem__(self, index):
        with self._reading(index) as (example, where):
            label = decode_mask(example['label'], where).astype(np.uint8)
            return Sample(decode_photo(example['image'], where, label.shape), label)

    def instances(self, index: int) -> np.ndarray:
        """[H, W] int32: 0 for no object or void, else the object's number within the image."""
        with self._reading(index) as (example, where):
            rgb = decode_photo(example['instances'], where).astype(np.int32)
            return rgb[..., 0] + 256 * rgb[..., 1]

    def scribbles(self, index: int, seed: int = 0) -> np.ndarray:
        """[H, W] uint16: scribbles of the data set, else generated from the masks and kept beside the data."""
        with self._reading(index) as (example, where):
            if example['scribbles']:
                return decode_mask(example['scribbles'], where, NO_SCRIBBLE)
        path = self.folder / f'scribbles-v{ROBOT_VERSION}-{seed}' / f'{index}.png'
        if path.exists():
            return decode_mask(path.read_bytes(), str(path), NO_SCRIBBLE)
        scribbles = draw_scribbles(self[index].label, self.instances(index), seed)
        if os.access(self.folder, os.W_OK):  # otherwise they are generated again the next time
            with replacing(path) as temporary:
                Image.fromarray(scribbles).save(temporary, 'png')
        return scribbles

    def name(self, index: int) -> str:
        """The name of an image in its data set."""
        return self._names[index]

    @contextlib.contextmanager
    def _reading(self, index):
        """An example, and its name in messages. Examples were checked when written, so an error here means damage."""
        try:
            yield self._examples[index], f'image {self._names[index]}'
        except (RuntimeError, ValueError, OSError) as error:  # InputError is a ValueError
            raise _damaged(self.folder, error) from error


def _fingerprint(metadata):
    """Twelve hexadecimal digits that depend on the content of images and masks, not on times and places of files."""
    content = [metadata[name] for name in ('classes', 'names', 'digests')]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]


def _damaged(folder, error):
    return InputError(f'the prepared data in {folder} are damaged ({error}); remove that folder, and run again.')
