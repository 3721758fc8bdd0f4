"""Features of images kept on the devices, so that no image is encoded twice where there is room."""

from typing import NamedTuple


class _Kept(NamedTuple):
    features: object  # of a batch of images, on the devices
    truth: tuple  # as in Batch; empty between two evaluations
    nbytes: int  # of both


class FeatureCache:
    """Features of batches of images, on the devices, and the truth that goes with them, within a budget.

    Within an evaluation they go from the first pass to the second; the next evaluation of the same
    network finds those of the batches that are its own too.

    Args:
        gib: the budget over all devices of this process.
    """

    def __init__(self, gib):
        self._budget, self._kept, self._of = gib * 2**30, {}, None

    def begin(self, of, batches):
        """Forgets what an evaluation of the network and data `of` on these batches has no use for."""
        wanted = {batch.tobytes() for batch in batches} if of is not None and of == self._of else ()
        # The room of a truth stays taken: its batch will want it again.
        self._kept = {batch: kept._replace(truth=()) for batch, kept in self._kept.items() if batch in wanted}
        self._of = of

    def put(self, batch, features, truth):
        """Keeps the features and the truth of a batch if there is room for both; returns whether it did."""
        self._kept.pop(batch.tobytes(), None)
        needed = sum(array.nbytes for array in (features, *truth))
        if needed + sum(kept.nbytes for kept in self._kept.values()) > self._budget:
            return False
        self._kept[batch.tobytes()] = _Kept(features, truth, needed)
        return True

    def get(self, batch):
        """The features of a batch, or None."""
        kept = self._kept.get(batch.tobytes())
        return kept and kept.features

    def truth(self, batch):
        """The truth of a batch whose features this evaluation has put here, or ()."""
        kept = self._kept.get(batch.tobytes())
        return kept.truth if kept else ()
