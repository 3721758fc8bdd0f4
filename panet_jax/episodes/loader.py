"""Batches of episodes, read ahead by Grain's threads and, on machines with many cores, its processes."""

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
from panet_jax.episodes.sampling import Episodes
from panet_jax.episodes.shared_arrays import new_prefix, remove_all, share_array, take_array
from panet_jax.errors import InputError
from panet_jax.method.episode import Episode

ALONE = Share()  # of one host
PR_SET_PDEATHSIG = 1


@dataclasses.dataclass(frozen=True)
class Readers:
    """Who reads episodes ahead. Neither number changes what comes.

    Attributes:
        threads: that read and assemble, in each process; 0 does it when a batch is asked for.
        workers: processes, 0 for none.
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
        episodes: to take; step s takes the episodes s * batch to (s + 1) * batch - 1.
        batch: episodes per step, over all hosts.
        steps: where to stop.
        start: the first step, after a restart.
        readers: who reads.
        share: of this host in each batch: every share.count-th episode.

    Yields:
        An iterator of Episodes [batch / share.count, ...], compact. Leaving the context ends threads and
        processes; if this process is killed, its workers die with it.

    Raises:
        InputError: an image cannot be read, or a process was killed; raised by the iterator, naming the image.
    """
    if batch % share.count:
        raise InputError(f'a batch of {batch} episodes does not divide over {share.count} hosts.')
    own, prefix = batch // share.count, new_prefix()
    dataset = grain.MapDataset.source(_Range(episodes, steps * batch))[share.number :: share.count][start * own :]
    iterator = iter(
        _read_by_processes(dataset, own, readers, prefix) if readers.workers else _read(dataset, own, readers)
    )
    batches = _taken(iterator)
    try:
        yield batches
    finally:
        batches.close()  # which lets go of the iterator; at the interpreter's end Grain could no longer clean up
        iterator.close()
        remove_all(prefix)


def stack(episodes: Sequence[Episode | InputError]) -> Episode | InputError:
    """Episodes -> one Episode whose arrays have a leading axis B; the first mistake, if one is among them."""
    for episode in episodes:
        if isinstance(episode, InputError):
            return episode
    return jax.tree.map(lambda *arrays: np.stack(arrays), *episodes)


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


def _read(dataset, batch, readers):
    """Batches of a dataset of episodes, read by threads of this process."""
    options = grain.ReadOptions(num_threads=readers.threads, prefetch_buffer_size=_ahead(batch, readers))
    return dataset.to_iter_dataset(options).batch(batch, batch_fn=stack)


def _read_by_processes(dataset, batch, readers, prefix):
    """The same by threads of worker processes; arrays come through shared memory, under names with `prefix`."""
    # Batches are made before the work is split, so that the split does not change them.
    ahead = -(-_ahead(batch, readers) // batch)
    options = grain.ReadOptions(num_threads=readers.threads, prefetch_buffer_size=ahead)
    dataset = dataset.batch(batch, batch_fn=functools.partial(_shared_stack, prefix=prefix)).to_iter_dataset(options)
    if not flags.FLAGS.is_parsed():  # Grain reads one of its flags; used as a library, nothing has parsed any
        flags.FLAGS.mark_as_parsed()
    workers = grain.MultiprocessingOptions(num_workers=readers.workers)
    return dataset.mp_prefetch(workers, worker_init_fn=_begin_worker)


def _ahead(batch, readers):
    """How many episodes are read ahead: two batches, and one for each thread."""
    return max(readers.threads, 2 * batch) if readers.threads else 0


def _shared_stack(episodes, prefix):
    """`stack` in a worker, whose arrays the reader takes out of shared memory."""
    return jax.tree.map(functools.partial(share_array, prefix=prefix), stack(episodes))


def _taken(iterator):
    """The batches of an iterator, out of the shared memory of a worker; mistakes are raised."""
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
            f'a process of the loader ended by itself, with {_ending(int(code[1]))}, as when the memory or /dev/shm is full; '
            'type a smaller {loader.workers=}, {loader.threads=} or {batch=}.'
        ) from error


def _ending(code):
    """The words for an exit code of multiprocessing: a signal's name, or a status."""
    return signal.Signals(-code).name if code < 0 else f'exit status {code}'


def _begin_worker(*_):
    """Makes a worker end when its parent does, and not before: a terminal sends its signals to both."""
    for number in (signal.SIGINT, *ENDING):
        signal.signal(number, signal.SIG_IGN)
    if sys.platform == 'linux':  # if the parent is killed the kernel ends the worker, which would live on otherwise
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
