"""Arrays that one process makes and another takes, through shared memory: only their names are sent."""

import contextlib
import dataclasses
import secrets
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path('/dev/shm')  # of Linux; other systems do not list their shared memory


@dataclasses.dataclass(frozen=True)
class Shared:
    """An array in shared memory."""

    name: str
    shape: tuple
    dtype: np.dtype


def new_prefix() -> str:
    """A beginning for the names of a group of arrays; macOS takes 30 letters in all."""
    return f'panet-{secrets.token_hex(4)}-'


def share_array(value: Any, prefix: str) -> Any:
    """Puts an array into shared memory, for one process to take.

    Args:
        value: an array; anything else is returned as it is.
        prefix: beginning of its name.

    Returns:
        A Shared.
    """
    if not isinstance(value, np.ndarray) or not value.nbytes:
        return value
    memory = shared_memory.SharedMemory(prefix + secrets.token_hex(6), create=True, size=value.nbytes)
    np.ndarray(value.shape, value.dtype, memory.buf)[...] = value
    memory.close()
    return Shared(memory.name, value.shape, value.dtype)


def take_array(value: Any) -> Any:
    """The array of a Shared, whose memory is freed; anything else is returned as it is."""
    if not isinstance(value, Shared):
        return value
    memory = shared_memory.SharedMemory(value.name)
    array = np.ndarray(value.shape, value.dtype, memory.buf).copy()
    memory.close()
    memory.unlink()
    return array


def remove_all(prefix: str):
    """Frees the arrays that were shared and never taken, once the processes that made them have ended."""
    for path in FOLDER.glob(f'{prefix}*'):
        with contextlib.suppress(FileNotFoundError):
            if not path.stat().st_size:  # its process ended before it set the size
                path.unlink()
                continue
            memory = shared_memory.SharedMemory(path.name)
            memory.close()
            memory.unlink()
