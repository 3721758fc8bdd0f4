"""What is loaded when: names when they are asked for, and JAX when something is computed."""

import subprocess
import sys

import pytest
from tiny import ROOT

import panet_jax as pj

HEAVY = {
    'tensorflow_datasets',
    'matplotlib',
    'pycocotools',
    'skimage',
    'jax',
    'flax',
    'orbax',
    'optax',
    'scipy',
    'grain',
}


def loaded(code, *arguments):
    """The modules that are loaded when a program ends."""
    report = f'import sys, atexit; atexit.register(lambda: print(*sys.modules, file=sys.__stderr__))\n{code}'
    done = subprocess.run([sys.executable, '-c', report, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert 'Traceback' not in done.stderr, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize('module', ['panet_jax', 'panet_jax.config', 'panet_jax.main', 'panet_jax.commands.cli'])
def test_imports_are_light(module):
    modules = loaded(f'import {module}')
    assert module in modules
    assert not modules & HEAVY


RUN = 'from panet_jax.commands.cli import run; run()'
ANSWERED = {
    'help': ['--help'],
    'version': ['--version'],
    'fold': ['--config=configs/shapes.py', '--config.data.fold=7'],
    'nothing': [],
    'no experiment': ['train'],
    'experiment help': ['train', '--help'],
    'completion': ['completion', 'bash'],
    'no file': ['--config=configs/nope.py'],
    'option': ['--config=configs/shapes.py', '--workdr=x'],
    'setting': ['--config=configs/shapes.py', '--config.stps=3'],
    'command': ['predikt'],
    'predict help': ['predict', '--help'],
    'predict nothing': ['predict'],
    'predict support': ['predict', '--support', 'cat=nowhere.jpg:box=1,2,3,4', '--query', 'x'],
    'predict query': ['predict', '--segmenter=x.npz', '--query', 'nowhere'],
    'demo option': ['demo', '--prot=1'],
    'data help': ['data', 'check', '--help'],
    'data action': ['data', 'chek'],
    'data folder': ['data', 'check', 'nowhere'],
}


@pytest.mark.parametrize('words', ANSWERED.values(), ids=ANSWERED)
def test_help_and_mistakes_are_answered_before_anything_heavy_is_loaded(words):
    assert not loaded(RUN, *words) & HEAVY


def test_public_names_are_there_and_unknown_ones_are_not():
    assert all(getattr(pj, name) is not None for name in pj.__all__)
    assert set(pj.__all__) <= set(dir(pj))
    with pytest.raises(AttributeError, match='nothing'):
        _ = pj.nothing
