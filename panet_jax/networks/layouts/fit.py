"""From the tensors of a file to parameters that fit an encoder, and back."""

import flax.traverse_util
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.resnet import STAGE4
from panet_jax.networks.layouts import dinov2_layout, dinov3_layout, resnet_layout, vgg16_layout
from panet_jax.networks.layouts.layout import OWN, Layout, Tensors

LAYOUTS = {
    'vgg16': vgg16_layout.LAYOUT,
    'resnet': resnet_layout.LAYOUT,
    'dinov2': dinov2_layout.LAYOUT,
    'dinov3': dinov3_layout.LAYOUT,
}  # by the beginning of an encoder's name
MOST_LISTED = 6  # names of each kind that an error lists


def to_tensors(encoder: Encoder, params: Params) -> dict[str, np.ndarray]:
    """Converts parameters to the tensors of a file, with the names and layout of PyTorch's libraries.

    Args:
        encoder: the encoder.
        params: its parameters, a tree of arrays.

    Returns:
        {name: float32 array}.
    """
    arrays = flax.traverse_util.flatten_dict(params)
    return {
        entry.name: np.ascontiguousarray(
            np.asarray(arrays[entry.path], np.float32).transpose(entry.axes).reshape(entry.shape)
        )
        for entry in _layout(encoder).entries(encoder, {})
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
    layout = _layout(encoder)
    of_network = layout.select(tensors)
    shapes = flax.traverse_util.flatten_dict(encoder.shapes())
    entries = layout.entries(encoder, of_network)
    if misfits := _misfits(encoder, entries, of_network):
        _refuse_other_network(encoder, tensors, source_name)
        network = 'a VGG-16' if encoder.name == 'vgg16' else encoder.name
        raise InputError(f'the weights in {source_name} do not fit {network} of width {encoder.width:g}: {misfits}.')
    arrays = {}
    for entry in entries:
        array = of_network[entry.name].reshape([shapes[entry.path].shape[axis] for axis in entry.axes])
        arrays[entry.path] = np.ascontiguousarray(array.transpose(np.argsort(entry.axes)), np.float32)
        if not np.isfinite(arrays[entry.path]).all():
            raise InputError(f'the weights in {source_name} have values that are not finite, in {entry.name}.')
    return flax.traverse_util.unflatten_dict(arrays)


def recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The encoder of a file, by the names and shapes of its tensors.

    Args:
        tensors: {name: array} of the file.

    Returns:
        Its name and width; None if no layout fits.
    """
    encoders = (layout.recognize(layout.select(tensors)) for layout in LAYOUTS.values())
    return next((encoder for encoder in encoders if encoder), None)


def _layout(encoder) -> Layout:
    return next((layout for name, layout in LAYOUTS.items() if encoder.name.startswith(name)), OWN)


def _refuse_other_network(encoder, tensors, source_name):
    """Refuses weights of another network, or of another width, by name."""
    recognized = recognize(tensors)
    if recognized is None:
        return
    name, width = recognized
    if name != encoder.name.removesuffix(STAGE4) and _layout(encoder) is not OWN:
        raise InputError(
            f'the weights in {source_name} are those of a {name}, the network is a {encoder.name}; type '
            f'{{encoder.name=}}{name}, or name other weights.'
        )
    if width != encoder.width:
        raise InputError(
            f'the weights in {source_name} are of width {width:g}, the network of width {encoder.width:g}; type '
            f'{{encoder.width=}}{width:g}, or name other weights.'
        )


def _misfits(encoder, entries, tensors):
    """Describes how the names and shapes of a file differ from the network's; '' if they fit."""
    shapes = {entry.name: entry.shape for entry in entries}
    misfits = [
        f'{name} {shape} in the network, {tensors[name].shape} in the file'
        for name, shape in shapes.items()
        if name in tensors and tensors[name].shape != shape
    ]
    lists = {
        'missing': [name for name in shapes if name not in tensors],
        'unexpected': [name for name in tensors if name not in shapes and not _is_ignored(encoder, name)],
        'of another shape': misfits,
    }
    return '; '.join(f'{kind}: {_shortened(names)}' for kind, names in lists.items() if names)


def _is_ignored(encoder, name):
    """Whether the encoder ignores a tensor: stage 4, for a ResNet that ends before it."""
    return encoder.name.startswith('resnet') and name.startswith('layer4.')


def _shortened(names):
    return ', '.join(names[:MOST_LISTED]) + ', ...' * (len(names) > MOST_LISTED)
