"""A network as a value: an encoder with its parameters."""

import dataclasses
import functools
import hashlib

import jax
import numpy as np

from panet_jax.method.encoder import Encoder, Params


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """An encoder with its parameters, and their origin.

    Attributes:
        encoder: computes the features.
        params: a tree of float32 arrays with the structure of `encoder.shapes()`.
        size: side in pixels of the images for this network.
        origin: the source from which `load_network` loads it again: 'imagenet', an encoder's name or a path; None if
            there is none.
        step: step of its training; 0 if it was not trained here, or the step is unknown.
        debias: share of the positional directions removed from its features, as by `debiased`.
    """

    encoder: Encoder
    params: Params
    size: int
    origin: str | None = None
    step: int = 0
    debias: float = 0.0

    @property
    def stride(self) -> int:
        """Pixels between neighboring positions of the feature grid."""
        return self.encoder.stride

    @property
    def channels(self) -> int:
        """C, the channels of the features."""
        return self.encoder.channels

    def encode(self, images: jax.Array, *, dtype: str = 'float32') -> jax.Array:
        """Features of images.

        Args:
            images: [..., H, W, 3] float32, normalized.
            dtype: dtype of the computation, as in `Encoder.encode`.

        Returns:
            [..., h, w, C] float32.
        """
        return self.encoder.encode(self.params, images, dtype=dtype)

    @functools.cached_property
    def hash(self) -> str:
        """The `params_hash` of the parameters, without the directions that `debiased` derives from them."""
        return params_hash(self.params['network'] if self.debias else self.params)


def params_hash(params: Params) -> str:
    """A hash of the values of all parameters.

    Args:
        params: a tree of arrays.

    Returns:
        Twelve hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]
