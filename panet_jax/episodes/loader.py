"""Batches of episodes, read ahead by Grain's threads and, on machines with many cores, its processes."""

import contextlib
import ctypes
import functools
import re
import signal
import sys

import grain
import jax
import numpy as np
from absl import flags

from panet_jax.compute.interrupts import ENDING
from panet_jax.episodes.shared_arrays import new_prefix, remove_all, share, take
from panet_jax.errors import InputError

PR_SET_PDEATHSIG = 1


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


def _shared_stack(episodes, prefix):
    """`stack` in a worker, whose arrays the reader takes out of shared memory."""
    return jax.tree.map(functools.partial(share, prefix=prefix), stack(episodes))


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
        InputError: an image cannot be read, or a process was killed; raised by the iterator, naming the image.
    """
    if batch % hosts:
        raise InputError(f'a batch of {batch} episodes does not divide over {hosts} hosts.')
    each, prefix = batch // hosts, new_prefix()
    dataset = grain.MapDataset.source(_Range(episodes, steps * batch))[host::hosts][start * each :]
    ahead = max(threads, 2 * each) if threads else 0  # episodes; two batches
    if not workers:
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=ahead)
        dataset = dataset.to_iter_dataset(options).batch(each, batch_fn=stack)
    else:
        # Batches are made before the work is split, so that the split does not change them.
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=-(-ahead // each))
        dataset = dataset.batch(each, batch_fn=functools.partial(_shared_stack, prefix=prefix)).to_iter_dataset(options)
        if not flags.FLAGS.is_parsed():  # Grain reads one of its flags; as a library nobody has parsed any
            flags.FLAGS.mark_as_parsed()
        dataset = dataset.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers), worker_init_fn=_begin_worker)
    iterator = iter(dataset)
    batches = _own(iterator)
    try:
        yield batches
    finally:
        batches.close()  # which lets go of the iterator; at the interpreter's end Grain could no longer clean up
        iterator.close()
        remove_all(prefix)


def _own(iterator):
    """Batches that are the reader's own: out of the shared memory of a worker, mistakes raised."""
    try:
        for batch in iterator:
            if isinstance(batch, InputError):
                raise batch
            yield jax.tree.map(take, batch)
    except RuntimeError as error:
        code = re.search(r'terminated unexpectedly with exit code (-?\d+)', str(error))
        if code is None:
            raise
        raise InputError(
            f'a process of the loader ended by itself, with {_ending(int(code[1]))}, as when the memory or /dev/shm is full; '
            'type a smaller {loader.workers=}, {loader.threads=} or {batch=}.'
        ) from error


def _ending(code):
    """What an exit code of multiprocessing's says."""
    return signal.Signals(-code).name if code < 0 else f'exit status {code}'


def _begin_worker(*_):
    """Has a worker end when its parent does, and not before: signals to all processes of a terminal are the parent's."""
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == 'linux':  # the kernel ends it if the parent was killed; it would live on for good otherwise
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
