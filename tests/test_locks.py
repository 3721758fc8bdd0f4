"""Locks: one process at a time, whatever the file system and the operating system."""

import errno
import os
import subprocess
import sys
import textwrap

import filelock
import pytest

from panet_jax.disk.locks import acquire
from panet_jax.disk.workdir import locked
from panet_jax.errors import InputError


class FailingLock(filelock.BaseFileLock):
    """A lock of a file system on which locking fails."""

    error = None

    def _acquire(self):
        raise self.error

    def _release(self):
        raise AssertionError('it was never held')


def failing_lock(folder, error):
    lock = FailingLock(folder / '.lock')
    lock.error = error
    return lock


@pytest.mark.parametrize('code', [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_a_warning_is_logged_and_work_goes_on(tmp_path, caplog, code):
    assert acquire(failing_lock(tmp_path, OSError(code, os.strerror(code))), timeout=0)
    assert f'The file system of {tmp_path} has no locks' in caplog.text


def test_on_a_system_without_locks_work_goes_on(tmp_path, caplog):
    assert acquire(failing_lock(tmp_path, NotImplementedError()), timeout=0)
    assert 'has no locks' in caplog.text


def test_another_error_of_a_lock_is_not_swallowed(tmp_path):
    with pytest.raises(OSError, match='Input/output'):
        acquire(failing_lock(tmp_path, OSError(errno.EIO, 'Input/output error')), timeout=0)


HOLDER = """
    import pathlib, sys, time
    from panet_jax.disk.locks import holding
    with holding(pathlib.Path(sys.argv[1])):
        print('held', flush=True)
        time.sleep(100)
"""


def test_a_lock_goes_with_a_process_that_is_killed(tmp_path):
    command = [sys.executable, '-c', textwrap.dedent(HOLDER), str(tmp_path / '.lock')]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == 'held\n'
        with pytest.raises(InputError, match='another run is working'), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        pass


WITHOUT_UNIX = """
    import os, pathlib, signal, sys
    for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios'):
        sys.modules[name] = None
    for module, names in ((os, ('pread', 'posix_fallocate')), (signal, ('SIGHUP', 'SIGUSR1', 'SIGKILL'))):
        for name in names:
            delattr(module, name)
    import panet_jax, panet_jax.commands.cli, panet_jax.commands.data, panet_jax.main, panet_jax.commands.predict
    from panet_jax.compute.interrupts import caught_signals, heed_signals
    from panet_jax.disk.workdir import append_json_line, locked, read_json_lines
    heed_signals()
    folder = pathlib.Path(sys.argv[1])
    with locked(folder), caught_signals():
        append_json_line(folder / 'lines.jsonl', 1)
    print(read_json_lines(folder / 'lines.jsonl'))
"""


def test_the_library_needs_nothing_that_only_unix_has(tmp_path):
    command = [sys.executable, '-c', textwrap.dedent(WITHOUT_UNIX), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('[1]\n')
