"""Arrays that one process makes and another takes, through shared memory: what is sent is only their name."""

import contextlib
import dataclasses
import secrets
from multiprocessing import shared_memory
from pathlib import Path

import numpy as np

FOLDER = Path('/dev/shm')  # Linux's; other systems do not list what is there


@dataclasses.dataclass(frozen=True)
class Shared:
    """An array in shared memory."""

    name: str
    shape: tuple
    dtype: np.dtype


def new_prefix():
    """What the names of a group of arrays begin with; macOS takes 30 letters in all."""
    return f'panet-{secrets.token_hex(4)}-'


def share(value, prefix):
    """Puts an array into shared memory, for one taker: a Shared. Anything else is returned as it is."""
    if not isinstance(value, np.ndarray) or not value.nbytes:
        return value
    memory = shared_memory.SharedMemory(prefix + secrets.token_hex(6), create=True, size=value.nbytes)
    np.ndarray(value.shape, value.dtype, memory.buf)[...] = value
    memory.close()
    return Shared(memory.name, value.shape, value.dtype)


def take(value):
    """The array of a Shared, whose memory is freed; anything else as it is."""
    if not isinstance(value, Shared):
        return value
    memory = shared_memory.SharedMemory(value.name)
    array = np.ndarray(value.shape, value.dtype, memory.buf).copy()
    memory.close()
    memory.unlink()
    return array


def remove_all(prefix):
    """Frees what was shared and never taken; its makers have ended."""
    for path in FOLDER.glob(f'{prefix}*'):
        with contextlib.suppress(FileNotFoundError):
            memory = shared_memory.SharedMemory(path.name)
            memory.close()
            memory.unlink()
