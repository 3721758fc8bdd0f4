"""A job of several processes, as a rule one a host: how they find each other, and how all end when one does."""

import contextlib
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator

import jax
import numpy as np

from panet_jax.compute.hosts import is_primary
from panet_jax.errors import InputError

PATIENCE = 300  # seconds that a process waits for the first one
FAILED = 'panet_jax/failed'  # the key under which a process that ends says why
_leaving = threading.Event()


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None):
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
    _initialize(coordinator, processes, process)
    counts = np.bincount([device.process_index for device in jax.devices()])
    if counts.min() != counts.max():
        raise InputError(f'each process must have as many devices, got {", ".join(map(str, counts))}.')
    threading.Thread(target=_end_with_others, args=(_client(),), daemon=True).start()


def _initialize(coordinator, processes, process):
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


def _wait_for(coordinator):
    """Returns when process 0 listens: JAX, if it waited for that in vain, would abort the program."""
    host, _, port = coordinator.rpartition(':')
    for _ in range(PATIENCE):
        try:
            with socket.create_connection((host, int(port)), timeout=5):
                return
        except OSError as error:
            failure = error
            time.sleep(1)
    raise failure


def _client():
    """The store of texts that all processes share: only it can reach a process that waits in a collective.

    `jax.distributed` has no public name for it; Orbax has.
    """
    from orbax.checkpoint import multihost  # slow to import, and wanted for several processes only

    return multihost.get_jax_distributed_client()


def _end_with_others(client):
    """Ends this process when another one says that it failed: this one may wait for that one in a collective."""
    while not _leaving.wait(1):  # a wait within the client would abort the interpreter when it ends
        with contextlib.suppress(Exception):  # no text yet, or the job is over
            print(f'panet_jax: {client.key_value_try_get(FAILED)}', file=sys.stderr, flush=True)
            if is_primary():  # which keeps the text for the others
                time.sleep(3)
            os._exit(2)


def leave(status: int, sentence: str):
    """Ends this process of several, and all others: they might wait for it for ever.

    Args:
        status: exit status of this process; that of the others is 2.
        sentence: why, for the others to print.
    """
    _leaving.set()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(Exception):  # another process was first
        _client().key_value_set(FAILED, f'process {jax.process_index()} ended: {sentence}')
    time.sleep(3)  # or a collective fails in another process before that can have read why
    os._exit(status)


@contextlib.contextmanager
def none_left_waiting() -> Iterator[None]:
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


def is_one_of_several() -> bool:
    """Whether this process has joined others, which may wait for it."""
    return jax.distributed.is_initialized() and jax.process_count() > 1
