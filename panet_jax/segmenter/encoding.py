"""Images through the encoder, in batches."""

import functools
from collections.abc import Iterable, Iterator

import jax
import numpy as np

from panet_jax.method.episode import normalize
from panet_jax.networks.network import Network


def encode_images(network: Network, images: Iterable[np.ndarray], *, dtype: str, batch: int) -> Iterator[jax.Array]:
    """Encodes images: full batches, then one by one, so that only two shapes are compiled.

    Args:
        network: the network.
        images: [S, S, 3] uint8 each.
        dtype: how the encoder computes, as in `encode`.
        batch: number of images in a step.

    Yields:
        [h, w, C] float32, the features of each image.
    """
    images = list(images)
    full = len(images) // batch * batch
    steps = [images[first : first + batch] for first in range(0, full, batch)]
    for step in steps + [[image] for image in images[full:]]:
        yield from _features(network.params, np.stack(step), encoder=network.encoder, dtype=dtype)


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype'))
def _features(params, images, *, encoder, dtype):
    return encoder.encode(params, normalize(images), dtype=dtype)
