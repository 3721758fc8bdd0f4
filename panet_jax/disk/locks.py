"""Locks between processes: a file that one process at a time holds, and releases however it ends."""

import contextlib
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from panet_jax.disk.paths import in_bucket

# The errors of file systems without locks: Lustre mounted without them, FUSE, a mounted Google Drive.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def holding(path: Path, busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock against other processes; where locks are impossible, says so and goes on without.

    Args:
        path: the lock file, in a folder that exists, or in a bucket.
        busy: called when another process holds the lock. It may raise; otherwise this process waits.
    """
    if in_bucket(path):
        print(f'A bucket has no locks: let no other run write to {path.parent} meanwhile.', flush=True)
        yield
        return
    # Without filelock's substitute, a file that would outlive a process that was killed.
    lock = FileLock(path, fallback_to_soft=False)
    if not _acquired(lock, timeout=0):
        if busy:
            busy()
        _acquired(lock, timeout=-1)
    try:
        yield
    finally:
        lock.release()  # does nothing if the file system has no locks


def _acquired(lock, timeout):
    """Whether the lock could be acquired, or is impossible, which is said; False if another process holds it."""
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
