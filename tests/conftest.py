"""Two CPU devices, and the strictest settings of JAX, for every test."""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

# Many tests, and the programs that they start, compile the same few functions: they share a cache.
COMPILED = Path(tempfile.gettempdir()) / f'panet_jax-compiled-{os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())}'
os.environ['JAX_COMPILATION_CACHE_DIR'] = str(COMPILED)
# With a size limit JAX locks the folder; without one, a process could read a file that another is still writing.
os.environ['JAX_COMPILATION_CACHE_MAX_SIZE'] = str(2**30)
os.environ['JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS'] = '0.2'
# Most of the time of the tests is compilation; without optimization it takes half as long.
FLAGS = '--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0'
os.environ['XLA_FLAGS'] = f'{os.environ.get("XLA_FLAGS", "")} {FLAGS}'
os.environ['JAX_PLATFORMS'] = 'cpu'

import hypothesis
import jax
import numpy as np
import pytest
from folders import make_own

import panet_jax as pj
from panet_jax.compute.interrupts import ENDING

# The tests, and the programs that they start, handle signals even under nohup or in a background job of a shell.
for number in (signal.SIGINT, *ENDING):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

jax.config.update('jax_numpy_rank_promotion', 'raise')

# No deadline: the first example of a shape compiles.
hypothesis.settings.register_profile('laws', deadline=None, max_examples=8, derandomize=True)
hypothesis.settings.load_profile('laws')


def pytest_sessionfinish(session):
    """The controller, which ends last, removes the folder of its workers."""
    if hasattr(session.config, 'workerinput'):
        return
    for folder in COMPILED.parent.glob('panet_jax-compiled-*'):
        if folder.name.endswith((str(os.getpid()), getattr(session.config, 'panet_run', 'none'))):
            shutil.rmtree(folder, ignore_errors=True)


def pytest_configure_node(node):
    """Notes the name of the run, which is in the name of the workers' folder."""
    node.config.panet_run = node.workerinput['testrunuid']


# Trainings in these files use optax's schedules, which promote dtypes.
PROMOTING = (
    'test_train',
    'test_evaluate',
    'test_events',
    'test_table',
    'test_workdir',
    'test_seeds',
    'test_seam',
    'test_encoder_training',
    'test_buckets',
)


@pytest.fixture(autouse=True)
def strict_dtypes(request):
    """Forbids implicit promotion of dtypes, except in trainings."""
    if request.module.__name__ in PROMOTING:
        yield
    else:
        with jax.numpy_dtype_promotion('strict'):
            yield


@pytest.fixture(autouse=True)
def signals_as_before():
    """Restores the handlers of signals that a command in the process of the tests has set."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
    hook = sys.unraisablehook
    yield
    sys.unraisablehook = hook
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def current_folder(tmp_path):
    """A temporary folder, which is the current one during a test."""
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope='session')
def narrow_params():
    """Parameters of a network of a sixteenth of the width: 32 features."""
    from panet_jax.method.vgg16 import init_encoder_params

    return init_encoder_params(jax.random.key(0), 1 / 16)


@pytest.fixture
def run_on_folder(current_folder, capsys, narrow_params):
    """A function (main of a benchmark, *arguments) -> (exit status, stdout, stderr), with narrow weights; data are in own/."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    make_own(current_folder / 'own', count=8)

    def run(main, *arguments):
        try:
            main(['--weights=narrow.safetensors', '--size=33', *arguments])
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run
