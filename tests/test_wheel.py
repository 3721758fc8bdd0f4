"""The wheel: an environment that has it, and no clone, trains an experiment by its name.

The libraries are those of the tests; a release installs them too (.github/workflows/release.yml).
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from tiny import ROOT

import panet_jax

pytestmark = [pytest.mark.exhaustive, pytest.mark.xdist_group('wheel')]

OWN = """\
from panet_jax.config import named_config

def get_config(preset=''):
    config = named_config('shapes', preset)
    config.steps = 2
    return config
"""
TINY = [
    *('--config.data.size=33', '--config.encoder.width=0.03125', '--config.steps=2', '--config.batch=2'),
    *('--config.log_every=1', '--config.evaluation.runs=1', '--config.evaluation.episodes=3'),
    *('--config.evaluation.pictures=0', '--config.loader.threads=2'),
]


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
    """A wheel, built from the source distribution of a copy of the tree."""
    folder = tmp_path_factory.mktemp('built')
    ignored = shutil.ignore_patterns('.*', 'build', 'dist', 'runs', '*.egg-info', '__pycache__', 'venv')
    shutil.copytree(ROOT, folder / 'tree', ignore=ignored)
    subprocess.run([sys.executable, '-m', 'build', '-o', folder, folder / 'tree'], check=True, capture_output=True)
    (built,) = folder.glob('*.whl')
    return built


@pytest.fixture(scope='module')
def typed(wheel, tmp_path_factory):
    """Runs a program of an environment with the wheel, in an empty folder."""
    folder = tmp_path_factory.mktemp('clean')
    subprocess.run([sys.executable, '-m', 'venv', folder / 'venv'], check=True)
    programs = folder / 'venv' / ('Scripts' if os.name == 'nt' else 'bin')
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    subprocess.run([programs / 'pip', 'install', '-q', '--no-deps', wheel], check=True, env=environment)
    (packages,) = (folder / 'venv').rglob('site-packages')
    # After its own packages, so that the clone, which the tests' environment may name, comes last.
    (packages / 'libraries.pth').write_text(sysconfig.get_path('purelib') + '\n')
    (folder / 'here').mkdir()

    def run(program, *words):
        done = subprocess.run(
            [programs / program, *words], cwd=folder / 'here', env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    run.folder = folder / 'here'
    return run


def test_the_wheel_has_the_configurations_and_nothing_beside_the_package(wheel):
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    for path in (ROOT / 'configs').glob('*.py'):
        assert Path('panet_jax/configs') / path.name in names
    assert {name.parts[0] for name in names} == {'panet_jax', f'panet_jax-{panet_jax.__version__}.dist-info'}


def test_it_is_the_wheel_that_is_tried(typed):
    status, printed = typed('python', '-c', 'import panet_jax; print(panet_jax.__file__)')
    assert (status, 'site-packages' in printed, str(ROOT) in printed) == (0, True, False)


def test_an_experiment_is_named(typed):
    status, printed = typed('panet-jax', 'train', 'shapes', '--workdir=run', *TINY)
    assert status == 0, printed
    assert 'mean-IoU' in printed
    assert (typed.folder / 'run/results.json').is_file()


@pytest.mark.parametrize('experiment', ['shapes', 'own.py'])
def test_the_program_takes_a_name_and_a_file_that_inherits_from_it(typed, experiment):
    (typed.folder / 'own.py').write_text(OWN)
    # The configuration is read, then checked.
    status, printed = typed('python', '-m', 'panet_jax.main', f'--config={experiment}', '--config.data.fold=7')
    assert (status, printed) == (2, 'panet_jax: data.fold must be 0, 1, 2 or 3, got 7.\n')


def test_a_file_of_the_repository_is_not_there_and_its_name_is_told(typed):
    status, printed = typed('panet-jax', '--config=configs/shapes.py')
    assert (status, 'type --config=shapes for the one that comes with panet_jax' in printed) == (2, True)
