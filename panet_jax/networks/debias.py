"""Networks whose features are freed of what depends on the position alone."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.debias import positional_directions, without_directions
from panet_jax.method.encoder import Encoder
from panet_jax.networks.network import Network

MOST = 0.9  # largest share; more would leave little of the features


def debiased(network: Network, share: float) -> Network:
    """A network without the positional directions, those of a blank image's features at the network's size.

    A blank image has ImageNet's mean color. The directions are computed once, in float32.

    Args:
        network: the Network.
        share: share of the directions to remove, in [0, 0.9]; 0 removes nothing.

    Returns:
        The Network; the same one for a share of 0.

    Raises:
        InputError: the share is out of range, the network is no vision transformer, or it has been debiased before.
    """
    check_debias(network.encoder, share)
    if not share:
        return network
    if network.debias:
        raise InputError(f'the network has been debiased already, by {network.debias:g}.')
    network.encoder.check_size(network.size, network.size)
    blank = jnp.zeros((1, network.size, network.size, 3))
    features = jax.jit(network.encoder.encode)(network.params, blank)[0]
    directions = positional_directions(np.asarray(features), share)
    return dataclasses.replace(
        network,
        encoder=_debiased_encoder(network.encoder, directions.shape[1]),
        params={'network': network.params, 'directions': jnp.asarray(directions)},
        debias=float(share),
    )


@functools.cache  # one object, so that functions are compiled for it only once
def _debiased_encoder(encoder: Encoder, count: int) -> Encoder:
    """An Encoder whose parameters are those of the given one and `count` directions to remove."""

    def forward(params, images, dtype):
        return without_directions(encoder.forward(params['network'], images, dtype), params['directions'])

    def initial(key):
        return {'network': encoder.initial(key), 'directions': jnp.zeros((encoder.channels, count))}

    def block_of(path):
        return encoder.block_of(path[1:]) if path[0] == 'network' else 0

    return dataclasses.replace(encoder, forward=forward, initial=initial, block_of=block_of)


def check_debias(encoder: Encoder, share: float) -> None:
    """Checks that features of an encoder can be freed of a share of their positional directions.

    Args:
        encoder: the encoder.
        share: the share.

    Raises:
        InputError: the share is out of range, or the encoder is no vision transformer.
    """
    if not 0 <= share <= MOST:
        raise InputError(f'debias must be a number from 0 to {MOST}, such as 0.5, got {share!r}.')
    if share and encoder.multiple == 1:  # it has no patches
        raise InputError(f'debias is for vision transformers such as dinov2-small, got {encoder.name}.')
