"""Communication between the processes of a job: an error on one ends all, and values of one reach all.

Process 0 is the primary: it alone reads and writes the workdir and prints. With a single process, each function here
simply calls its argument.

    on_primary(f)             f runs on the primary; an error there ends all processes
    value_from_primary(f)     the same, and all processes get its value, which must be JSON
    from_primary(f, shapes)   the same for arrays
    primary_first(f)          f runs on all, on the primary before the others
    primary_only(f)           f on the primary; on the others, a function that does nothing
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

PIECE_BYTES = 2**26  # largest part of an array that is summed over processes at once


def is_primary() -> bool:
    """Whether this process is the primary, which writes and prints."""
    return jax.process_index() == 0


def is_own(number: int) -> bool:
    """Whether a piece of work belongs to this process: the processes take turns.

    Args:
        number: number of the piece, from 0.

    Returns:
        True on exactly one process.
    """
    return number % jax.process_count() == jax.process_index()


@dataclasses.dataclass(frozen=True)
class Share:
    """The share of one process of work that several divide: the pieces number, number + count, ...

    Attributes:
        number: number of the process, from 0.
        count: number of processes.
    """

    number: int = 0
    count: int = 1


def own_share() -> Share:
    """The Share of this process."""
    return Share(jax.process_index(), jax.process_count())


def bar_hidden() -> bool | None:
    """The argument `disable` of tqdm: only the primary shows a bar, and only in a terminal."""
    return None if is_primary() else True


def check_same(what: str, value: str) -> None:
    """Checks that a value is the same on all processes, as training assumes.

    Args:
        what: its name in the error.
        value: a text.

    Raises:
        InputError: on all processes, if one differs from process 0.
    """
    if jax.process_count() == 1:
        return
    # multihost_utils.assert_equal would not say which process differs.
    digest = np.frombuffer(hashlib.sha256(value.encode()).digest(), np.uint8)
    digests = multihost_utils.process_allgather(digest)
    different = np.flatnonzero((digests != digests[0]).any(1))
    if different.size:
        raise InputError.on_all(
            f'{what} must be the same on all processes; process {different[0]} differs from process 0.'
        )


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Makes an error on one process end all of them. The context must contain no collective operation.

    Yields:
        None.

    Raises:
        InputError: on the other processes, with the process that failed and its error.
    """
    error = None
    try:
        yield
    except Exception as caught:
        error = caught
        error.everywhere = True
    if jax.process_count() > 1:
        texts = _texts_of_all((str(error) or type(error).__name__) if error else '')
        failed = [number for number, text in enumerate(texts) if text]
        if failed and not error:
            error = InputError.on_all(f'process {failed[0]} of {len(texts)} failed: {texts[failed[0]]}')
    if error:
        raise error


def on_primary(function: Callable, *arguments: Any) -> Any:
    """Calls a function on the primary alone.

    Args:
        function: the function.
        *arguments: its arguments.

    Returns:
        Its value on the primary, None on the other processes.

    Raises:
        InputError: on the other processes, if the call fails.
    """
    with together():
        return function(*arguments) if is_primary() else None


def primary_only(function: Callable) -> Callable:
    """Restricts a function to the primary. Unlike with `on_primary`, an error does not reach the others.

    Args:
        function: the function.

    Returns:
        The same function on the primary; on the others it does nothing and returns None.
    """

    @functools.wraps(function)
    def called(*arguments, **options):
        return function(*arguments, **options) if is_primary() else None

    return called


def primary_first(function: Callable) -> Any:
    """Calls a function on every process, on the primary first: the others find its files on a shared disk.

    Args:
        function: called without arguments.

    Returns:
        Its value on this process.

    Raises:
        InputError: on the other processes, if a call fails.
    """
    result = None
    for turn in (True, False):
        with together():
            if is_primary() == turn:
                result = function()
    return result


def from_primary(function: Callable, shapes: Any) -> Any:
    """Calls a function on the primary and gives its arrays to every process.

    Args:
        function: called without arguments; returns a tree of arrays.
        shapes: the same tree, whose leaves have a shape and a dtype.

    Returns:
        The tree of arrays.

    Raises:
        InputError: on the other processes, if the call fails.
    """
    tree = on_primary(function)
    if jax.process_count() == 1:
        return tree
    if not is_primary():
        tree = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    return multihost_utils.broadcast_one_to_all(tree)


def value_from_primary(function: Callable) -> Any:
    """Calls a function on the primary and gives its value to every process.

    Args:
        function: called without arguments; returns a JSON value.

    Returns:
        The value.

    Raises:
        InputError: on the other processes, if the call fails.
    """
    value = on_primary(function)
    if jax.process_count() == 1:
        return value
    text = _to_bytes(json.dumps(value))
    length = int(multihost_utils.broadcast_one_to_all(np.int32(len(text))))
    return json.loads(_to_text(multihost_utils.broadcast_one_to_all(np.resize(text, length))))


def total(array: np.ndarray) -> np.ndarray:
    """The sum of an array over the processes.

    Args:
        array: numpy array [E, ...], of the same shape on each process; it is summed in pieces of its first axis.

    Returns:
        The sum, of the same shape and dtype.
    """
    if jax.process_count() == 1:
        return array
    pieces = np.array_split(array, max(1, min(len(array), array.nbytes // PIECE_BYTES)))
    sums = [np.asarray(multihost_utils.process_allgather(piece)).sum(0, dtype=array.dtype) for piece in pieces]
    return np.concatenate(sums)


class Votes:
    """The highest request of all processes after a step, so that all of them act after the same step.

    With several processes, a call returns the result of the call before: the devices compute the next step while the
    result is on its way.
    """

    def __init__(self):
        self._highest = devices.highest_of_all()
        self._pending = None

    def __call__(self, vote: int) -> int:
        """The highest vote of all processes at the call before.

        Args:
            vote: request of this process, 0 for none.

        Returns:
            The highest request; 0 at the first call.
        """
        if jax.process_count() == 1:
            return vote
        before, self._pending = self._pending, self._highest(vote)
        return 0 if before is None else int(before)

    def last(self, vote: int) -> int:
        """The highest vote of all processes after the last step, for which it waits.

        Args:
            vote: request of this process, 0 for none.

        Returns:
            The highest request.
        """
        self(vote)
        return self(vote)


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
