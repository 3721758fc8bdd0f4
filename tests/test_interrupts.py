"""Signals that ask for the end."""

import signal
import time

import pytest

from panet_jax.compute.interrupts import Terminated, heed_signals, name_and_status

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture
def heeding():
    """Signals as in a fresh program."""
    for number in ALL:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    heed_signals()


@pytest.mark.parametrize('number', ALL)
def test_a_signal_during_a_callback_is_not_lost(heeding, number):
    class Called:
        def __del__(self):
            signal.raise_signal(number)

    Called()  # Python ignores what its __del__ raises
    with pytest.raises((KeyboardInterrupt, Terminated)) as stop:
        time.sleep(20)
    assert name_and_status(stop.value) == ('Ctrl-C' if number == signal.SIGINT else number.name, 128 + number)


def test_what_comes_again_does_not_cut_off_the_end(heeding):
    with pytest.raises(Terminated) as stop:
        signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGHUP)  # as a terminal that closes does
    signal.raise_signal(signal.SIGUSR1)
    assert stop.value.number == signal.SIGHUP
    with pytest.raises(Terminated):
        signal.raise_signal(signal.SIGTERM)


def test_what_nohup_ignores_stays_ignored(heeding):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    heed_signals()
    signal.raise_signal(signal.SIGHUP)
