"""Several processes that work together, one a host as a rule: how they join, and what one tells the others.

Process 0 is the primary: it alone reads and writes the workdir and talks to the user. Everything here does
the plain thing when there is one process only.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import traceback

import jax
import numpy as np
from jax._src import distributed  # its client has no public name, and only it can end a process that waits
from jax.experimental import multihost_utils

from panet_jax.errors import InputError

PIECE_BYTES = 2**26  # of an array that is summed over processes
PATIENCE = 300  # seconds that a process waits for the first one
FAILED = 'panet_jax/failed'  # where a process that ends says why
_leaving = threading.Event()


def join(coordinator=None, processes=None, process=None):
    """Joins the processes of a job; comes before anything else that JAX does.

    Args:
        coordinator: 'HOST:PORT' that process 0 listens at; None lets JAX find out, as it can on Cloud TPU,
            under SLURM and under Open MPI.
        processes: how many there are, or None.
        process: this one's number, or None.

    Raises:
        InputError: something is missing or wrong, or process 0 cannot be reached within five minutes. (Process
            0, if the others do not come, is ended by JAX after five minutes.)
    """
    if coordinator and (not coordinator.rpartition(':')[2].isdigit() or None in (processes, process)):
        raise InputError(
            f'--coordinator=HOST:PORT, --processes=N and --process=I go together, got {coordinator}, {processes} and {process}.'
        )
    # JAX would answer a SIGTERM itself, by noting it only.
    jax.config.update('jax_enable_preemption_service', False)
    try:
        if coordinator and process:
            _wait_for(coordinator)
        jax.distributed.initialize(coordinator, processes, process)
    except (ValueError, TypeError, IndexError, RuntimeError, OSError) as error:
        raise InputError(
            f'the processes could not join ({str(error).splitlines()[0][:160]}); type --coordinator=HOST:PORT --processes=N '
            '--process=I on each, or start them with SLURM, Open MPI or on Cloud TPU.'
        ) from error
    counts = np.bincount([device.process_index for device in jax.devices()])
    if counts.min() != counts.max():
        raise InputError(f'each process must have as many devices, got {", ".join(map(str, counts))}.')
    threading.Thread(target=_end_with_others, daemon=True).start()


def _wait_for(coordinator):
    """Returns when process 0 listens: JAX, which cannot wait for that in vain, would abort the program."""
    host, _, port = coordinator.rpartition(':')
    for _ in range(PATIENCE):
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                return
        except OSError as error:
            failure = error
            time.sleep(1)
    raise failure


def _end_with_others():
    """Ends this process when another one says that it failed: it may wait for that one in a collective."""
    client = distributed.global_state.client
    while not _leaving.wait(1):  # a wait within the client would abort the interpreter when it ends
        with contextlib.suppress(Exception):  # nothing is there, or the job is over
            print(f'panet_jax: {client.key_value_try_get(FAILED)}', file=sys.stderr, flush=True)
            if is_primary():  # which keeps what was said for the others
                time.sleep(3)
            os._exit(2)


def leave(status, sentence):
    """Ends this process of several, and all others: they might wait for it for ever."""
    _leaving.set()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(Exception):  # another one was first
        text = f'process {jax.process_index()} ended: {sentence}'
        distributed.global_state.client.key_value_set(FAILED, text)
    time.sleep(3)  # or a collective fails that another one waits in, before it can have read why
    os._exit(status)


@contextlib.contextmanager
def none_left_waiting():
    """Ends all processes of a job when one meets an exception that nobody foresaw, and prints its traceback.

    The others would wait for it in a collective for five minutes, and never learn the reason.
    """
    try:
        yield
    except SystemExit:
        raise
    except BaseException as error:
        if not is_one_of_several() or getattr(error, 'everywhere', False):
            raise
        traceback.print_exc()
        leave(1, f'{type(error).__name__}: {error}')


def is_one_of_several():
    """Whether this process has joined others, which may wait for it."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def check_same(what, value):
    """Checks that all processes have the same; what differs would be averaged all the same.

    Args:
        what: to call it in the error.
        value: a text.
    """
    primary = value_from_primary(lambda: value)
    with together():
        if primary != value:
            raise InputError(f'{what} must be the same on all processes; here it differs from that of process 0.')


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
        error.everywhere = True
    if jax.process_count() > 1:
        texts = _texts_of_all((str(error) or type(error).__name__) if error else '')
        found = [(number, text) for number, text in enumerate(texts) if text]
        if found and not error:
            error = InputError.on_all(f'process {found[0][0]} of {len(texts)} failed: {found[0][1]}')
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
    """What function() returns on the primary, on every process; something that JSON can say."""
    value = None
    with together():
        if is_primary():
            value = function()
    if jax.process_count() == 1:
        return value
    text = _to_bytes(json.dumps(value))
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    return json.loads(_to_text(multihost_utils.broadcast_one_to_all(np.resize(text, length))))


def total(array):
    """The sum over processes of a numpy array [E, ...], in pieces of its first axis."""
    if jax.process_count() == 1:
        return array
    pieces = np.array_split(array, max(1, min(len(array), array.nbytes // PIECE_BYTES)))
    sums = [np.asarray(multihost_utils.process_allgather(piece)).sum(0, dtype=array.dtype) for piece in pieces]
    return np.concatenate(sums)


def _texts_of_all(text):
    """The text of each process, in their order."""
    data = _to_bytes(text)
    longest = int(multihost_utils.process_allgather(np.int32(len(data))).max())
    if not longest:
        return [''] * jax.process_count()
    padded = np.pad(data, (0, longest - len(data)))
    return [_to_text(row) for row in multihost_utils.process_allgather(padded)]


def _to_bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


def _to_text(data):
    return np.asarray(data, np.uint8).tobytes().rstrip(b'\0').decode(errors='replace')
