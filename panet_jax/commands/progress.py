"""Progress: a bar on a terminal, a line every few seconds in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar('Item')


def progress(items: Iterable[Item], what: str, total: int, seconds: float = 10) -> Iterator[Item]:
    """Passes items on, and shows on stderr how many have passed.

    Args:
        items: the items.
        what: the work, such as 'segmenting'.
        total: number of items.
        seconds: seconds between two lines, if stderr is no terminal.

    Yields:
        The items, in order.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, what, total, unit='image')
        return
    last_line = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        if number < total and time.monotonic() - last_line >= seconds:
            print(f'{what}: {number} of {total}', file=sys.stderr, flush=True)
            last_line = time.monotonic()
