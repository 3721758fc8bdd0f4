"""Doing things a little ahead of whoever waits for them."""

import collections
import concurrent.futures


def in_threads(function, items, threads=8, ahead=4):
    """Yields (item, function(item)) in order, at most ahead * threads ahead of the reader.

    Leaving the iteration early ends the threads; an exception of `function` arrives at its item.
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
