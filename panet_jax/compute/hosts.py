"""What one process of a job tells the others: one sees a mistake and all end, one reads and all have it.

Process 0 is the primary: it alone reads and writes the workdir and talks to the user. With one process, everything
here does the plain thing.

    on_primary(f)             f runs on the primary; a mistake that it meets ends all processes
    value_from_primary(f)     the same, and all processes get its value, which is something that JSON can say
    from_primary(f, shapes)   the same for arrays
    primary_first(f)          f runs on all, on the primary before the others
    primary_only(f)           f as a function that does nothing on the others
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from panet_jax.compute import devices
from panet_jax.errors import InputError

PIECE_BYTES = 2**26  # of an array that is summed over processes


def is_primary() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def is_mine(number: int) -> bool:
    """Whether piece `number` of some work is this process's: they take turns."""
    return number % jax.process_count() == jax.process_index()


@dataclasses.dataclass(frozen=True)
class Share:
    """A process's share of work that several take turns at: the pieces number, number + count, ...

    Attributes:
        number: of the process, from 0.
        count: of processes.
    """

    number: int = 0
    count: int = 1


def own_share() -> Share:
    """The Share of this process."""
    return Share(jax.process_index(), jax.process_count())


def bar_hidden() -> bool | None:
    """The argument `disable` of tqdm: the primary alone shows a bar, and only in a terminal."""
    return None if is_primary() else True


def check_same(what: str, value: str):
    """Checks that all processes have the same value: otherwise training would average over different ones.

    Args:
        what: how the error calls it.
        value: a text.

    Raises:
        InputError: a process differs from process 0; on all processes.
    """
    if jax.process_count() == 1:
        return
    # Not multihost_utils.assert_equal: its AssertionError prints arrays, and does not say which process differs.
    digest = np.frombuffer(hashlib.sha256(value.encode()).digest(), np.uint8)
    digests = multihost_utils.process_allgather(digest)
    different = np.flatnonzero((digests != digests[0]).any(1))
    if different.size:
        raise InputError.on_all(
            f'{what} must be the same on all processes; process {different[0]} differs from process 0.'
        )


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Ends all processes with the mistake that one of them meets inside; nothing collective may be inside.

    Raises:
        InputError: on the others, what went wrong and where.
    """
    error = None
    try:
        yield
    except Exception as own:
        error = own
        error.everywhere = True
    if jax.process_count() > 1:
        texts = _texts_of_all((str(error) or type(error).__name__) if error else '')
        failed = [number for number, text in enumerate(texts) if text]
        if failed and not error:
            error = InputError.on_all(f'process {failed[0]} of {len(texts)} failed: {texts[failed[0]]}')
    if error:
        raise error


def on_primary(function: Callable, *arguments: Any) -> Any:
    """What function(*arguments) returns on the primary; None on the others, which do not call it.

    Raises:
        InputError: on the others, a mistake that the primary meets.
    """
    with together():
        return function(*arguments) if is_primary() else None


def primary_only(function: Callable) -> Callable:
    """A function that does what `function` does on the primary, and nothing on the others, where it returns None.

    A mistake inside is the primary's alone: the others do not wait to learn of it, as they do in `on_primary`.
    """

    @functools.wraps(function)
    def called(*arguments, **options):
        return function(*arguments, **options) if is_primary() else None

    return called


def primary_first(function: Callable) -> Any:
    """function() on every process, on the primary before the others, so that these see what it writes to a shared disk."""
    result = None
    for turn in (True, False):
        with together():
            if is_primary() == turn:
                result = function()
    return result


def from_primary(function: Callable, shapes: Any) -> Any:
    """The arrays that function() returns on the primary, on every process; the others do not call it.

    Args:
        function: returns a tree of arrays.
        shapes: the same tree, of anything that has shape and dtype.
    """
    tree = on_primary(function)
    if jax.process_count() == 1:
        return tree
    if not is_primary():
        tree = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return multihost_utils.broadcast_one_to_all(tree)


def value_from_primary(function: Callable) -> Any:
    """What function() returns on the primary, on every process: something that JSON can say."""
    value = on_primary(function)
    if jax.process_count() == 1:
        return value
    text = _to_bytes(json.dumps(value))
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    return json.loads(_to_text(multihost_utils.broadcast_one_to_all(np.resize(text, length))))


def total(array: np.ndarray) -> np.ndarray:
    """The sum over processes of a numpy array [E, ...], in pieces of its first axis."""
    if jax.process_count() == 1:
        return array
    pieces = np.array_split(array, max(1, min(len(array), array.nbytes // PIECE_BYTES)))
    sums = [np.asarray(multihost_utils.process_allgather(piece)).sum(0, dtype=array.dtype) for piece in pieces]
    return np.concatenate(sums)


class Votes:
    """What any process wants after a step, so that all of them do it after the same one.

    With several processes the answer is that of the call before, so that the devices have the next step to
    do while this one is waited for.
    """

    def __init__(self):
        self._highest = devices.highest_of_all()
        self._before = None

    def __call__(self, wanted: int) -> int:
        """The highest vote of all.

        Args:
            wanted: this process's vote, 0 for nothing.
        """
        if jax.process_count() == 1:
            return wanted
        before, self._before = self._before, self._highest(wanted)
        return 0 if before is None else int(before)

    def last(self, wanted: int) -> int:
        """The same, and waits: after the last step there is no later one."""
        self(wanted)
        return self(wanted)


def _texts_of_all(text):
    """The text of each process, in their order."""
    data = _to_bytes(text)
    longest = int(multihost_utils.process_allgather(np.int32(len(data))).max())
    if not longest:
        return [''] * jax.process_count()
    padded = np.pad(data, (0, longest - len(data)))
    return [_to_text(row) for row in multihost_utils.process_allgather(padded)]


def _to_bytes(text):
    return np.frombuffer(text.encode(), np.uint8)


def _to_text(data):
    return np.asarray(data, np.uint8).tobytes().rstrip(b'\0').decode(errors='replace')
