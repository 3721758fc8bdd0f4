"""The folder of what visitors of the demonstration page upload and find. It is removed when the page ends."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = 'panet_jax-demo-'
LOCK = 'lock'  # file that a page holds while it is served
YOUNG = 60  # seconds; a page locks its folder sooner after making it


@contextlib.contextmanager
def visitors_folder(parent: Path) -> Iterator[Path]:
    """Makes a new folder, which is removed at the end. Folders that a kill -9 left are removed first.

    Args:
        parent: the folder for temporary files.

    Yields:
        The new folder.
    """
    remove_leftovers(parent)
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = FileLock(home / LOCK)
    with contextlib.suppress(OSError, NotImplementedError):  # a file system without locks: it is never a leftover
        lock.acquire()
    try:
        yield home
    finally:
        lock.release()
        _remove(home)


def _remove(home):
    """Removes the folder. It tries again, as a search may be writing there."""
    for _ in range(10):
        shutil.rmtree(home, ignore_errors=True)
        time.sleep(0.2)
        if not home.exists():
            return


def remove_leftovers(parent: Path) -> None:
    """Removes the folders of this user's pages that no longer run.

    Args:
        parent: the folder for temporary files.
    """
    for folder in parent.glob(f'{PREFIX}*'):
        if _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder):
    try:
        status = folder.lstat()
        is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == getattr(os, 'getuid', lambda: 0)()
        if not is_own or time.time() - status.st_mtime < YOUNG:
            return False
        with FileLock(folder / LOCK, timeout=0):
            return True
    except (Timeout, OSError, NotImplementedError):
        return False
