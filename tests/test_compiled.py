"""Compiled programs are kept where the user says."""

import os
import subprocess
import sys

import pytest
from tiny import ROOT

PROGRAM = """
import jax
from panet_jax.compute.compilation_cache import keep_compiled
keep_compiled({folder!r})
jax.jit(lambda x: (x @ x).sum())(jax.numpy.ones((4, 4)))
"""


def compile_something(folder=None, **variables):
    environment = {name: value for name, value in os.environ.items() if name != 'JAX_COMPILATION_CACHE_DIR'}
    environment |= {'PYTHONPATH': str(ROOT), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0'} | variables
    command = [sys.executable, '-W', 'error', '-c', PROGRAM.format(folder=folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize('how', ['named', 'default', 'environment', 'nowhere'])
def test_programs_are_kept(how, tmp_path):
    home, folder = tmp_path / 'home', tmp_path / 'folder'
    variables = {'PANET_JAX_CACHE': str(home)}
    if how == 'environment':
        variables['JAX_COMPILATION_CACHE_DIR'] = str(folder)
    compile_something({'named': str(folder), 'nowhere': ''}.get(how), **variables)
    kept = {'named': folder, 'default': home / 'compiled', 'environment': folder}
    for place in (folder, home / 'compiled'):
        assert place.is_dir() == (kept.get(how) == place)
        if place.is_dir():
            assert any(path.stat().st_size for path in place.iterdir())
