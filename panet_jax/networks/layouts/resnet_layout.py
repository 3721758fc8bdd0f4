"""ResNets in files: torchvision's names, which are timm's too."""

import re

import flax.traverse_util

from panet_jax.method.encoder import Encoder
from panet_jax.method.resnet import BLOCKS, STEM_CHANNELS
from panet_jax.networks.layouts.layout import HWIO_TO_OIHW, Entry, Layout, Tensors, short_names

PARTS = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias', 'mean': 'running_mean', 'var': 'running_var'}
DOWNSAMPLE = {'downsample': 'downsample.0', 'downsample_bn': 'downsample.1'}


def _entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of all parameters."""
    return [_entry(path, leaf.shape) for path, leaf in flax.traverse_util.flatten_dict(encoder.shapes()).items()]


def _select(tensors: Tensors) -> Tensors:
    """The tensors without the classifier and the counts of batches, and without a prefix of their names."""
    matches = {name: re.fullmatch(r'(?:[a-z_]+\.)*((?:conv1|bn1|layer[1-4])\..+)', name) for name in tensors}
    kept = {name: match[1] for name, match in matches.items() if match and not name.endswith('num_batches_tracked')}
    return {short: tensors[name] for short, name in short_names(kept).items()}


def _recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The name, from the number of blocks of stage 3, and the width, from the first convolution.

    Every file has stage 4, so only a name can ask for the features after it.
    """
    first = tensors.get('conv1.weight')
    depth = len({name.split('.')[1] for name in tensors if name.startswith('layer3.')})
    names = [name for name, counts in BLOCKS.items() if counts[2] == depth]
    return (names[0], first.shape[0] / STEM_CHANNELS) if names and first is not None and first.ndim == 4 else None


def _entry(path, shape):
    *modules, part = path
    names = [
        DOWNSAMPLE.get(module, module.replace('_', '.') if module.startswith('layer') else module) for module in modules
    ]
    name = '.'.join([*names, PARTS[part]])
    if part != 'kernel':
        return Entry(name, path, shape, (0,))
    if len(shape) == 4:
        return Entry(name, path, tuple(shape[axis] for axis in HWIO_TO_OIHW), HWIO_TO_OIHW)
    return Entry(name, path, (*shape[::-1], 1, 1), (1, 0))  # a 1 x 1 convolution


LAYOUT = Layout(_entries, _select, _recognize)
