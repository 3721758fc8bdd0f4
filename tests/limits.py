"""Limits of the operating system, which make writing fail as a full disk does."""

import contextlib
import resource


@contextlib.contextmanager
def largest_file(size):
    """Makes writing beyond `size` bytes of any file an OSError in this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
