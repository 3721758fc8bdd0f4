"""How a run is asked to stop, by Ctrl-C or another signal, and what it does and says then.

A program stops at once: `heed_signals` makes a signal an exception. A training stops after a step that it saves:
`caught_signals` notes a signal, and `Requests` has all processes stop after the same step.
"""

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator

# SIGHUP comes when the terminal closes, SIGUSR1 is SLURM's when it is asked for. Windows has neither.
ENDING = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGHUP', 'SIGUSR1') if hasattr(signal, name))
SAVE, STOP = 1, 2  # what a training can be asked for after a step; to stop is to save too


class Terminated(BaseException):
    """A signal other than Ctrl-C's asked for the end.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGTERM):
        super().__init__(number)
        self.number = number


class Interrupted(Exception):
    """A signal asked for the end, and the training is saved.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int, step: int):
        super().__init__(
            f'stopped by {signal.Signals(number).name}; step {step} is saved, the same command goes on there'
        )
        self.number = number


def name_and_status(stop: KeyboardInterrupt | Terminated) -> tuple[str, int]:
    """The name of the signal behind an exception, and the exit status."""
    if isinstance(stop, Terminated):
        return signal.Signals(stop.number).name, 128 + stop.number
    return 'Ctrl-C', 128 + signal.SIGINT


def heed_signals():
    """Makes signals raise `Terminated`, as Ctrl-C raises KeyboardInterrupt, and sends a signal again that was lost.

    It is lost if it comes during a callback: Python only prints an exception there, and XLA calls back from every
    garbage collection.
    """
    heeded, tell = _heeded(), sys.unraisablehook

    def terminate(number, _):
        _end_once(heeded)
        _leave_closed_terminal()
        raise Terminated(number)

    def send_again(lost):
        number = _number_of(lost)
        if number is None:
            tell(lost)
            return
        _handle(heeded, terminate)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), number))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = send_again
    _handle(heeded, terminate)


@contextlib.contextmanager
def caught_signals() -> Iterator[list[int]]:
    """Collects the numbers of signals in a list, so that a step can end and be saved.

    A second Ctrl-C or SIGTERM acts as usual.
    """
    caught = []

    def note(number, _):
        caught.append(number)
        again = number in (signal.SIGINT, signal.SIGTERM)
        if again:
            signal.signal(number, previous[number])
        _leave_closed_terminal()
        os.write(
            2, f'\nfinishing this step to save it{"; once more stops at once" * again}\n'.encode()
        )  # print is not safe

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, *_heeded())}
    for number in previous:
        signal.signal(number, note)
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Requests:
    """What a training is asked for after its steps, the same on every process.

    Args:
        caught: numbers of the signals of this process, from `caught_signals`.
        votes: this process's request -> the highest of all processes, as `hosts.Votes`.
    """

    def __init__(self, caught: list[int], votes: Callable[[int], int]):
        self._caught, self._votes, self._asked = caught, votes, 0

    def after_step(self, save_due: Callable[[], bool]) -> int:
        """What is asked for after a step, not the last one: 0, SAVE or STOP.

        Args:
            save_due: whether this process wants a checkpoint.
        """
        # Looked at once: a signal from here on waits for the next step.
        self._asked = self._votes(STOP if self._caught else SAVE if save_due() else 0)
        return self._asked

    def end(self, step: int):
        """Ends the training: after STOP, or after its last step, in which a signal may have come too.

        Args:
            step: that was saved.

        Raises:
            Interrupted: a signal asked for the end.
        """
        if self._asked == STOP or self._votes.last(STOP if self._caught else 0) == STOP:
            raise Interrupted(self._caught[0] if self._caught else signal.SIGTERM, step)


def _heeded():
    """The signals that ask for the end, without those that `nohup` or a shell made this process ignore."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]


def _handle(numbers, handler):
    for number in numbers:
        signal.signal(number, handler)


def _end_once(heeded):
    """Ignores further signals of the kinds that come several times, so that the end is not cut off. SIGTERM still acts."""
    _handle([number for number in heeded if number != signal.SIGTERM], signal.SIG_IGN)


def _number_of(lost):
    """The number of the signal whose exception Python could not raise, or None."""
    if lost.exc_type is Terminated:
        return lost.exc_value.number if lost.exc_value else signal.SIGTERM
    return signal.SIGINT if lost.exc_type is KeyboardInterrupt else None


def _leave_closed_terminal():
    """Sends output to /dev/null if the terminal is gone: each line would be an error, and the end incomplete."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
