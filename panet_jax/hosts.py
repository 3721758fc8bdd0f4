"""Several processes that work together, one a host as a rule: how they join, and what one tells the others.

Process 0 is the primary: it alone reads and writes the workdir and talks to the user. Everything here does
the plain thing when there is one process only.
"""

import contextlib
import json

import jax
import numpy as np
from jax.experimental import multihost_utils

from panet_jax.errors import InputError

LONGEST_TEXT = 4096
PIECE_BYTES = 2**26  # of an array that is summed over processes


def join(coordinator=None, processes=None, process=None):
    """Joins the processes of a job; comes before anything else that JAX does.

    Args:
        coordinator: 'HOST:PORT' that process 0 listens at; None lets JAX find out, as it can on Cloud TPU,
            under SLURM and under Open MPI.
        processes: how many there are, or None.
        process: this one's number, or None.

    Raises:
        InputError: something is missing or wrong, or the others did not come within five minutes.
    """
    try:
        jax.distributed.initialize(coordinator, processes, process)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f'the processes could not join ({str(error).splitlines()[0][:160]}); type --coordinator=HOST:PORT --processes=N '
            '--process=I on each, or start them with SLURM, Open MPI or on Cloud TPU.'
        ) from error


def is_primary():
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def is_mine(number):
    """Whether piece `number` of some work is this process's: they take turns."""
    return number % jax.process_count() == jax.process_index()


def bar_hidden():
    """Tqdm's `disable`: a bar is shown in a terminal, and by the primary."""
    return None if is_primary() else True


@contextlib.contextmanager
def together():
    """Ends all processes with the mistake that one of them meets inside; nothing collective may be inside.

    Raises:
        InputError: on the others, what went wrong and where.
    """
    error = None
    try:
        yield
    except Exception as found:
        error = found
    if jax.process_count() > 1:
        texts = multihost_utils.process_allgather(_to_bytes(str(error) if error else ''))
        found = [(number, text) for number, text in enumerate(map(_to_text, texts)) if text]
        if found and not error:
            raise InputError(f'process {found[0][0]} of {len(texts)} failed: {found[0][1]}')
    if error:
        raise error


def primary_first(function):
    """function() on every process, on the primary before the others: what it puts on a shared disk is there."""
    result = None
    for turn in (True, False):
        with together():
            if is_primary() == turn:
                result = function()
    return result


def from_primary(function, like):
    """The arrays that function() returns on the primary, on every process; the others do not call it.

    Args:
        function: returns a tree of arrays.
        like: a tree of the same structure, of what has shape and dtype.
    """
    with together():
        tree = function() if is_primary() else jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), like)
    return tree if jax.process_count() == 1 else multihost_utils.broadcast_one_to_all(tree)


def value_from_primary(function):
    """What function() returns on the primary, on every process; something that JSON can say in 4 kB."""
    value = None
    with together():
        if is_primary():
            value = function()
    if jax.process_count() == 1:
        return value
    return json.loads(_to_text(multihost_utils.broadcast_one_to_all(_to_bytes(json.dumps(value)))))


def total(array):
    """The sum over processes of a numpy array [E, ...], in pieces of its first axis."""
    if jax.process_count() == 1:
        return array
    pieces = np.array_split(array, max(1, min(len(array), array.nbytes // PIECE_BYTES)))
    sums = [np.asarray(multihost_utils.process_allgather(piece)).sum(0, dtype=array.dtype) for piece in pieces]
    return np.concatenate(sums)


def _to_bytes(text):
    """A text as an array of fixed length."""
    data = np.zeros(LONGEST_TEXT, np.uint8)
    encoded = np.frombuffer(text.encode(), np.uint8)[:LONGEST_TEXT]
    data[: len(encoded)] = encoded
    return data


def _to_text(data):
    return np.asarray(data, np.uint8).tobytes().rstrip(b'\0').decode(errors='replace')
