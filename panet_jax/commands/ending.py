"""The endings of a program: one sentence and an exit status for everything that can stop it."""

import contextlib
import dataclasses
import errno
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from panet_jax.compute.interrupts import Interrupted, Terminated, name_and_status
from panet_jax.errors import InputError


@dataclasses.dataclass(frozen=True)
class FrontEnd:
    """What one program adds to the sentence with which it ends early.

    Attributes:
        name: first word of its sentences.
        options: {setting: option} of the settings that have options of their own; see `InputError.worded`.
        memory: what needs too much memory and what to type then, with settings in braces as in an InputError.
        again: what the same command does after a signal stopped it, such as 'begins again'.
    """

    name: str = 'panet_jax'
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    memory: str = ''
    again: str = 'begins again'


class Ending(NamedTuple):
    """The ending of a program.

    Attributes:
        sentence: one line.
        status: exit status.
        everywhere: whether all processes of a job end this way, so that none has to inform the others.
    """

    sentence: str
    status: int
    everywhere: bool = False


def ending(error: BaseException, front: FrontEnd) -> Ending | None:
    """The ending of a program for an exception.

    Args:
        error: the exception.
        front: the program.

    Returns:
        The Ending; None for a defect, which needs its traceback, and for a deliberate exit.
    """
    everywhere = getattr(error, 'everywhere', False)
    match error:
        case InputError():
            return Ending(error.worded(front.options), 2, everywhere)
        case Interrupted():
            return Ending(str(error), 128 + error.number, everywhere=True)
        case KeyboardInterrupt() | Terminated():
            name, status = name_and_status(error)
            return Ending(f'stopped by {name}; the same command {front.again}', status)
        case MemoryError():
            return Ending(_out_of_memory(error, front), 2, everywhere)
        case RuntimeError() if 'RESOURCE_EXHAUSTED' in str(error):  # from JAX
            return Ending(_out_of_memory(error, front), 2)
        case OSError() if error.filename is not None or error.errno == errno.ENOSPC:
            return Ending(f'{error.strerror}: {error.filename or "the workdir"}', 2, everywhere)
    return None


def _out_of_memory(error, front):
    reason = str(error).partition('\n')[0][:120] or type(error).__name__
    words = InputError(front.memory).worded(front.options)
    return f'the memory does not suffice{f" {words}" * bool(words)} ({reason})'


@contextlib.contextmanager
def exiting(front: FrontEnd, leave: Callable[[Ending], None] = lambda _: None) -> Iterator[None]:
    """Turns exceptions into a sentence on stderr and an exit status; a defect keeps its traceback.

    Args:
        front: the program.
        leave: called with the Ending after the sentence is printed, before the program exits.

    Yields:
        None.

    Raises:
        SystemExit: in place of the exception.
    """
    try:
        yield
    except BaseException as error:
        end = ending(error, front)
        if end is None:
            raise
        print(f'{front.name}: {end.sentence}', file=sys.stderr)
        leave(end)
        sys.exit(end.status)
