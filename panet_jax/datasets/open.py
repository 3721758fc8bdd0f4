"""Where images and label maps come from: each one a random-access Source."""

import os
from pathlib import Path

from panet_jax.datasets.cache import cached
from panet_jax.datasets.coco import CocoLayout
from panet_jax.datasets.custom import open_custom
from panet_jax.datasets.official import NEEDED, fetch_official
from panet_jax.datasets.prepare import fingerprint, is_prepared, prepare, prepared_folder
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.shapes import Shapes
from panet_jax.datasets.source import Sample, Source
from panet_jax.datasets.superseded import superseded
from panet_jax.datasets.voc import VocLayout
from panet_jax.disk.downloads import gigabytes
from panet_jax.disk.paths import local_path
from panet_jax.errors import InputError

__all__ = ['Prepared', 'Sample', 'Shapes', 'Source', 'open_source', 'prepare_list', 'superseded_lists']

LAYOUTS = {'pascal5i': VocLayout, 'coco20i': CocoLayout, 'custom': open_custom}
OFFICIAL = 'official'


def open_source(data, split, *, resized=False):
    """The Source that a configuration's `data` section names, prepared first where that is needed.

    Args:
        data: has name ('shapes', 'pascal5i', 'coco20i', 'custom'), root, prepared_dir, skip_unreadable,
            cache and size.
        split: name of the image list.
        resized: whether images of the network's size will do, which data.cache keeps.
    """
    if data.name == 'shapes':
        return Shapes(split, data.size)
    source = Prepared(prepare_list(data.name, split, data.root, data.prepared_dir, data.skip_unreadable))
    if source.skipped:
        print(left_out(source, split), flush=True)
    return cached(source, data.size) if resized and data.cache else source


def prepare_list(dataset, split, root='', home='', skip_unreadable=False):
    """Prepares an image list unless that is done.

    Args:
        dataset: 'pascal5i', 'coco20i' or 'custom'.
        split: name of the list.
        root: folder of the data set's files; '' is the official archives, downloaded if need be.
        home: where prepared data sets go; '' is tensorflow-datasets's place.
        skip_unreadable: leave out images that cannot be read.

    Returns:
        The folder that Prepared opens.
    """
    if dataset not in LAYOUTS:
        raise InputError(f'data.name must be shapes, {", ".join(LAYOUTS)}, got {dataset!r}.')
    home = prepared_home(home)
    if root:
        layout = LAYOUTS[dataset](local_path(root, '{data.root}'), split)
        tag = fingerprint(layout, skip_unreadable)
    elif dataset not in NEEDED:
        raise InputError(f'{dataset} needs the folder of the data set; type {{data.root=FOLDER}}.')
    else:
        tag = f'{OFFICIAL}-skipped' if skip_unreadable else OFFICIAL
        folder = prepared_folder(home, dataset, split, tag)
        if is_prepared(folder):
            return folder
        fetch_official(dataset, split, downloads_folder(home))
        layout = LAYOUTS[dataset](downloads_folder(home), split)
    before = is_prepared(prepared_folder(home, dataset, split, tag))
    folder = prepare(layout, home, dataset, split, tag, skip_unreadable, root and Path(root).expanduser().resolve())
    if not before and (old := superseded_lists(home)):
        size = gigabytes(sum(each.size for each in old))
        print(f'{len(old)} prepared list(s) of before take {size}; panet-jax data clean removes them', flush=True)
    return folder


def superseded_lists(home):
    """The prepared lists in `home` that no run opens any more: a list of Superseded."""

    def current_tag(dataset, origin):
        try:
            return fingerprint(LAYOUTS[dataset](Path(origin['root']), origin['list']), origin['skip_unreadable'])
        except (InputError, OSError):  # the files are gone
            return None

    return superseded(home, LAYOUTS, current_tag)


def left_out(source, split):
    """A sentence on the images that a Source lacks."""
    name, why = source.skipped[0]
    whole = len(source) + len(source.skipped)
    return f'{len(source.skipped)} of the {whole} images of {split!r} are left out, the first is {name}: {why}'


def prepared_home(home=''):
    """Where prepared data sets are: `home`, else $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    if home:
        return local_path(home, '{data.prepared_dir}')
    return local_path(os.environ.get('TFDS_DATA_DIR', '~/tensorflow_datasets'), '$TFDS_DATA_DIR')


def downloads_folder(home):
    """Where downloaded archives are; whoever has them already may put them there."""
    return Path(home) / 'downloads' / 'panet_jax'
