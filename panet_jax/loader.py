"""Batches of episodes, read ahead by Grain's threads and, on machines with many cores, its processes."""

import contextlib
import ctypes
import sys

import grain
import jax
import numpy as np
from absl import flags

from panet_jax.errors import InputError

PR_SET_PDEATHSIG, SIGKILL = 1, 9


class _Range:
    """Episodes 0..length-1 as Grain wants them; a user's mistake travels as a value."""

    def __init__(self, episodes, length):
        self._episodes, self._length = episodes, length

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        # Grain wraps an exception of a process in text; an InputError must arrive as itself.
        try:
            return self._episodes[int(index)]
        except InputError as error:
            return error


def stack(episodes):
    """A list of episodes -> one Episode whose arrays have a leading axis."""
    for episode in episodes:
        if isinstance(episode, InputError):
            return episode
    return jax.tree.map(lambda *arrays: np.stack(arrays), *episodes)


@contextlib.contextmanager
def episode_batches(episodes, batch, steps, *, start=0, threads=16, workers=0, host=0, hosts=1):
    """Iterates over the batches of steps start..steps-1; batch s is a pure function of (seed, s).

    Args:
        episodes: an Episodes.
        batch: episodes per step, over all hosts; step s takes episodes s * batch to (s + 1) * batch - 1.
        steps: where to stop.
        start: the first step, after a restart.
        threads: that read and assemble, in each process; 0 does it when asked.
        workers: processes, 0 for none. Neither number changes what comes.
        host, hosts: this host's number and how many there are; each reads every hosts-th episode.

    Yields:
        An iterator of Episodes [batch / hosts, ...], compact. Leaving the context ends threads and
        processes; should this process be killed, its workers die with it.

    Raises:
        InputError: an image cannot be read; raised by the iterator, naming the image.
    """
    if batch % hosts:
        raise InputError(f'a batch of {batch} episodes does not divide over {hosts} hosts.')
    share = batch // hosts
    dataset = grain.MapDataset.source(_Range(episodes, steps * batch))[host::hosts][start * share :]
    ahead = max(threads, 2 * share) if threads else 0  # episodes; two batches
    if not workers:
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
        dataset = dataset.to_iter_dataset(options).batch(share, batch_fn=stack)
    else:
        # Batches are made before the work is split, so that the split does not change them.
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=-(-ahead // share))
        dataset = dataset.batch(share, batch_fn=stack).to_iter_dataset(options)
        if not flags.FLAGS.is_parsed():  # Grain reads one of its flags; as a library nobody has parsed any
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(
            grain.MultiprocessingOptions(num_workers=workers), worker_init_fn=_die_with_parent
        )
    iterator = iter(dataset)
    batches = _own(iterator, copy=workers > 0)
    try:
        yield batches
    finally:
        batches.close()  # which lets go of the iterator; at the interpreter's end Grain could no longer clean up
        iterator.close()


def _own(iterator, copy):
    """Batches that are the reader's own: out of the shared memory of a worker, mistakes raised."""
    for batch in iterator:
        if isinstance(batch, InputError):
            raise batch
        yield jax.tree.map(np.array, batch) if copy else batch


def _die_with_parent(*_):
    """Has the kernel end a worker whose parent was killed; it would live on for good otherwise."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL)
