"""From what a configuration says of its data to a Source, which is prepared first where that is needed."""

import os
from pathlib import Path

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

__all__ = ['Prepared', 'Sample', 'Shapes', 'Source', 'open_source', 'prepare_list', 'superseded_lists']

# What reads the files of each data set, from (folder, name of the list).
LAYOUTS = {'pascal5i': VocLayout, 'coco20i': CocoLayout, 'custom': open_custom}
OFFICIAL_TAG = 'official'  # in the name of a list that was prepared from the official archives


def open_source(data, split: str, *, resized: bool = False) -> Source:
    """The Source that a configuration's `data` section names, prepared first where that is needed.

    Args:
        data: section with name ('shapes', 'pascal5i', 'coco20i', 'custom'), root, prepared_dir, skip_unreadable,
            cache and size.
        split: name of the image list.
        resized: whether the images may have the network's size, as data.cache keeps them.
    """
    if data.name == 'shapes':
        return Shapes(split, data.size)
    source = Prepared(prepare_list(data.name, split, data.root, data.prepared_dir, data.skip_unreadable))
    if source.skipped:
        print(left_out(source, split), flush=True)
    return cached(source, data.size) if resized and data.cache else source


def prepare_list(
    dataset: str, split: str, root: str | Path = '', home: str | Path = '', skip_unreadable: bool = False
) -> Path:
    """Prepares an image list unless that is done.

    Args:
        dataset: 'pascal5i', 'coco20i' or 'custom'.
        split: name of the list.
        root: folder of the data set's files; '' is the official archives, which are downloaded if need be.
        home: folder of prepared data sets; '' is where tensorflow-datasets keeps them.
        skip_unreadable: whether images that cannot be read are left out.

    Returns:
        The folder that Prepared opens.
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
    if is_prepared(place.folder):  # the archives need not be there any more
        return place.folder
    fetch_official(dataset, split, downloads_folder(home))
    return _prepare_and_remark(LAYOUTS[dataset](downloads_folder(home), split), place, skip_unreadable, '')


def _prepare_and_remark(layout, place, skip_unreadable, root):
    """Prepares a list; if it is new, says how much room is taken by lists that no run opens any more."""
    is_new = not is_prepared(place.folder)
    folder = prepare(layout, place, skip_unreadable, root)
    if is_new and (old := superseded_lists(place.home)):
        size = gigabytes(sum(entry.size for entry in old))
        where = '' if place.home == prepared_home() else f' --prepared-dir={place.home}'
        print(
            f'{len(old)} prepared list(s) of before take {size}; panet-jax data clean{where} removes them', flush=True
        )
    return folder


def superseded_lists(home: str | Path) -> list[Superseded]:
    """The prepared lists in `home` that no run opens any more."""

    def current_tag(dataset, origin):
        try:
            return fingerprint(LAYOUTS[dataset](Path(origin['root']), origin['list']), origin['skip_unreadable'])
        except (InputError, OSError):  # the files are gone
            return None

    return superseded(home, LAYOUTS, current_tag)


def left_out(source: Source, split: str) -> str:
    """A sentence on the images that a Source lacks."""
    name, why = source.skipped[0]
    total = len(source) + len(source.skipped)
    return f'{len(source.skipped)} of the {total} images of {split!r} are left out, the first is {name}: {why}'


def prepared_home(home: str | Path = '') -> Path:
    """Where prepared data sets are: `home`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    if home:
        return local_path(home, '{data.prepared_dir}')
    return local_path(os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'), '$TFDS_DATA_DIR')


def downloads_folder(home: str | Path) -> Path:
    """Where downloaded archives are kept; archives that a user has already may be put there."""
    return Path(home) / 'downloads' / 'panet_jax'
