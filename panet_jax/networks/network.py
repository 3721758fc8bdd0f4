"""An encoder for use outside of an experiment: by name, by the workdir that trained it, or from a file."""

import hashlib
import os

import jax
import numpy as np

from panet_jax.disk.paths import absolute, workdir_path
from panet_jax.disk.workdir import read_config
from panet_jax.errors import InputError
from panet_jax.method.vgg16 import CONV_NAMES
from panet_jax.networks.weights import load_encoder_params

SIZE = 417  # the paper's


def load_network(weights):
    """An encoder's parameters with what belongs to them.

    Args:
        weights: 'imagenet'; the workdir of a training, of which it takes the network that training has come
            to; a file as for `load_encoder_params`; or the parameters.

    Returns:
        The parameters; where they can be had again, 'imagenet' or a path, None if nowhere; and the side
        of the images that they were trained on.
    """
    if isinstance(weights, dict) and set(weights) == set(CONV_NAMES):
        return jax.tree.map(jax.numpy.asarray, weights), None, SIZE
    if not isinstance(weights, str | os.PathLike):
        raise InputError(
            f"weights must be 'imagenet', a workdir, a file or the parameters of an encoder, got {str(weights)[:40]!r}."
        )
    folder = workdir_path(weights)
    if weights == 'imagenet' or not folder.is_dir():
        known = weights == 'imagenet'
        return load_encoder_params(weights), weights if known else str(absolute(folder)), SIZE
    config = read_config(folder)
    return load_encoder_params(folder), str(absolute(folder)), config['data']['size']


def network_hash(params):
    """Twelve hexadecimal digits that differ if a parameter does."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]
