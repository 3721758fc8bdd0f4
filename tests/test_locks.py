"""Locks: one process at a time, whatever the file system and the operating system."""

import errno
import os
import subprocess
import sys
import textwrap

import filelock
import pytest

from panet_jax.datasets.prepare import locked_folder
from panet_jax.disk.locks import holding
from panet_jax.disk.workdir import locked
from panet_jax.errors import InputError


@pytest.mark.parametrize('code', [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_without_locks_a_warning_is_logged_and_work_goes_on(tmp_path, monkeypatch, caplog, code):
    def flock(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr('fcntl.flock', flock)
    with locked(tmp_path / 'run'), locked_folder(tmp_path / 'data'):
        pass
    for folder in ('run', 'data'):
        assert f'The file system of {tmp_path / folder} has no locks' in caplog.text


def test_on_a_system_without_locks_work_goes_on(tmp_path, monkeypatch, caplog):
    def acquire(*_):
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, '_acquire', acquire)
    with locked(tmp_path):
        assert 'has no locks' in caplog.text


def test_another_error_of_a_lock_is_not_swallowed(tmp_path, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr('fcntl.flock', flock)
    with pytest.raises(OSError, match='Input/output'), holding(tmp_path / '.lock'):
        pass


HOLDER = """
    import sys, time
    from panet_jax.disk.locks import holding
    with holding(sys.argv[1]):
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
    import os, signal, sys
    for name in ('fcntl', 'pwd', 'grp', 'resource', 'termios'):
        sys.modules[name] = None
    for module, names in ((os, ('pread', 'posix_fallocate')), (signal, ('SIGHUP', 'SIGUSR1', 'SIGKILL'))):
        for name in names:
            delattr(module, name)
    import panet_jax, panet_jax.commands.cli, panet_jax.commands.data, panet_jax.main, panet_jax.commands.predict
    from panet_jax.compute.interrupts import caught_signals, heed_signals
    from panet_jax.disk.workdir import append_json_line, locked, read_json_lines
    heed_signals()
    with locked(sys.argv[1]), caught_signals():
        append_json_line(sys.argv[1] + '/lines.jsonl', 1)
    print(read_json_lines(sys.argv[1] + '/lines.jsonl'))
"""


def test_the_library_needs_nothing_that_only_unix_has(tmp_path):
    command = [sys.executable, '-c', textwrap.dedent(WITHOUT_UNIX), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith('[1]\n')
