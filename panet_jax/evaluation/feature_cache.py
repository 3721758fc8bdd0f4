"""Features of images, kept on the devices: an image is encoded only once as long as there is room."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import jax
import numpy as np


class _Entry(NamedTuple):
    features: jax.Array  # those of a batch of images, on the devices
    truth: tuple[jax.Array, ...]  # as in Batch; empty between two evaluations
    nbytes: int  # size of both


class FeatureCache:
    """Keeps the features of batches of images, and their truth, on the devices and within a budget.

    The second pass of an evaluation uses the features of the first one. So does the next evaluation of the same network,
    for the batches that it has in common with this one. A batch is the indices of its images, [B] int.

    Args:
        gib: the budget in GiB, over all devices of this process.
    """

    def __init__(self, gib: float):
        self._budget, self._entries, self._of = gib * 2**30, {}, None

    def begin(self, of: Hashable, batches: Sequence[np.ndarray]) -> None:
        """Begins an evaluation: removes the features that it cannot use, and all truth.

        Args:
            of: key of the network and the data; with another key than before, or None, all features are removed.
            batches: the batches of the evaluation.
        """
        batch_keys = {batch.tobytes() for batch in batches} if of is not None and of == self._of else ()
        # `nbytes` still counts the truth, so that there is room when the truth of the batch is put here again.
        self._entries = {key: entry._replace(truth=()) for key, entry in self._entries.items() if key in batch_keys}
        self._of = of

    def put(self, batch: np.ndarray, features: jax.Array, truth: tuple[jax.Array, ...]) -> bool:
        """Keeps the features and the truth of a batch if there is room for both.

        Args:
            batch: indices of the images.
            features: [D, B / D, h, w, C] float32, on the devices.
            truth: truth of the batch as in `Batch`, split over the devices.

        Returns:
            Whether they are kept.
        """
        self._entries.pop(batch.tobytes(), None)
        nbytes = sum(array.nbytes for array in (features, *truth))
        if nbytes + sum(entry.nbytes for entry in self._entries.values()) > self._budget:
            return False
        self._entries[batch.tobytes()] = _Entry(features, truth, nbytes)
        return True

    def get(self, batch: np.ndarray) -> jax.Array | None:
        """The features of a batch.

        Args:
            batch: indices of the images.

        Returns:
            [D, B / D, h, w, C] float32, or None if they are not kept.
        """
        entry = self._entries.get(batch.tobytes())
        return entry and entry.features

    def truth(self, batch: np.ndarray) -> tuple[jax.Array, ...]:
        """The truth of a batch.

        Args:
            batch: indices of the images.

        Returns:
            Truth as in `Batch`, or () if this evaluation has not put it here.
        """
        entry = self._entries.get(batch.tobytes())
        return entry.truth if entry else ()
