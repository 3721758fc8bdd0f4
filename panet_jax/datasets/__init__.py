"""Where images and label maps come from: each one a random-access Source."""

from pathlib import Path

from panet_jax.datasets.coco_folder import CocoFolder
from panet_jax.datasets.shapes import Shapes
from panet_jax.datasets.source import Sample, Source
from panet_jax.datasets.voc_folder import VocFolder
from panet_jax.errors import InputError

__all__ = ['CocoFolder', 'Sample', 'Shapes', 'Source', 'VocFolder', 'open_source']


def open_source(data, split):
    """The Source that a configuration's `data` section names.

    Args:
        data: has name ('shapes', 'pascal5i', 'coco20i'), root and size.
        split: name of the image list.
    """
    if data.name == 'shapes':
        return Shapes(split, data.size)
    folders = {'pascal5i': VocFolder, 'coco20i': CocoFolder}
    if data.name not in folders:
        raise InputError(f'data.name must be shapes, {" or ".join(folders)}, got {data.name!r}.')
    if not data.root:
        raise InputError(f'{data.name} needs the folder of the data set; type --config.data.root=FOLDER.')
    return folders[data.name](Path(data.root).expanduser(), split)
