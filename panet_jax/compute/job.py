"""A job of several processes, usually one per host: how they join, and how all end when one does."""

import contextlib
import logging
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

LOGGER = logging.getLogger(__name__)
PATIENCE = 300  # seconds that a process waits for process 0
FAILED = 'panet_jax/failed'  # key of the reason that a failed process leaves for the others
_leaving = threading.Event()


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Joins the processes of a job. It must be the first use of JAX.

    Args:
        coordinator: 'HOST:PORT' where process 0 listens; None lets JAX detect it, as it can on Cloud TPU, under SLURM
            and under Open MPI.
        processes: number of processes, or None.
        process: number of this process, or None.

    Raises:
        InputError: an argument is missing or wrong, or process 0 cannot be reached within five minutes. (If other
            processes do not join, JAX ends process 0 after five minutes.)
    """
    if coordinator and (not coordinator.rpartition(':')[2].isdigit() or None in (processes, process)):
        raise InputError(
            f'--coordinator=HOST:PORT, --processes=N and --process=I go together, got {coordinator}, {processes} and {process}.'
        )
    _initialize(coordinator, processes, process)
    counts = np.bincount([device.process_index for device in jax.devices()])
    if counts.min() != counts.max():
        raise InputError(f'all processes must have the same number of devices, got {", ".join(map(str, counts))}.')
    threading.Thread(target=_end_with_others, args=(_client(),), daemon=True).start()


def _initialize(coordinator, processes, process):
    # Otherwise JAX handles SIGTERM itself, and the process does not end.
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
    """Waits until process 0 listens. JAX itself would abort the program after a wait without success."""
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
    """The key-value store of the job, the only way to reach a process that waits in a collective operation.

    `jax.distributed` has no public name for it; Orbax has one.
    """
    from orbax.checkpoint import multihost  # slow to import, and only needed for several processes

    return multihost.get_jax_distributed_client()


def _end_with_others(client):
    """Ends this process when another one has failed, for which it may be waiting in a collective operation."""
    while not _leaving.wait(1):  # a wait within the client would abort the interpreter when it ends
        with contextlib.suppress(Exception):  # no text yet, or the job is over
            LOGGER.error(client.key_value_try_get(FAILED))
            if is_primary():  # it holds the store, which the others still have to read
                time.sleep(3)
            os._exit(2)


def leave(status: int, sentence: str) -> None:
    """Ends this process and all others of the job, which might wait for it forever.

    Args:
        status: exit status of this process; the others exit with 2.
        sentence: the reason, for the others to print.
    """
    _leaving.set()
    sys.stdout.flush()
    sys.stderr.flush()
    with contextlib.suppress(Exception):  # another process was first
        _client().key_value_set(FAILED, f'process {jax.process_index()} ended: {sentence}')
    time.sleep(3)  # time for the others to read it, before their collective operations fail
    os._exit(status)


@contextlib.contextmanager
def none_left_waiting() -> Iterator[None]:
    """Ends all processes of a job when one meets an unexpected exception, and prints its traceback.

    Otherwise the others would wait for it in a collective operation for five minutes, and never learn the reason.

    Yields:
        None.
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
    """Whether this process has joined a job of several."""
    return jax.distributed.is_initialized() and jax.process_count() > 1
