"""Signals: how Ctrl-C and others stop a run.

Most programs stop at once: `heed_signals` turns a signal into an exception. A training saves the current step first:
`caught_signals` notes a signal, and `Requests` makes all processes stop after the same step.
"""

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator

# SIGHUP: the terminal closed. SIGUSR1: SLURM sends it on request. Windows has neither.
ENDING = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGHUP', 'SIGUSR1') if hasattr(signal, name))
SAVE, STOP = 1, 2  # requests to a training after a step; STOP saves too


class Terminated(BaseException):
    """A signal other than Ctrl-C asked the program to end.

    Attributes:
        number: number of the signal.
    """

    def __init__(self, number: int = signal.SIGTERM):
        super().__init__(number)
        self.number = number


class Interrupted(Exception):
    """A signal ended the training; its last step is saved.

    Attributes:
        number: number of the signal.
    """

    def __init__(self, number: int, step: int):
        super().__init__(
            f'stopped by {signal.Signals(number).name}; step {step} is saved; the same command resumes there'
        )
        self.number = number


def name_and_status(stop: KeyboardInterrupt | Terminated) -> tuple[str, int]:
    """Describes the signal behind an exception.

    Args:
        stop: the exception.

    Returns:
        The name of the signal, and the exit status.
    """
    if isinstance(stop, Terminated):
        return signal.Signals(stop.number).name, 128 + stop.number
    return 'Ctrl-C', 128 + signal.SIGINT


def heed_signals() -> None:
    """Makes signals raise `Terminated`, as Ctrl-C raises KeyboardInterrupt, and sends lost signals again.

    A signal is lost if it arrives during a callback, where Python prints an exception and drops it. XLA has such a
    callback in every garbage collection.
    """
    heeded, previous_hook = _heeded(), sys.unraisablehook

    def terminate(number, _):
        _end_once(heeded)
        _leave_closed_terminal()
        raise Terminated(number)

    def send_again(lost):
        number = _number_of(lost)
        if number is None:
            previous_hook(lost)
            return
        _handle(heeded, terminate)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = send_again
    _handle(heeded, terminate)


@contextlib.contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Notes signals instead of stopping, so that the current step can end and be saved.

    A second Ctrl-C or SIGTERM acts as usual.

    Yields:
        A list, to which the numbers of the signals are added.
    """
    caught = []

    def note(number, _):
        caught.append(number)
        repeatable = number in (signal.SIGINT, signal.SIGTERM)
        if repeatable:
            signal.signal(number, previous[number])
        _leave_closed_terminal()
        hint = '; send it again to stop at once' if repeatable else ''
        os.write(2, f'\nfinishing this step to save it{hint}\n'.encode())  # print is not safe in a signal handler

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, *_heeded())}
    for number in previous:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Requests:
    """The requests to a training after its steps, the same on every process.

    Args:
        caught: numbers of the signals of this process, as from `caught_signals`.
        votes: (request of this process) -> highest request of all processes, such as `hosts.Votes`.
    """

    def __init__(self, caught: list[int], votes: Callable[[int], int]):
        self._caught, self._votes, self._request = caught, votes, 0

    def after_step(self, save_due: Callable[[], bool]) -> int:
        """The request after a step that is not the last one.

        Args:
            save_due: whether this process requests a checkpoint.

        Returns:
            0, SAVE or STOP.
        """
        # Signals are checked here only: a later one waits for the next step.
        self._request = self._votes(STOP if self._caught else SAVE if save_due() else 0)
        return self._request

    def end(self, step: int) -> None:
        """Ends the training after STOP, or after the last step, during which a signal may have come.

        Args:
            step: the step that was saved.

        Raises:
            Interrupted: a signal asked for the end.
        """
        if self._request == STOP or self._votes.last(STOP if self._caught else 0) == STOP:
            raise Interrupted(self._caught[0] if self._caught else signal.SIGTERM, step)


def _heeded():
    """The ending signals that this process does not ignore; `nohup` or a shell may have made it ignore some."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]


def _handle(numbers, handler):
    for number in numbers:
        signal.signal(number, handler)


def _end_once(heeded):
    """Ignores repeated signals, which would interrupt the cleanup; a second SIGTERM still ends the process."""
    _handle([number for number in heeded if number != signal.SIGTERM], signal.SIG_IGN)


def _number_of(lost):
    """The number of the signal whose exception Python dropped; None if it was another exception."""
    if lost.exc_type is Terminated:
        return lost.exc_value.number if lost.exc_value else signal.SIGTERM
    return signal.SIGINT if lost.exc_type is KeyboardInterrupt else None


def _leave_closed_terminal():
    """Sends output to /dev/null if the terminal is gone: otherwise the next print would fail and interrupt the cleanup."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
