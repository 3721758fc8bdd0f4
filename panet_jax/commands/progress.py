"""How far something has come: a bar on a terminal, a line now and then in a log."""

import sys
import time

from tqdm import tqdm


def progress(items, what, total, seconds=10):
    """Yields items, and tells on stderr how many there were.

    Args:
        items: an iterable.
        what: is done with them, such as 'segmenting'.
        total: how many there are.
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
