"""VGG-16 in the order that moves least equals the plain order of layers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from panet_jax.method.convolution import plain_convolve
from panet_jax.method.vgg16 import BLOCKS, POOL_STRIDES, encode, init_encoder_params, max_pool, max_pool_by_where


@pytest.fixture
def params():
    params = init_encoder_params(jax.random.key(0), 1 / 16)
    keys = jax.random.split(jax.random.key(1), len(params))
    for layer, key in zip(params.values(), keys, strict=True):  # a bias of 0 would hide where it is added
        layer['bias'] = 0.3 * jax.random.normal(key, layer['bias'].shape)
    return params


def plain_encode(params, images):
    """Convolution, bias, ReLU; a pool after each block but the last."""
    x = images
    for block, (convolutions, _) in enumerate(BLOCKS, 1):
        for i in range(1, convolutions + 1):
            layer = params[f'conv{block}_{i}']
            x = plain_convolve(x, layer['kernel'], 2 if block == 5 else 1) + layer['bias'][None, None, None]
            x = x if (block, i) == (5, 3) else nn.relu(x)
        x = max_pool(x, POOL_STRIDES[block - 1]) if block < 5 else x
    return x


@pytest.mark.parametrize('size', [17, pytest.param(24, marks=pytest.mark.exhaustive)])
def test_features_and_gradients_are_those_of_the_plain_order(params, size):
    images = jax.random.normal(jax.random.key(2), (2, size, size, 3))

    def both(function):
        def loss(params):
            features = function(params, images)
            return jnp.square(features).sum(), features

        return jax.jit(jax.grad(loss, has_aux=True))(params)

    (ours, features), (plain, expected) = both(encode), both(plain_encode)
    np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-5 * abs(expected).max())
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * abs(other).max())


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('size', [5, 8])
def test_both_pools_are_equal_bit_for_bit_for_ties_too(stride, size):
    x = jax.random.randint(jax.random.key(0), (2, size, size, 3), 0, 4).astype(jnp.float32)
    for pool in (max_pool, max_pool_by_where):
        assert pool(x, stride).shape == (2, -(-size // stride), -(-size // stride), 3)
    np.testing.assert_array_equal(max_pool_by_where(x, stride), max_pool(x, stride))
    ours, plain = (jax.grad(lambda x, p=p: jnp.square(p(x, stride)).sum())(x) for p in (max_pool_by_where, max_pool))
    np.testing.assert_array_equal(ours, plain)
