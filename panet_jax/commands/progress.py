"""How far something has come: a bar on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar('Item')


def progress(items: Iterable[Item], what: str, total: int, seconds: float = 10) -> Iterator[Item]:
    """Yields items, and tells on stderr how many have come.

    Args:
        items: yielded in their order.
        what: the work, such as 'segmenting'.
        total: how many items will come.
        seconds: between two lines, where stderr is no terminal.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, what, total, unit='image')
        return
    told = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        if number < total and time.monotonic() - told >= seconds:
            print(f'{what}: {number} of {total}', file=sys.stderr, flush=True)
            told = time.monotonic()
