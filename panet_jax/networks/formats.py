"""Names and layouts of parameters in files: torchvision's for VGG-16, those of the tree for other encoders."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import flax.traverse_util
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.vgg16 import BLOCKS, CONV_NAMES

Tensors = Mapping[str, np.ndarray]

# The index of layer convB_I in torchvision's flat `features`, which count ReLUs and pools ...
_TORCHVISION_INDEX = dict(zip(CONV_NAMES, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
TORCHVISION_NAMES = {name: f'features.{index}' for name, index in _TORCHVISION_INDEX.items()}
# ... and in the authors' nested `features`: blocks at 0, 2, 4, 6, 8 (with pools between), convolutions at 0, 2, 4.
SNAPSHOT_NAMES = {name: f'features.{2 * int(name[4]) - 2}.{2 * int(name[6]) - 2}' for name in CONV_NAMES}
TORCH_PARTS = {'kernel': 'weight', 'bias': 'bias'}
HWIO_TO_OIHW = (3, 2, 0, 1)
MOST_LISTED = 6  # names that an error lists of each kind


class Entry(NamedTuple):
    """One array of the parameters in a file.

    Attributes:
        name: name of the tensor in the file.
        path: keys in the tree of parameters.
        shape: shape in the file.
        axes: axes of the parameter in the order of the file, as for `transpose`.
    """

    name: str
    path: tuple[str, ...]
    shape: tuple[int, ...]
    axes: tuple[int, ...]


def to_tensors(encoder: Encoder, params: Params) -> dict[str, np.ndarray]:
    """Converts parameters to the tensors of a file: for VGG-16 with torchvision's names and layout, OIHW.

    Args:
        encoder: the encoder.
        params: its parameters, a tree of arrays.

    Returns:
        {name: float32 array}.
    """
    arrays = flax.traverse_util.flatten_dict(params)
    return {
        entry.name: np.ascontiguousarray(np.asarray(arrays[entry.path], np.float32).transpose(entry.axes))
        for entry in _entries(encoder, TORCHVISION_NAMES)
    }


def from_tensors(encoder: Encoder, tensors: Tensors, source_name: str) -> Params:
    """Converts the tensors of a file to parameters, by name.

    Args:
        encoder: the encoder.
        tensors: {name: array} of the file.
        source_name: name of the file in errors.

    Returns:
        A tree of float32 numpy arrays with the structure of `encoder.shapes()`.

    Raises:
        InputError: tensors are missing, unexpected, of another shape, or not finite; the message lists them.
    """
    if encoder.name == 'vgg16':
        tensors = _convolutions(tensors)
        _check_width(tensors, encoder.width, source_name)
    entries = _entries(encoder, _layer_names(tensors))
    _check_fit(encoder, entries, tensors, source_name)
    arrays = {}
    for entry in entries:
        array = tensors[entry.name].transpose(np.argsort(entry.axes))
        arrays[entry.path] = np.ascontiguousarray(array, np.float32)
        if not np.isfinite(array).all():
            raise InputError(f'the weights in {source_name} have values that are not finite, in {entry.name}.')
    return flax.traverse_util.unflatten_dict(arrays)


def vgg16_width(tensors: Tensors) -> float:
    """The width of the VGG-16 in a file, by its first convolution.

    Args:
        tensors: {name: array} of the file.

    Returns:
        The multiplier of the channels; 1 if the file has no such convolution.
    """
    bias = _first_bias(_convolutions(tensors))
    return 1.0 if bias is None else bias.size / BLOCKS[0][1]


def _entries(encoder, layer_names):
    """The Entries of all parameters; `layer_names` has the names of VGG-16's layers."""
    entries = []
    for path, leaf in flax.traverse_util.flatten_dict(encoder.shapes()).items():
        name, axes = '.'.join(path), tuple(range(leaf.ndim))
        if encoder.name == 'vgg16':
            layer, part = path
            name = f'{layer_names[layer]}.{TORCH_PARTS[part]}'
            axes = HWIO_TO_OIHW if part == 'kernel' else axes
        entries.append(Entry(name, path, tuple(leaf.shape[axis] for axis in axes), axes))
    return entries


def _check_fit(encoder, entries, tensors, source_name):
    """Compares the names and shapes of a file with those of the network."""
    shapes = {entry.name: entry.shape for entry in entries}
    misfits = [
        f'{name} {shape} in the network, {tensors[name].shape} in the file'
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    lists = {
        'missing': [name for name in shapes if name not in tensors],
        'unexpected': [name for name in tensors if name not in shapes],
        'of another shape': misfits,
    }
    if any(lists.values()):
        text = '; '.join(f'{kind}: {_shortened(names)}' for kind, names in lists.items() if names)
        network = 'a VGG-16' if encoder.name == 'vgg16' else encoder.name
        raise InputError(f'the weights in {source_name} do not fit {network} of width {encoder.width:g}: {text}.')


def _check_width(tensors, width, source_name):
    """Refuses weights that would fit a network of another width."""
    bias = _first_bias(tensors)
    if bias is not None and bias.size != width * BLOCKS[0][1]:
        file_width = bias.size / BLOCKS[0][1]
        raise InputError(
            f'the weights in {source_name} are of width {file_width:g}, the network of width {width:g}; type '
            f'{{encoder.width=}}{file_width:g}, or take other weights.'
        )


def _convolutions(tensors):
    """The tensors of VGG-16's convolutions, their names without any prefix before `features.`."""
    parts = ((name.rpartition('features.'), tensor) for name, tensor in tensors.items())
    return {features + rest: tensor for (_, features, rest), tensor in parts if features}


def _layer_names(tensors):
    """The names of VGG-16's layers in a file, {layer: name}: nested in snapshots of the authors' code."""
    nested = any(re.fullmatch(r'features\.\d+\.\d+\.\w+', name) for name in tensors)
    return SNAPSHOT_NAMES if nested else TORCHVISION_NAMES


def _first_bias(tensors):
    """The bias [C] of VGG-16's first convolution, or None."""
    bias = tensors.get(f'{_layer_names(tensors)["conv1_1"]}.bias')
    return bias if bias is not None and bias.ndim == 1 else None


def _shortened(names):
    return ', '.join(names[:MOST_LISTED]) + ', ...' * (len(names) > MOST_LISTED)
