"""Passes arrays from one process to another through shared memory; only their names are sent."""

import contextlib
import dataclasses
import secrets
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path('/dev/shm')  # Linux only; other systems do not list their shared memory


@dataclasses.dataclass(frozen=True)
class Shared:
    """An array in shared memory: its name there, shape and dtype."""

    name: str
    shape: tuple
    dtype: np.dtype


def new_prefix() -> str:
    """A random prefix for the names of a group of arrays; it is short, as macOS allows names of 30 characters."""
    return f'panet-{secrets.token_hex(4)}-'


def share_array(value: Any, prefix: str) -> Any:
    """Puts an array into shared memory, from which one process takes it.

    Args:
        value: an array; any other value is returned unchanged.
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
    """Takes an array out of shared memory, and frees the memory.

    Args:
        value: a Shared; any other value is returned unchanged.

    Returns:
        The array.
    """
    if not isinstance(value, Shared):
        return value
    memory = shared_memory.SharedMemory(value.name)
    array = np.ndarray(value.shape, value.dtype, memory.buf).copy()
    memory.close()
    memory.unlink()
    return array


def remove_all(prefix: str) -> None:
    """Frees arrays that were shared and never taken. The processes that made them must have ended.

    Args:
        prefix: beginning of their names.
    """
    for path in FOLDER.glob(f'{prefix}*'):
        with contextlib.suppress(FileNotFoundError):
            if not path.stat().st_size:  # its process ended before setting the size
                path.unlink()
                continue
            memory = shared_memory.SharedMemory(path.name)
            memory.close()
            memory.unlink()
