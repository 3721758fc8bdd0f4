"""VGG-16 in files: torchvision's names, and the nested ones of the authors' snapshots."""

import re

import flax.traverse_util

from panet_jax.method.encoder import Encoder
from panet_jax.method.vgg16 import BLOCKS, CONV_NAMES
from panet_jax.networks.layouts.layout import HWIO_TO_OIHW, Entry, Layout, Tensors, short_names

# Index of layer convB_I in torchvision's flat `features`, which counts ReLUs and pools ...
_TORCHVISION_INDEX = dict(zip(CONV_NAMES, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
TORCHVISION_NAMES = {name: f'features.{index}' for name, index in _TORCHVISION_INDEX.items()}
# ... and in the authors' nested one: blocks at 0, 2, 4, 6, 8 (pools between), convolutions at 0, 2, 4.
SNAPSHOT_NAMES = {name: f'features.{2 * int(name[4]) - 2}.{2 * int(name[6]) - 2}' for name in CONV_NAMES}
TORCH_PARTS = {'kernel': 'weight', 'bias': 'bias'}


def _entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of all parameters, with the names that the tensors have; by default torchvision's."""
    names, result = _layer_names(tensors), []
    for path, leaf in flax.traverse_util.flatten_dict(encoder.shapes()).items():
        layer, part = path
        axes = HWIO_TO_OIHW if part == 'kernel' else (0,)
        shape = tuple(leaf.shape[axis] for axis in axes)
        result.append(Entry(f'{names[layer]}.{TORCH_PARTS[part]}', path, shape, axes))
    return result


def _select(tensors: Tensors) -> Tensors:
    """The tensors of the convolutions, whatever precedes `features.` in their names."""
    parts = {name: name.rpartition('features.') for name in tensors}
    names = short_names({name: features + rest for name, (_, features, rest) in parts.items() if features})
    return {short: tensors[name] for short, name in names.items()}


def _recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The name and the width, from the first convolution's bias."""
    first = tensors.get(f'{_layer_names(tensors)["conv1_1"]}.bias')
    return ('vgg16', first.size / BLOCKS[0][1]) if first is not None and first.ndim == 1 else None


def _layer_names(tensors):
    """The names of the layers in a file: the nested ones of the authors' snapshots, or torchvision's."""
    nested = any(re.fullmatch(r'features\.\d+\.\d+\.\w+', name) for name in tensors)
    return SNAPSHOT_NAMES if nested else TORCHVISION_NAMES


LAYOUT = Layout(_entries, _select, _recognize)
