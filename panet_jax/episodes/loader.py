"""Batches of episodes, read ahead by threads of Grain and, on machines with many cores, by its processes."""

import contextlib
import ctypes
import dataclasses
import functools
import re
import signal
import sys
from collections.abc import Iterator, Sequence

import grain
import jax
import numpy as np
from absl import flags

from panet_jax.compute.hosts import Share
from panet_jax.compute.interrupts import ENDING
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.shared_arrays import new_prefix, remove_all, share_array, take_array
from panet_jax.errors import InputError
from panet_jax.method.episode import Episode

ALONE = Share()  # the share of a single host
PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Readers:
    """The threads and processes that read episodes ahead; the episodes do not depend on them.

    Attributes:
        threads: threads of each process that read and assemble episodes; 0 reads a batch on demand.
        workers: worker processes; 0 reads in this process.
    """

    threads: int = 16
    workers: int = 0


@contextlib.contextmanager
def episode_batches(
    episodes: Episodes,
    batch: int,
    steps: int,
    *,
    start: int = 0,
    readers: Readers = Readers(),
    share: Share = ALONE,
) -> Iterator[Iterator[Episode]]:
    """Iterates over the batches of steps start..steps-1; batch s is a pure function of (seed, s).

    Args:
        episodes: the sequence of episodes; step s takes numbers s * batch to (s + 1) * batch - 1.
        batch: episodes per step, over all hosts.
        steps: number of steps, after which the iterator ends.
        start: the first step, from 0.
        readers: threads and processes.
        share: share of this host in each batch: every share.count-th episode.

    Yields:
        An iterator of compact Episodes [batch / share.count, ...]. Leaving the context ends threads and processes; if
        this process is killed, its workers end too.

    Raises:
        InputError: `batch` is no multiple of the number of hosts. The iterator raises it if an image cannot be read,
            naming the image, or if a worker was killed.
    """
    if batch % share.count:
        raise InputError(f'a batch of {batch} episodes does not divide over {share.count} hosts.')
    own, prefix = batch // share.count, new_prefix()
    dataset = grain.MapDataset.source(_Range(episodes, steps * batch))[share.number :: share.count][start * own :]
    iterator = iter(
        _read_by_processes(dataset, own, readers, prefix) if readers.workers else _read(dataset, own, readers)
    )
    batches = _unshared(iterator)
    try:
        yield batches
    finally:
        batches.close()  # releases the iterator now: Grain cannot clean up when the interpreter ends
        iterator.close()
        remove_all(prefix)


def stack(episodes: Sequence[Episode | InputError]) -> Episode | InputError:
    """Stacks episodes to a batch.

    Args:
        episodes: B Episodes of the same shapes, or errors in their place.

    Returns:
        An Episode whose arrays have a leading axis B; the first error, if there is one.
    """
    for episode in episodes:
        if isinstance(episode, InputError):
            return episode
    return jax.tree.map(lambda *arrays: np.stack(arrays), *episodes)


class _Range:
    """Episodes 0..length-1 as a source for Grain; an InputError is passed on as a value."""

    def __init__(self, episodes, length):
        self._episodes, self._length = episodes, length

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        # Grain would turn an exception in a worker into text.
        try:
            return self._episodes[int(index)]
        except InputError as error:
            return error


def _read(dataset, batch, readers):
    """Batches of episodes, read by threads of this process."""
    options = grain.ReadOptions(num_threads=readers.threads, prefetch_buffer_size=_ahead(batch, readers))
    return dataset.to_iter_dataset(options).batch(batch, batch_fn=stack)


def _read_by_processes(dataset, batch, readers, prefix):
    """Batches of episodes, read by worker processes, with arrays in shared memory under names that begin with `prefix`."""
    # Episodes are batched before the work is divided, so that batches do not depend on the number of workers.
    ahead = -(-_ahead(batch, readers) // batch)
    options = grain.ReadOptions(num_threads=readers.threads, prefetch_buffer_size=ahead)
    dataset = dataset.batch(batch, batch_fn=functools.partial(_shared_stack, prefix=prefix)).to_iter_dataset(options)
    if not flags.FLAGS.is_parsed():  # Grain reads one of its own absl flags, which fails unless flags are parsed
        flags.FLAGS.mark_as_parsed()
    workers = grain.MultiprocessingOptions(num_workers=readers.workers)
    return dataset.mp_prefetch(workers, worker_init_fn=_begin_worker)


def _ahead(batch, readers):
    """The number of episodes to read ahead: two batches, and at least one for each thread."""
    return max(readers.threads, 2 * batch) if readers.threads else 0


def _shared_stack(episodes, prefix):
    """`stack` in a worker, which puts the arrays into shared memory."""
    return jax.tree.map(functools.partial(share_array, prefix=prefix), stack(episodes))


def _unshared(iterator):
    """Yields batches, with their arrays taken out of shared memory; raises the errors among them."""
    try:
        for batch in iterator:
            if isinstance(batch, InputError):
                raise batch
            yield jax.tree.map(take_array, batch)
    except RuntimeError as error:
        code = re.search(r'terminated unexpectedly with exit code (-?\d+)', str(error))
        if code is None:
            raise
        raise InputError(
            f'a process of the loader ended with {_ending(int(code[1]))}, as happens if the memory or /dev/shm is full; '
            'type a smaller {loader.workers=}, {loader.threads=} or {batch=}.'
        ) from error


def _ending(code):
    """Describes an exit code of multiprocessing: the name of a signal, or a status."""
    return signal.Signals(-code).name if code < 0 else f'exit status {code}'


def _begin_worker(*_):
    """Makes a worker end with its parent, and not before: a terminal sends its signals to both."""
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == 'linux':  # the kernel ends the worker if the parent is killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
