"""How a program ends: the one sentence and the exit status of everything that can stop it."""

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
    """What a program that somebody types has of its own.

    Attributes:
        name: that its sentences begin with.
        options: {setting: option} of the settings that have options here; see `InputError.worded`.
        memory: for what the memory does not suffice and what to type then, with settings in braces as in an InputError.
        again: what the same command does after a signal stopped it.
    """

    name: str = 'panet_jax'
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    memory: str = ''
    again: str = 'begins again'


class Ending(NamedTuple):
    """What is said at an end.

    Attributes:
        sentence: one line.
        status: the exit status.
        everywhere: whether all processes of a job end so, and none has to be told.
    """

    sentence: str
    status: int
    everywhere: bool = False


def ending(error: BaseException, front: FrontEnd) -> Ending | None:
    """How a program ends for an error.

    Args:
        error: what was raised.
        front: the program.

    Returns:
        The Ending; None for a defect, which wants its traceback, and for an exit that was meant.
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
        case RuntimeError() if 'RESOURCE_EXHAUSTED' in str(error):  # JAX's
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
    """Ends the program, with a sentence on stderr, for an error inside that is no defect.

    Args:
        front: the program.
        leave: called with the Ending after the sentence, before the program exits.
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
