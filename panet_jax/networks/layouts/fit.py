"""From the tensors of a file to parameters that fit an encoder, and back."""

import flax.traverse_util
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.networks.layouts import dinov2, resnet, vgg16
from panet_jax.networks.layouts.layout import OWN, Layout, Tensors

LAYOUTS = {'vgg16': vgg16.LAYOUT, 'resnet': resnet.LAYOUT, 'dinov2': dinov2.LAYOUT}  # by how a name begins
MOST_LISTED = 6  # names of a kind in an error


def to_tensors(encoder: Encoder, params: Params) -> dict[str, np.ndarray]:
    """Parameters as they are written: with the names and layout of PyTorch's libraries where those have the network."""
    arrays = flax.traverse_util.flatten_dict(params)
    return {
        entry.name: np.ascontiguousarray(
            np.asarray(arrays[entry.path], np.float32).transpose(entry.axes).reshape(entry.shape)
        )
        for entry in _layout(encoder).entries(encoder, {})
    }


def from_tensors(encoder: Encoder, tensors: Tensors, source_name: str) -> Params:
    """The parameters of an encoder from the tensors of a file, taken by name.

    Args:
        encoder: what they must fit.
        tensors: of the file, {name: array}.
        source_name: the file, in an error.

    Returns:
        A tree of float32 numpy arrays, as `encoder.shapes()` says.

    Raises:
        InputError: tensors are missing, too many, of another shape, or not finite; it lists both sides.
    """
    layout = _layout(encoder)
    known = layout.select(tensors)
    _check_architecture(encoder, tensors, source_name)
    shapes = flax.traverse_util.flatten_dict(encoder.shapes())
    entries = layout.entries(encoder, known)
    _check_fit(encoder, entries, known, source_name)
    arrays = {}
    for entry in entries:
        array = known[entry.name].reshape([shapes[entry.path].shape[axis] for axis in entry.axes])
        arrays[entry.path] = np.ascontiguousarray(array.transpose(np.argsort(entry.axes)), np.float32)
        if not np.isfinite(arrays[entry.path]).all():
            raise InputError(f'the weights in {source_name} have values that are not finite, in {entry.name}.')
    return flax.traverse_util.unflatten_dict(arrays)


def recognize(tensors: Tensors) -> tuple[str, float] | None:
    """The name and width of the encoder whose parameters a file has, by the names in it; None if it is none we know."""
    found = (layout.recognize(layout.select(tensors)) for layout in LAYOUTS.values())
    return next((encoder for encoder in found if encoder), None)


def _layout(encoder) -> Layout:
    return next((layout for name, layout in LAYOUTS.items() if encoder.name.startswith(name)), OWN)


def _check_architecture(encoder, tensors, source_name):
    """Refuses weights of another network, or of another width, by name."""
    recognized = recognize(tensors)
    if recognized is None:
        return
    name, width = recognized
    if name != encoder.name.removesuffix(resnet.STAGE4) and _layout(encoder) is not OWN:
        raise InputError(
            f'the weights in {source_name} are those of a {name}, the network is a {encoder.name}; type '
            f'{{encoder.name=}}{name}, or take other weights.'
        )
    if width != encoder.width:
        raise InputError(
            f'the weights in {source_name} are of width {width:g}, the network of width {encoder.width:g}; type '
            f'{{encoder.width=}}{width:g}, or take other weights.'
        )


def _check_fit(encoder, entries, tensors, source_name):
    """Compares the names and shapes of a file with those of the network."""
    wanted = {entry.name: entry.shape for entry in entries}
    misfits = [
        f'{name} {shape} in the network, {tensors[name].shape} in the file'
        for name, shape in wanted.items()
        if name in tensors and tensors[name].shape != shape
    ]
    lists = {
        'missing': [name for name in wanted if name not in tensors],
        'unexpected': [name for name in tensors if name not in wanted and not _left_out(encoder, name)],
        'of another shape': misfits,
    }
    if any(lists.values()):
        text = '; '.join(f'{what}: {_shortened(names)}' for what, names in lists.items() if names)
        network = 'a VGG-16' if encoder.name == 'vgg16' else encoder.name
        raise InputError(f'the weights in {source_name} do not fit {network} of width {encoder.width:g}: {text}.')


def _left_out(encoder, name):
    """Whether a file may have a tensor that the encoder has no use for: stage 4 of a ResNet that ends before it."""
    return encoder.name.startswith('resnet') and name.startswith('layer4.')


def _shortened(names):
    return ', '.join(names[:MOST_LISTED]) + ', ...' * (len(names) > MOST_LISTED)
