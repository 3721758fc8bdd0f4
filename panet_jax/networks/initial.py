"""The network before its training, which is also the untrained network of an evaluation."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax

from panet_jax.disk.paths import workdir_path
from panet_jax.disk.saved_networks import newest_network
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.networks.encoders import DEFAULT, ENCODERS, encoder_of
from panet_jax.networks.imagenet import imagenet_params, is_imagenet
from panet_jax.networks.published import default_weights, published_file, published_name
from panet_jax.networks.weights import read_params


@dataclasses.dataclass(frozen=True)
class InitialNetwork:
    """The settings of a network before its training.

    Attributes:
        encoder: the encoder.
        weights: a source as for `load_params`.
        seed: seed of random parameters.
    """

    encoder: Encoder
    weights: str
    seed: int = 0

    @classmethod
    def of(cls, settings: Mapping[str, Any], seed: int = 0) -> 'InitialNetwork':
        """Reads the settings of a configuration.

        Args:
            settings: section `encoder` of the configuration. Empty `weights` are the encoder's published ones, or random
                ones if none are published.
            seed: seed of random parameters.

        Returns:
            The InitialNetwork.

        Raises:
            InputError: there is no encoder of this name.
        """
        encoder = encoder_of(settings)
        return cls(encoder, settings['weights'] or default_weights(encoder), seed)

    def load(self) -> Params:
        """Loads the parameters, a tree of float32 arrays on the device; raises an InputError as `load_params` does."""
        return load_params(self.weights, self.encoder, key=jax.random.key(self.seed))

    def origin(self, params: Params | None = None) -> str:
        """The name of the weights, the same for all synonyms.

        Args:
            params: the loaded parameters, to recognize a copy of the ImageNet weights.

        Returns:
            'imagenet', 'random', the name of an encoder, or a path.
        """
        if self.weights in ('imagenet', *ENCODERS):
            return 'imagenet' if self.encoder.name == DEFAULT else published_name(self.encoder) or self.weights
        is_copy = self.weights != 'random' and params is not None and is_imagenet(params)
        return 'imagenet' if is_copy else self.weights

    def trained(self, size: int, frozen: int) -> Params:
        """Which parameters a training changes.

        Args:
            size: side of the images in pixels.
            frozen: number of blocks, counted from the image, that training does not change.

        Returns:
            A tree of bool, as from `Encoder.trained`.

        Raises:
            InputError: the encoder takes no images of this size, or all of its blocks are frozen.
        """
        encoder = self.encoder
        encoder.check_size(size, size)
        trained = encoder.trained(frozen)
        if not any(jax.tree.leaves(trained)):
            blocks = max(map(encoder.block_of, flax.traverse_util.flatten_dict(encoder.shapes())))
            raise InputError(
                f'encoder.frozen must be below {blocks}, the number of blocks of {encoder.name}, so that something is '
                f'trained, got {frozen}.'
            )
        return trained


def load_params(source: str | Path, encoder: Encoder, *, key: jax.Array | None = None) -> Params:
    """Loads the parameters of an encoder.

    Args:
        source: 'imagenet', 'random', the name of an encoder, for its published weights, the path of a file, or a
            workdir, for its newest network.
        encoder: the encoder.
        key: PRNG key, for random parameters only.

    Returns:
        A tree of float32 arrays on the device.

    Raises:
        InputError: the weights are missing, cannot be read, or do not fit.
    """
    if source == 'random':
        if key is None:
            raise InputError(
                "random encoder weights need a key, for instance key=jax.random.key(0), or weights='imagenet'."
            )
        return encoder.initial(key)
    if encoder.name == DEFAULT and source in ('imagenet', DEFAULT):
        if encoder.width != 1:
            raise InputError(
                f"ImageNet weights exist for encoder width 1 only, got width {encoder.width}; use weights='random'."
            )
        return jax.tree.map(jax.numpy.asarray, imagenet_params())
    if source == 'imagenet' or source in ENCODERS:
        path = published_file(source, encoder)
    else:
        path, _ = newest_network(workdir_path(source))
    params = read_params(path, encoder)
    return jax.tree.map(jax.numpy.asarray, params)
