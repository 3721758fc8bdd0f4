"""Work in threads, a bounded number of items ahead of the reader."""

import collections
import concurrent.futures
from collections.abc import Callable, Iterable, Iterator


def in_threads(function: Callable, items: Iterable, threads: int = 8, ahead: int = 4) -> Iterator[tuple]:
    """Applies a function to items in threads, and yields the results in the order of the items.

    Leaving the iteration early ends the threads.

    Args:
        function: called with one item.
        items: read one by one, from the caller's thread.
        threads: number of threads.
        ahead: results that may wait for the reader, for each thread.

    Yields:
        (item, function(item)). An exception of `function` is raised when its item is due.
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
