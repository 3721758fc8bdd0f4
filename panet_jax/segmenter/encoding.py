"""Images through the encoder, in batches."""

import functools
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np

from panet_jax.method.episode import normalize
from panet_jax.networks.network import Network
from panet_jax.segmenter.reference_set import NewReference, ReferenceSet


class ImageEncoder:
    """Encodes images, and keeps the features of the reference that came last, which is often added after it was looked at.

    Args:
        network: the network.
        dtype: how the encoder computes, as in `encode`.
        batch: number of images in a step.
    """

    def __init__(self, network: Network, *, dtype: str, batch: int):
        self._network, self._dtype, self._batch = network, dtype, batch
        self._latest: dict[str, np.ndarray] = {}

    def encode(self, images: Iterable[np.ndarray]) -> Iterator[jax.Array]:
        """Encodes images: full batches, then one by one, so that only two shapes are compiled.

        Args:
            images: [S, S, 3] uint8 each.

        Yields:
            [h, w, C] float32, the features of each image.
        """
        images = list(images)
        full = len(images) // self._batch * self._batch
        steps = [images[first : first + self._batch] for first in range(0, full, self._batch)]
        for step in steps + [[image] for image in images[full:]]:
            encoder = self._network.encoder
            yield from _features(self._network.params, np.stack(step), encoder=encoder, dtype=self._dtype)

    def features_of(
        self, reference_set: ReferenceSet, items: Sequence[tuple[NewReference, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """The features of the images of new references that a set lacks.

        Args:
            reference_set: the set.
            items: new references, and their images, [S, S, 3] uint8 each.

        Returns:
            {hash of the image: [h, w, C] float32}.
        """
        images = {
            reference.image: pixels for reference, pixels in items if reference_set.lacks_features(reference.image)
        }
        new = {name: pixels for name, pixels in images.items() if name not in self._latest}
        encoded = dict(zip(new, map(np.asarray, self.encode(new.values())), strict=True))
        features = {name: encoded[name] if name in encoded else self._latest[name] for name in images}
        self._latest = dict(list(features.items())[-1:]) or self._latest
        return features


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype'))
def _features(params, images, *, encoder, dtype):
    return encoder.encode(params, normalize(images), dtype=dtype)
