"""A network as a value: an encoder with its parameters."""

import dataclasses
import functools
import hashlib

import jax
import numpy as np

from panet_jax.method.encoder import Encoder, Params


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """An encoder with its parameters, and where they are from.

    Attributes:
        encoder: what computes.
        params: a tree of float32 arrays, as `encoder.shapes()` says.
        size: side in pixels of the images that it is to see.
        origin: what `load_network` takes to load it again, 'imagenet' or a path; None if nothing does.
        step: of the training that made it; 0 for a network that was not trained here.
    """

    encoder: Encoder
    params: Params
    size: int
    origin: str | None = None
    step: int = 0

    @property
    def stride(self) -> int:
        """Pixels from one position of the grid to the next."""
        return self.encoder.stride

    @property
    def channels(self) -> int:
        """C of the features."""
        return self.encoder.channels

    def encode(self, images: jax.Array, *, dtype: str = 'float32') -> jax.Array:
        """Features of images.

        Args:
            images: [..., H, W, 3] float32, normalized.
            dtype: of the computation, as in `Encoder.encode`.

        Returns:
            [..., h, w, C] float32.
        """
        return self.encoder.encode(self.params, images, dtype=dtype)

    @functools.cached_property
    def hash(self) -> str:
        """Twelve hexadecimal digits that differ if a parameter does."""
        return params_hash(self.params)


def params_hash(params: Params) -> str:
    """Twelve hexadecimal digits that differ if a parameter does."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]
