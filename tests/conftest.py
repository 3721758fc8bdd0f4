"""Two CPU devices, and JAX at its strictest, for every test."""

import os

os.environ['XLA_FLAGS'] = os.environ.get('XLA_FLAGS', '') + ' --xla_force_host_platform_device_count=2'
os.environ['JAX_PLATFORMS'] = 'cpu'

import hypothesis
import jax
import numpy as np
import pytest

jax.config.update('jax_numpy_rank_promotion', 'raise')

# The first example of a shape compiles, however long that takes.
hypothesis.settings.register_profile('laws', deadline=None, max_examples=12, derandomize=True)
hypothesis.settings.load_profile('laws')


@pytest.fixture(autouse=True)
def strict_dtypes(request):
    """No implicit promotion in our mathematics; optax's schedules, in a training, do promote."""
    if request.module.__name__ in ('test_train', 'test_evaluate'):
        yield
    else:
        with jax.numpy_dtype_promotion('strict'):
            yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope='session')
def narrow_params():
    """A network a sixteenth as wide: 32 features."""
    from panet_jax.encoder import init_encoder_params

    return init_encoder_params(jax.random.key(0), 1 / 16)
