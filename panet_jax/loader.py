"""Batches of episodes, read ahead by Grain's threads."""

import contextlib

import grain
import jax
import numpy as np


class _Range:
    """Episodes 0..length-1 as Grain wants them."""

    def __init__(self, episodes, length):
        self._episodes, self._length = episodes, length

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        return self._episodes[int(index)]


def stack(episodes):
    """A list of episodes -> one Episode whose arrays have a leading axis."""
    return jax.tree.map(lambda *arrays: np.stack(arrays), *episodes)


@contextlib.contextmanager
def episode_batches(episodes, batch, steps, *, start=0, threads=16):
    """Iterates over the batches of steps start..steps-1; batch s is a pure function of (seed, s).

    Args:
        episodes: an Episodes.
        batch: episodes per step; step s takes episodes s * batch to (s + 1) * batch - 1.
        steps: where to stop.
        start: the first step, after a restart.
        threads: that read and assemble; their number does not change what comes.

    Yields:
        An iterator of Episodes [batch, ...], compact. Leaving the context ends the threads.
    """
    dataset = grain.MapDataset.source(_Range(episodes, steps * batch)).batch(batch, batch_fn=stack)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(threads, 2))
    iterator = iter(dataset[start:].to_iter_dataset(options))
    try:
        yield iterator
    finally:
        iterator.close()
