"""Locks between processes: files that one process at a time holds, and that it lets go of however it ends."""

import contextlib
import errno
from pathlib import Path

from filelock import FileLock, Timeout

from panet_jax.disk.paths import in_bucket

# What systems say where a file system has no locks: Lustre without its option, FUSE, a mounted Drive.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def holding(path, busy=None):
    """Holds a lock against other processes; where there can be none, goes on with a remark.

    Args:
        path: of the lock file, whose folder is there.
        busy: called when another process holds it. It may raise; otherwise that process is waited for.
    """
    if in_bucket(path):
        print(f'A bucket has no locks: let no other run write to {path.parent} meanwhile.', flush=True)
        yield
        return
    # Not filelock's own substitute for a lock: it would outlive a process that was killed.
    lock = FileLock(path, fallback_to_soft=False)
    if not _acquired(lock, timeout=0):
        if busy:
            busy()
        _acquired(lock, timeout=-1)
    try:
        yield
    finally:
        lock.release()  # nothing, if it was not to be had


def _acquired(lock, timeout):
    """Acquires a lock, or says that there can be none; whether no other process has it."""
    try:
        lock.acquire(timeout)
    except Timeout:
        return False
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
            raise
        folder = Path(lock.lock_file).parent
        print(f'The file system of {folder} has no locks: let no other run write there meanwhile.', flush=True)
    return True
