"""The folder of what visitors of the demonstration page upload and find, which goes when the page does."""

import contextlib
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = 'panet_jax-demo-'
LOCK = 'lock'  # file that a page holds while it is served
YOUNG = 60  # seconds in which a page that has just made its folder will have locked it


@contextlib.contextmanager
def visitors_folder():
    """Gives the path of a new temporary folder, removed at the end, and removes those that a kill -9 left before."""
    remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(home / LOCK)
    with contextlib.suppress(OSError, NotImplementedError):  # a file system without locks: it is never a leftover
        lock.acquire()
    try:
        yield home
    finally:
        lock.release()
        _remove(home)


def _remove(home):
    """Removes the folder, again if a search that is under way has just written there."""
    for _ in range(10):
        shutil.rmtree(home, ignore_errors=True)
        time.sleep(0.2)
        if not home.exists():
            return


def remove_leftovers():
    """Removes the folders of pages of this user that run no more."""
    for folder in Path(tempfile.gettempdir()).glob(f'{PREFIX}*'):
        if _is_left_over(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_left_over(folder):
    try:
        about = folder.lstat()
        mine = stat.S_ISDIR(about.st_mode) and about.st_uid == getattr(os, 'getuid', lambda: 0)()
        if not mine or time.time() - about.st_mtime < YOUNG:
            return False
        with FileLock(folder / LOCK, timeout=0):
            return True
    except (Timeout, OSError, NotImplementedError):
        return False
