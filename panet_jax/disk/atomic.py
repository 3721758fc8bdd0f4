"""Files that appear complete or not at all, on this machine and in buckets."""

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from panet_jax.disk.paths import AnyPath, in_bucket, workdir_path
from panet_jax.errors import InputError

if TYPE_CHECKING:
    from etils import epath


@contextlib.contextmanager
def replacing(path: 'str | os.PathLike') -> Iterator[Path]:
    """Gives a temporary local file to write to, which is renamed to `path` at the end, or removed if writing fails.

    Args:
        path: the file to write, on this machine or in a bucket; its folder is made if it does not exist.

    Yields:
        The path of the temporary file.

    Raises:
        InputError: a bucket does not take the file.
    """
    path = workdir_path(path)
    if in_bucket(path):
        with _uploading(path) as temporary:
            yield temporary
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{uuid.uuid4().hex}.tmp')  # a hidden name: no listing takes it for the file
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def append_bytes(path: AnyPath, data: bytes) -> None:
    """Adds bytes to the end of a file.

    An object in a bucket cannot grow, so it is read and written again: it must be small.

    Args:
        path: the file, on this machine or in a bucket; a new one is made.
        data: bytes to add.

    Raises:
        InputError: a bucket does not take the file.
    """
    if in_bucket(path):
        write_object(path, (path.read_bytes() if path.exists() else b'') + data)
        return
    with open(path, 'ab') as file:
        file.write(data)


def write_object(path: 'epath.Path', data: bytes) -> None:
    """Writes an object of a bucket, which appears complete.

    Args:
        path: address of the object.
        data: its content.

    Raises:
        InputError: the bucket does not exist, or does not take the object.
    """
    try:
        path.write_bytes(data)
    except Exception as error:  # gcsfs, aiohttp and google-auth raise exceptions of many kinds
        missing = isinstance(error, FileNotFoundError)
        reason = 'there is no such bucket' if missing else str(error).strip().partition('\n')[0][:200]
        raise InputError(
            f'{path} could not be written ({reason or type(error).__name__}); name a bucket that you may write to, log in with '
            'gcloud auth application-default login, and type the same command again.'
        ) from error


@contextlib.contextmanager
def _uploading(path: 'epath.Path') -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / path.name
        yield temporary
        write_object(path, temporary.read_bytes())
