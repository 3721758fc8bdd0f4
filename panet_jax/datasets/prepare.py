"""Preparing an image list once: checked, and written as ArrayRecord by a tensorflow-datasets builder.

TensorFlow itself is not needed, and not imported.
"""

import contextlib
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

from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.locks import holding
from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

VERSION = '1.2.0'  # of the format below; another one is prepared anew
FULL = os.strerror(errno.ENOSPC)
SPLIT = 'images'  # the one split of a prepared list
THREADS = min(8, 2 * (os.cpu_count() or 1))


class PreparedImages(tfds.core.GeneratorBasedBuilder):
    """A tensorflow-datasets builder of one image list; example i is image i of the list.

    Besides the examples it keeps, as metadata, the class names, the images' names, a digest of each, how
    many pixels of each class an image shows, in which order the authors' code draws them and which classes'
    images that order lacks some of, what was skipped, and where all of it came from.

    Args:
        dataset: name of the data set, such as 'pascal5i'.
        layout: a Layout.
        skip_unreadable: leave out images that cannot be read, or whose masks are wrong.
        origin: {'root', 'list'}, where the files lie and which list of them this is.
        keywords: tensorflow-datasets's own.
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
        kept, names = self.info.metadata, self._layout.names
        for name, outcome in tqdm(
            in_threads(self._example, names, THREADS), f'preparing {self.name}', len(names), unit='image', disable=None
        ):
            if isinstance(outcome, InputError):
                kept['skipped'].append([name, str(outcome)])
                continue
            example, areas, digest = outcome
            yield len(kept['names']), example
            for part, value in (('names', name), ('areas', areas), ('digests', digest)):
                kept[part].append(value)
        places = {name: place for place, name in enumerate(kept['names'])}
        for number, images in self._layout.class_lists().items():
            kept['class_lists'][str(number)] = [places[name] for name in images if name in places]
            kept['shortened'] += [number] * any(name not in places for name in images)
        if not kept['names']:
            raise InputError(
                f'no image can be used; {len(names)} were skipped, the first because {kept["skipped"][0][1]}'
            )

    def _example(self, name):
        try:
            return checked_example(self._layout, name)
        except InputError as error:
            if self._skip:
                return error
            raise InputError(
                f'{str(error).rstrip(".")}. To leave out such images type {{data.skip_unreadable=True}}.'
            ) from error


def checked_example(layout, name):
    """Reads one image with its masks and checks that they fit.

    Returns:
        The example as PreparedImages keeps it, [[class, pixels], ...] of the classes it shows, and a digest
        of the photograph's file and of the masks' values, the same on any machine.

    Raises:
        InputError: names the file that cannot be read, or is not what it should be.
    """
    image, label, instances, scribbles = layout.record(name)
    decode_photo(image, layout.where(name), label.shape)
    colours = np.stack([instances % 256, instances // 256, 0 * instances], -1).astype(np.uint8)
    numbers, pixels = np.unique(label, return_counts=True)
    shown = [[int(c), int(n)] for c, n in zip(numbers, pixels, strict=True) if 0 < c <= len(layout.classes)]
    masks = {
        'label': _png(label),
        'instances': _png(colours),
        'scribbles': b'' if scribbles is None else _png(scribbles),
    }
    return {'name': name, 'image': image, **masks}, shown, _digest(image, label, instances, scribbles)


def _digest(image, *masks):
    digest = hashlib.sha256(image)
    for mask in masks:
        digest.update(b'' if mask is None else json.dumps(mask.shape).encode() + mask.tobytes())
    return digest.hexdigest()[:16]


def fingerprint(layout, skip_unreadable=False):
    """Eight hexadecimal digits that change when a file of the layout does, by its size and time."""
    content = json.dumps([layout.stamps(), skip_unreadable], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:8]


def prepared_folder(home, dataset, split, tag):
    """Where a prepared list lies: HOME/DATASET/SPLIT-TAG/VERSION."""
    return Path(home) / dataset / f'{split}-{tag}' / VERSION


def prepare(layout, home, dataset, split, tag, skip_unreadable=False, root=''):
    """Writes a list's images, unless that was done before.

    Safe to call from several processes, and to kill: what is not complete is never taken for complete.

    Args:
        layout: a Layout.
        home: folder of prepared data sets.
        dataset, split: names.
        tag: tells this list from others of its name, as `fingerprint` does.
        skip_unreadable: leave out images that cannot be read, or whose masks are wrong.
        root: where the files lie, to be noted; '' is the official archives.

    Returns:
        The folder.
    """
    folder = prepared_folder(home, dataset, split, tag)
    if is_prepared(folder):
        return folder
    with locked_folder(folder.parent):
        if not is_prepared(folder):
            for rest in folder.parent.glob('*incomplete*'):  # of one that was killed
                shutil.rmtree(rest)
            config = tfds.core.BuilderConfig(name=f'{split}-{tag}')
            with _quiet():
                origin = {'root': str(root), 'list': split}
                builder = PreparedImages(dataset, layout, skip_unreadable, origin, data_dir=str(home), config=config)
                try:
                    builder.download_and_prepare()
                except (OSError, RuntimeError) as error:
                    # ArrayRecord raises a RuntimeError for what the system said.
                    if isinstance(error, RuntimeError) and FULL not in str(error):
                        raise
                    raise _write_error(error, home) from error
    return folder


def is_prepared(folder):
    """Whether a folder holds a complete list: tensorflow-datasets renames it when it is."""
    return (Path(folder) / 'dataset_info.json').is_file()


def _png(array):
    """The bytes of a PNG: [H, W] or [H, W, 3] uint8, or [H, W] uint16."""
    file = io.BytesIO()
    Image.fromarray(array).save(file, 'png', compress_level=3)
    return file.getvalue()


@contextlib.contextmanager
def locked_folder(folder):
    """Holds a folder, made if need be, against other processes; waits for one that has it."""
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
    """Without tensorflow-datasets's own announcements and bars: ours say it."""
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
        f'could not write to {home} ({FULL if FULL in str(error) else error}; {gigabytes(free)} free); make room, or '
        'name another place with {data.prepared_dir=FOLDER}.'
    )
