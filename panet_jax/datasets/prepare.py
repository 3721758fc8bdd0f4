"""Prepares an image list once: checks it, and writes it as ArrayRecord with a builder of tensorflow-datasets.

TensorFlow itself is not needed.
"""

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from absl import logging as absl_logging
from PIL import Image
from tqdm import tqdm

from panet_jax.datasets.layout import Layout
from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.locks import holding
from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

LOGGER = logging.getLogger(__name__)
VERSION = '1.2.0'  # version of the format; lists of another version are prepared again
DISK_FULL = os.strerror(errno.ENOSPC)
SPLIT = 'images'  # the one split of a prepared list
THREADS = min(8, 2 * (os.cpu_count() or 1))


class PreparedImages(tfds.core.GeneratorBasedBuilder):
    """A tensorflow-datasets builder of one image list; example i is image i of the list.

    Its metadata:
        classes: names of the classes.
        names, digests, areas: for each image its name, a digest, and [[class, pixels], ...] of the classes it shows.
        class_lists: {class: indices of its images, in the order of the authors' lists}.
        shortened: the classes whose list lacks images because they were skipped.
        skipped: [name, reason] of the unusable images.
        origin: the folder of the files, the name of the list, and whether unreadable images were left out.

    Args:
        dataset: name of the data set, such as 'pascal5i'.
        layout: the Layout to read.
        skip_unreadable: whether images that cannot be read, or whose masks are wrong, are left out.
        origin: {'root', 'list'}, folder of the files and name of the list.
        keywords: keywords of tensorflow-datasets.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(self, dataset: str, layout: Layout, skip_unreadable: bool, origin: dict[str, str], **keywords: Any):
        self.name = dataset  # the default of tensorflow-datasets is the name of the class
        self._layout, self._skip, self._origin = layout, skip_unreadable, origin
        super().__init__(file_format='array_record', **keywords)

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                'name': tfds.features.Text(),
                'image': tfds.features.Image(),
                'label': tfds.features.Image(shape=(None, None, 1), encoding_format='png'),
                # As in COCO's panoptic PNGs, number = red + 256 green: tensorflow-datasets cannot read 16 bits.
                'instances': tfds.features.Image(encoding_format='png'),
                'scribbles': tfds.features.Text(),  # a PNG of 16 bits, or empty
            }
        )
        metadata = tfds.core.MetadataDict(
            classes=list(self._layout.classes),
            **{name: [] for name in ('names', 'digests', 'areas', 'skipped', 'shortened')},
            class_lists={},
            origin=self._origin | {'skip_unreadable': self._skip},
        )
        return tfds.core.DatasetInfo(builder=self, features=features, metadata=metadata, disable_shuffling=True)

    def _split_generators(self, _):
        return {SPLIT: self._generate_examples()}

    def _generate_examples(self):
        metadata, names = self.info.metadata, self._layout.names
        for name, outcome in tqdm(
            in_threads(self._example, names, THREADS), f'preparing {self.name}', len(names), unit='image', disable=None
        ):
            if isinstance(outcome, InputError):
                metadata['skipped'].append([name, str(outcome)])
                continue
            example, areas, digest = outcome
            yield len(metadata['names']), example
            for part, value in (('names', name), ('areas', areas), ('digests', digest)):
                metadata[part].append(value)
        if not metadata['names']:
            raise InputError(
                f'no image can be used; {len(names)} were skipped, the first because {metadata["skipped"][0][1]}'
            )
        indices = {name: index for index, name in enumerate(metadata['names'])}
        for number, images in self._layout.class_lists().items():
            metadata['class_lists'][str(number)] = [indices[name] for name in images if name in indices]
            metadata['shortened'] += [number] * any(name not in indices for name in images)

    def _example(self, name):
        try:
            return checked_example(self._layout, name)
        except InputError as error:
            if self._skip:
                return error
            raise InputError(
                f'{str(error).rstrip(".")}. To leave out such images type {{data.skip_unreadable=True}}.'
            ) from error


def checked_example(layout: Layout, name: str) -> tuple[dict, list, str]:
    """Reads one image with its masks and checks that they fit.

    Args:
        layout: the Layout of the list.
        name: name of the image.

    Returns:
        The example as PreparedImages keeps it; [[class, pixels], ...] of the classes it shows; and a digest of the
        bytes of the photograph and the values of the masks, the same on any machine.

    Raises:
        InputError: a file is damaged or wrong; the message names it.
    """
    image, label, instances, scribbles = layout.record(name)
    decode_photo(image, layout.where(name), label.shape)
    colors = np.stack([instances % 256, instances // 256, 0 * instances], -1).astype(np.uint8)
    numbers, pixels = np.unique(label, return_counts=True)
    areas = [[int(c), int(n)] for c, n in zip(numbers, pixels, strict=True) if 0 < c <= len(layout.classes)]
    masks = {
        'label': _png(label),
        'instances': _png(colors),
        'scribbles': b'' if scribbles is None else _png(scribbles),
    }
    return {'name': name, 'image': image, **masks}, areas, _digest(image, label, instances, scribbles)


def _digest(image, *masks):
    digest = hashlib.sha256(image)
    for mask in masks:
        digest.update(b'' if mask is None else json.dumps(mask.shape).encode() + mask.tobytes())
    return digest.hexdigest()[:16]


def fingerprint(layout: Layout, skip_unreadable: bool = False) -> str:
    """A hash of the sizes and times of the files of a list.

    Args:
        layout: the Layout of the list.
        skip_unreadable: whether unreadable images are left out.

    Returns:
        Eight hexadecimal digits.
    """
    content = json.dumps([layout.stamps(), skip_unreadable], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class PreparedPlace:
    """The place of a prepared list.

    Attributes:
        home: folder of all prepared data sets.
        dataset: name of the data set.
        split: name of the list.
        tag: distinguishes lists of the same name, such as a `fingerprint`.
    """

    home: Path
    dataset: str
    split: str
    tag: str

    @property
    def config_name(self) -> str:
        """The name of the list in tensorflow-datasets."""
        return f'{self.split}-{self.tag}'

    @property
    def folder(self) -> Path:
        """HOME/DATASET/SPLIT-TAG/VERSION."""
        return Path(self.home) / self.dataset / self.config_name / VERSION


def prepare(layout: Layout, place: PreparedPlace, skip_unreadable: bool = False, root: str | Path = '') -> Path:
    """Writes the images of a list, unless that was done before.

    Several processes may call it at once, and it may be killed: an incomplete list is never taken for a complete one.

    Args:
        layout: the Layout to read.
        place: the place to write to.
        skip_unreadable: whether images that cannot be read, or whose masks are wrong, are left out.
        root: folder of the files, for the metadata; '' is the official archives.

    Returns:
        The folder of the list.

    Raises:
        InputError: an image or mask is damaged or wrong, or the disk is full.
    """
    folder = place.folder
    if is_prepared(folder):
        return folder
    with locked_folder(folder.parent):
        if not is_prepared(folder):
            for unfinished in folder.parent.glob('*incomplete*'):  # left by a run that was killed
                shutil.rmtree(unfinished)
            _build(layout, place, skip_unreadable, {'root': str(root), 'list': place.split})
    return folder


def _build(layout, place, skip_unreadable, origin):
    config = tfds.core.BuilderConfig(name=place.config_name)
    with _quiet():
        builder = PreparedImages(
            place.dataset, layout, skip_unreadable, origin, data_dir=str(place.home), config=config
        )
        try:
            builder.download_and_prepare()
        except (OSError, RuntimeError) as error:
            # ArrayRecord raises errors of the system as RuntimeErrors.
            if isinstance(error, RuntimeError) and DISK_FULL not in str(error):
                raise
            raise _write_error(error, place.home) from error


def is_prepared(folder: str | Path) -> bool:
    """Whether a list is complete; tensorflow-datasets renames the folder only then.

    Args:
        folder: folder of the list.

    Returns:
        True or False.
    """
    return (Path(folder) / 'dataset_info.json').is_file()


def _png(array):
    """The bytes of a PNG: [H, W] or [H, W, 3] uint8, or [H, W] uint16."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'png', compress_level=3)
    return file.getvalue()


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Keeps other processes out of a folder; waits for one that is writing there.

    Args:
        folder: the folder; it is made if it does not exist.

    Yields:
        None, while the lock is held.

    Raises:
        InputError: the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f'{folder} cannot be made ({error.strerror}); name another place with {{data.prepared_dir=FOLDER}}.'
        ) from error

    def announce():
        LOGGER.warning('Another process is writing %s; waiting for it.', folder)

    with holding(folder / '.lock', busy=announce):
        yield


@contextlib.contextmanager
def _quiet():
    """Silences the messages and bars of tensorflow-datasets; the program has its own."""
    tfds.disable_progress_bar()
    verbosity = absl_logging.get_verbosity()
    absl_logging.set_verbosity(absl_logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        absl_logging.set_verbosity(verbosity)


def _write_error(error, home):
    free = shutil.disk_usage(home).free
    return InputError(
        f'could not write to {home} ({DISK_FULL if DISK_FULL in str(error) else error}; {gigabytes(free)} free); make room, or '
        'name another place with {data.prepared_dir=FOLDER}.'
    )
