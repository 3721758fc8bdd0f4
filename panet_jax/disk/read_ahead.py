"""Work that is done in threads, a bounded number of items ahead of its reader."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator


def in_threads(function: Callable, items: Iterable, threads: int = 8, ahead: int = 4) -> Iterator[tuple]:
    """Yields (item, function(item)) in order; at most ahead * threads results wait for the reader.

    Leaving the iteration early ends the threads; an exception of `function` is raised when its item is due.
    """
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        pending = collections.deque()
        try:
            for item in items:
                pending.append((item, pool.submit(function, item)))
                if len(pending) > ahead * threads:
                    first, future = pending.popleft()
                    yield first, future.result()
            while pending:
                first, future = pending.popleft()
                yield first, future.result()
        finally:
            for _, future in pending:
                future.cancel()
