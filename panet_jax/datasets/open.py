"""Opens the Source of the section `data` of a configuration; prepares its image list first, unless that is done."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from panet_jax.datasets.cache import cached
from panet_jax.datasets.coco import CocoLayout
from panet_jax.datasets.custom import open_custom
from panet_jax.datasets.official import NEEDED, fetch_official
from panet_jax.datasets.prepare import PreparedPlace, fingerprint, is_prepared, prepare
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.shapes import Shapes
from panet_jax.datasets.source import Sample, Source
from panet_jax.datasets.superseded import Superseded, superseded
from panet_jax.datasets.voc import VocLayout
from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.paths import local_path
from panet_jax.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

__all__ = ['Prepared', 'Sample', 'Shapes', 'Source', 'open_source', 'prepare_list', 'superseded_lists']

LOGGER = logging.getLogger(__name__)
# The Layout of each data set, made from (folder, name of the list).
LAYOUTS = {'pascal5i': VocLayout, 'coco20i': CocoLayout, 'custom': open_custom}
OFFICIAL_TAG = 'official'  # tag of the lists that were prepared from the official archives


def open_source(data: 'ConfigDict', split: str, *, resized: bool = False) -> Source:
    """Opens an image list; prepares it first, unless that is done.

    Args:
        data: section `data` of a configuration, with name ('shapes', 'pascal5i', 'coco20i', 'custom'), root, prepared_dir,
            skip_unreadable, cache and size.
        split: name of the image list.
        resized: whether to use the cache of resized images, if data.cache is on.

    Returns:
        The Source.

    Raises:
        InputError: the data are missing or damaged.
    """
    if data.name == 'shapes':
        return Shapes(split, data.size)
    source = Prepared(prepare_list(data.name, split, data.root, data.prepared_dir, data.skip_unreadable))
    if source.skipped:
        LOGGER.warning(left_out(source, split))
    return cached(source, data.size) if resized and data.cache else source


def prepare_list(
    dataset: str, split: str, root: str | Path = '', home: str | Path = '', skip_unreadable: bool = False
) -> Path:
    """Prepares an image list, unless that was done before.

    Args:
        dataset: 'pascal5i', 'coco20i' or 'custom'.
        split: name of the list.
        root: folder of the data set; '' is the official archives, which are downloaded unless they are there.
        home: folder of prepared data sets; '' is the default of tensorflow-datasets.
        skip_unreadable: whether unreadable images are left out.

    Returns:
        The folder of the prepared list, for Prepared.

    Raises:
        InputError: there is no such data set or list, a file is damaged, or the disk is full.
    """
    if dataset not in LAYOUTS:
        raise InputError(f'data.name must be shapes, {", ".join(LAYOUTS)}, got {dataset!r}.')
    home = prepared_home(home)
    if root:
        layout = LAYOUTS[dataset](local_path(root, '{data.root}'), split)
        place = PreparedPlace(home, dataset, split, fingerprint(layout, skip_unreadable))
        return _prepare_and_remark(layout, place, skip_unreadable, Path(root).expanduser().resolve())
    if dataset not in NEEDED:
        raise InputError(f'{dataset} needs the folder of the data set; type {{data.root=FOLDER}}.')
    place = PreparedPlace(home, dataset, split, f'{OFFICIAL_TAG}-skipped' if skip_unreadable else OFFICIAL_TAG)
    if is_prepared(place.folder):  # the archives are not needed any more
        return place.folder
    fetch_official(dataset, split, downloads_folder(home))
    return _prepare_and_remark(LAYOUTS[dataset](downloads_folder(home), split), place, skip_unreadable, '')


def _prepare_and_remark(layout, place, skip_unreadable, root):
    """Prepares a list. If it is new, logs the size of the outdated ones."""
    is_new = not is_prepared(place.folder)
    folder = prepare(layout, place, skip_unreadable, root)
    if is_new and (old := superseded_lists(place.home)):
        size = gigabytes(sum(entry.size for entry in old))
        where = '' if place.home == prepared_home() else f' --prepared-dir={place.home}'
        LOGGER.warning(
            '%d outdated prepared list(s) take %s; panet-jax data clean%s removes them', len(old), size, where
        )
    return folder


def superseded_lists(home: str | Path) -> list[Superseded]:
    """The prepared lists that no run opens any more.

    Args:
        home: folder of prepared data sets.

    Returns:
        The lists, as from `superseded`.
    """

    def current_tag(dataset, origin):
        try:
            return fingerprint(LAYOUTS[dataset](Path(origin['root']), origin['list']), origin['skip_unreadable'])
        except (InputError, OSError):  # the files are gone
            return None

    return superseded(home, LAYOUTS, current_tag)


def left_out(source: Source, split: str) -> str:
    """A sentence on the unreadable images of a list.

    Args:
        source: the list; some of its images were skipped.
        split: its name.

    Returns:
        The sentence.
    """
    name, reason = source.skipped[0]
    total = len(source) + len(source.skipped)
    return f'{len(source.skipped)} of the {total} images of {split!r} are left out, the first is {name}: {reason}'


def prepared_home(home: str | Path = '') -> Path:
    """The folder of prepared data sets.

    Args:
        home: the folder as typed, or ''.

    Returns:
        `home`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets.

    Raises:
        InputError: it is in a bucket.
    """
    if home:
        return local_path(home, '{data.prepared_dir}')
    return local_path(os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'), '$TFDS_DATA_DIR')


def downloads_folder(home: str | Path) -> Path:
    """The folder of downloaded archives; a user may put existing archives there.

    Args:
        home: folder of prepared data sets.

    Returns:
        HOME/downloads/panet_jax.
    """
    return Path(home) / 'downloads' / 'panet_jax'
