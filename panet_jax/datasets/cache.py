"""A cache of resized images: each is decoded once, not in every episode."""

import concurrent.futures
import os
from pathlib import Path

import numpy as np
from tqdm import tqdm

from panet_jax.datasets.prepare import locked_folder
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.source import Sample
from panet_jax.errors import InputError
from panet_jax.images.resize import resize

IMAGES, LABELS = 'images.npy', 'labels.npy'


def cached(source: Prepared, size: int) -> 'Cached':
    """A Source of resized images, which are written beside the prepared list the first time.

    The cache is two memory-mapped arrays, images [n, size, size, 3] and labels [n, size, size] uint8: 0.7 GB for a
    thousand images of 417 x 417 pixels.

    Args:
        source: the images at their own sizes.
        size: side of the resized images in pixels.

    Returns:
        The Source.

    Raises:
        InputError: there is too little room, or the folder cannot be written to.
    """
    folder = source.folder / f'resized-{size}'
    shapes = {IMAGES: (len(source), size, size, 3), LABELS: (len(source), size, size)}
    with locked_folder(folder):
        if not _is_complete(folder, shapes):
            _write(source, size, folder, shapes)
    return Cached(source, folder)


def _is_complete(folder, shapes):
    """Whether both arrays exist, have the right shape and are not cut off."""
    try:
        return all(np.load(folder / name, mmap_mode='r').shape == shape for name, shape in shapes.items())
    except (OSError, ValueError, EOFError):
        return False


class Cached:
    """A Source of images that have been resized.

    Args:
        source: the Source of the original images, which also provides names, classes and instances.
        folder: folder of images.npy and labels.npy.
    """

    def __init__(self, source: Prepared, folder: Path):
        self._source, self._folder = source, folder
        # Plain arrays over the mapped files: indexing a numpy.memmap is slower.
        self._images, self._labels = (np.asarray(np.load(folder / name, mmap_mode='r')) for name in (IMAGES, LABELS))
        self.classes, self.presence, self.areas = source.classes, source.presence, source.areas
        self.skipped, self.fingerprint = source.skipped, source.fingerprint
        self.class_lists, self.shortened = source.class_lists, source.shortened
        self.instances, self.scribbles, self.name = source.instances, source.scribbles, source.name

    def __reduce__(self):
        return Cached, (self._source, self._folder)  # a worker of the loader maps the files itself

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        return Sample(self._images[index], self._labels[index])


def _write(source, size, folder, shapes):
    # The names are fixed, so that the files of a killed run are overwritten.
    temporary = {name: folder / f'.{name}.tmp' for name in shapes}
    try:
        images, labels = (_allocate(temporary[name], shape) for name, shape in shapes.items())

        def write(index):
            images[index], labels[index] = resize(source[index], size)

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(tqdm(pool.map(write, range(len(source))), f'resizing to {size}', len(source), disable=None))
        images.flush()
        labels.flush()
        for name, path in temporary.items():
            path.replace(folder / name)
    except OSError as error:
        raise InputError(
            f'the cache of resized images needs {sum(map(np.prod, shapes.values())) / 1e9:.1f} GB in {folder} '
            f'({error.strerror or error}); make room, or leave out {{data.cache}}.'
        ) from error
    finally:
        for path in temporary.values():
            Path(path).unlink(missing_ok=True)


def _allocate(path, shape):
    """A new memory-mapped array. Its disk space is reserved now: later a full disk would kill the process."""
    array = np.lib.format.open_memmap(path, 'w+', np.uint8, shape)
    if hasattr(os, 'posix_fallocate'):  # not on macOS
        with open(path, 'r+b') as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array
