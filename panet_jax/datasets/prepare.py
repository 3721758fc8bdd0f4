"""An image list is prepared once: checked, and written as ArrayRecord by a builder of tensorflow-datasets.

TensorFlow itself is neither needed nor imported.
"""

import contextlib
import dataclasses
import errno
import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging
from PIL import Image
from tqdm import tqdm

from panet_jax.datasets.record import Layout
from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.locks import holding
from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

VERSION = '1.2.0'  # of the format below; lists of another version are prepared again
DISK_FULL = os.strerror(errno.ENOSPC)
SPLIT = 'images'  # the one split of a prepared list
THREADS = min(8, 2 * (os.cpu_count() or 1))


class PreparedImages(tfds.core.GeneratorBasedBuilder):
    """A tensorflow-datasets builder of one image list; example i is image i of the list.

    Its metadata hold
        classes: names of the classes.
        names, digests, areas: of each image the name, a digest, and [[class, pixels], ...] of the classes it shows.
        class_lists: {class: indices of its images in the order in which the authors' code draws them}.
        shortened: the classes whose list lacks images, because they were skipped.
        skipped: [name, reason] of the images that cannot be used.
        origin: where the files lay, and which list of them this is.

    Args:
        dataset: name of the data set, such as 'pascal5i'.
        layout: the Layout to read.
        skip_unreadable: whether images that cannot be read, or whose masks are wrong, are left out.
        origin: {'root', 'list'}, where the files lie and which list of them this is.
        keywords: keywords of tensorflow-datasets.
    """

    VERSION = tfds.core.Version(VERSION)

    def __init__(self, dataset, layout, skip_unreadable, origin, **keywords):
        self.name = dataset  # tensorflow-datasets takes the class's name otherwise
        self._layout, self._skip, self._origin = layout, skip_unreadable, origin
        super().__init__(file_format='array_record', **keywords)

    def _info(self):
        features = tfds.features.FeaturesDict(
            {
                'name': tfds.features.Text(),
                'image': tfds.features.Image(),
                'label': tfds.features.Image(shape=(None, None, 1), encoding_format='png'),
                # As COCO's panoptic PNGs: number = red + 256 green. tensorflow-datasets reads no 16 bits.
                'instances': tfds.features.Image(encoding_format='png'),
                'scribbles': tfds.features.Text(),  # a PNG of 16 bits, or nothing
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

    Returns:
        The example as PreparedImages keeps it, [[class, pixels], ...] of the classes it shows, and a digest
        of the photograph's file and of the masks' values, the same on any machine.

    Raises:
        InputError: names the file that cannot be read, or is not what it should be.
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
    """Eight hexadecimal digits that change when a file of the layout does, by its size and time."""
    content = json.dumps([layout.stamps(), skip_unreadable], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


@dataclasses.dataclass(frozen=True)
class PreparedPlace:
    """Where a prepared list goes.

    Attributes:
        home: folder of all prepared data sets.
        dataset: name of the data set.
        split: name of the list.
        tag: tells this list from others of its name, as `fingerprint` does.
    """

    home: Path
    dataset: str
    split: str
    tag: str

    @property
    def config_name(self) -> str:
        """What tensorflow-datasets calls the list."""
        return f'{self.split}-{self.tag}'

    @property
    def folder(self) -> Path:
        """HOME/DATASET/SPLIT-TAG/VERSION."""
        return Path(self.home) / self.dataset / self.config_name / VERSION


def prepare(layout: Layout, place: PreparedPlace, skip_unreadable: bool = False, root: str | Path = '') -> Path:
    """Writes a list's images, unless that was done before.

    Several processes may call it at once, and it may be killed: what is not complete is never taken for complete.

    Args:
        layout: the Layout to read.
        place: where to write.
        skip_unreadable: whether images that cannot be read, or whose masks are wrong, are left out.
        root: folder of the files, to be noted; '' is the official archives.

    Returns:
        The folder.
    """
    folder = place.folder
    if is_prepared(folder):
        return folder
    with locked_folder(folder.parent):
        if not is_prepared(folder):
            for unfinished in folder.parent.glob('*incomplete*'):  # of a run that was killed
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
            # ArrayRecord raises a RuntimeError for what the system said.
            if isinstance(error, RuntimeError) and DISK_FULL not in str(error):
                raise
            raise _write_error(error, place.home) from error


def is_prepared(folder: str | Path) -> bool:
    """Whether a folder holds a complete list: tensorflow-datasets gives it its name when it is."""
    return (Path(folder) / 'dataset_info.json').is_file()


def _png(array):
    """The bytes of a PNG: [H, W] or [H, W, 3] uint8, or [H, W] uint16."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'png', compress_level=3)
    return file.getvalue()


@contextlib.contextmanager
def locked_folder(folder):
    """Keeps other processes out of a folder, which is made if need be; waits for one that is writing there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f'{folder} cannot be made ({error.strerror}); name another place with {{data.prepared_dir=FOLDER}}.'
        ) from error

    def say():
        print(f'Another process is writing {folder}; waiting for it.', flush=True)

    with holding(folder / '.lock', busy=say):
        yield


@contextlib.contextmanager
def _quiet():
    """Silences the announcements and bars of tensorflow-datasets; the program has its own."""
    tfds.disable_progress_bar()
    verbosity = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.set_verbosity(verbosity)


def _write_error(error, home):
    free = shutil.disk_usage(home).free
    return InputError(
        f'could not write to {home} ({DISK_FULL if DISK_FULL in str(error) else error}; {gigabytes(free)} free); make room, or '
        'name another place with {data.prepared_dir=FOLDER}.'
    )
