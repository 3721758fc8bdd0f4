"""How a run is asked to end, by Ctrl-C or a signal, and what it says then."""

import contextlib
import os
import signal
import stat
import sys
import threading

# SIGHUP comes when the terminal closes, SIGUSR1 is SLURM's when it is asked for. Windows has neither.
ENDING = tuple(getattr(signal, name) for name in ('SIGTERM', 'SIGHUP', 'SIGUSR1') if hasattr(signal, name))


class Terminated(BaseException):
    """A signal other than Ctrl-C's asked for the end."""

    def __init__(self, number=signal.SIGTERM):
        super().__init__(number)
        self.number = number


class Interrupted(Exception):
    """A signal asked for the end; the state is saved."""

    def __init__(self, number, step):
        super().__init__(
            f'stopped by {signal.Signals(number).name}; step {step} is saved, the same command goes on there'
        )
        self.number = number


def name_and_status(stop):
    """What to call a KeyboardInterrupt or a Terminated, and the exit status."""
    if isinstance(stop, Terminated):
        return signal.Signals(stop.number).name, 128 + stop.number
    return 'Ctrl-C', 128 + signal.SIGINT


def heed_signals():
    """Lets signals raise `Terminated`, as Ctrl-C raises KeyboardInterrupt, and sends either again where it was lost.

    What is raised in a callback is only printed by Python, and XLA calls back from every garbage collection.
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
def caught_signals():
    """Collects signals that ask for the end in a list, so that a step can end and be saved.

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

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, *_heeded())}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _heeded():
    """The signals that ask for the end, but those that `nohup` or a shell had ignored."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]


def _handle(numbers, handler):
    for number in numbers:
        signal.signal(number, handler)


def _end_once(heeded):
    """Ignores what may come several times from now on: the end is not to be cut off. SIGTERM still acts."""
    _handle([number for number in heeded if number != signal.SIGTERM], signal.SIG_IGN)


def _number_of(lost):
    """The signal whose exception Python could not raise, or None."""
    if lost.exc_type is Terminated:
        return lost.exc_value.number if lost.exc_value else signal.SIGTERM
    return signal.SIGINT if lost.exc_type is KeyboardInterrupt else None


def _leave_closed_terminal():
    """Sends what is printed nowhere if the terminal is gone: each line would be an error, and the end incomplete."""
    for stream in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(stream).st_mode) and not os.isatty(stream):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
