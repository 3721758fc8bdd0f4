"""Locks between processes: one process at a time holds a file, and releases it however it ends."""

import contextlib
import errno
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

from panet_jax.disk.paths import in_bucket

LOGGER = logging.getLogger(__name__)
# The errors of file systems without locks: some mounts of Lustre, FUSE, Google Drive.
WITHOUT_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK)


@contextlib.contextmanager
def holding(path: Path, busy: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds a lock against other processes; where locks are impossible, warns and goes on without one.

    Args:
        path: the lock file, in a folder that exists, or in a bucket.
        busy: called when another process holds the lock. It may raise; otherwise this process waits.

    Yields:
        None, while the lock is held.
    """
    if in_bucket(path):
        LOGGER.warning('A bucket has no locks: let no other run write to %s meanwhile.', path.parent)
        yield
        return
    # No fallback to filelock's soft lock, a file that stays behind when its process is killed.
    lock = FileLock(path, fallback_to_soft=False)
    if not acquire(lock, timeout=0):
        if busy:
            busy()
        acquire(lock, timeout=-1)
    try:
        yield
    finally:
        lock.release()  # does nothing if the file system has no locks


def acquire(lock: BaseFileLock, timeout: float) -> bool:
    """Acquires a lock, or logs a warning if the file system has no locks.

    Args:
        lock: the lock.
        timeout: seconds to wait for another process; -1 waits without end.

    Returns:
        Whether this process may go on: it has the lock, or locks are impossible. False if another process holds it.

    Raises:
        OSError: the lock failed for another reason.
    """
    try:
        lock.acquire(timeout)
    except Timeout:
        return False
    except (NotImplementedError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in WITHOUT_LOCKS:
            raise
        folder = Path(lock.lock_file).parent
        LOGGER.warning('The file system of %s has no locks: let no other run write there meanwhile.', folder)
    return True
