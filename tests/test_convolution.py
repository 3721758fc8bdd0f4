"""The encoder's convolution equals XLA's in value and gradient."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from panet_jax.method.convolution import convolve, kernel_gradient_by_rows, plain_convolve


def draw(seed, shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def gradients(function, images, kernel, weights, dilation):
    return jax.grad(lambda *both: (function(*both, dilation) * weights).sum(), (0, 1))(images, kernel)


@hypothesis.given(
    st.sampled_from((1, 2, 3, 4, 17)),
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 4),
    st.integers(1, 4),
    st.sampled_from((1, 2)),
)
def test_value_and_gradients_are_those_of_the_plain_form(batch, height, width, channels, out, dilation):
    images, kernel = draw(0, (batch, height, width, channels)), draw(1, (3, 3, channels, out))
    weights = draw(2, (batch, height, width, out))
    plain = plain_convolve(images, kernel, dilation)
    np.testing.assert_allclose(convolve(images, kernel, dilation), plain, rtol=1e-5, atol=1e-5)
    actual = gradients(convolve, images, kernel, weights, dilation)
    expected = gradients(plain_convolve, images, kernel, weights, dilation)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('dilation', [1, 2])
def test_it_can_be_mapped_and_rematerialised(dilation):
    images, kernel, weights = draw(0, (4, 2, 8, 8, 3)), draw(1, (3, 3, 3, 5)), draw(2, (4, 2, 8, 8, 5))

    def loss(function, kernel):
        return jax.vmap(lambda images, weights: (function(images, kernel, dilation) * weights).sum())(
            images, weights
        ).sum()

    actual = jax.jit(jax.grad(jax.checkpoint(functools.partial(loss, convolve))))(kernel)
    np.testing.assert_allclose(actual, jax.grad(functools.partial(loss, plain_convolve))(kernel), rtol=1e-4, atol=1e-4)


def test_directional_derivatives_take_two_reverse_passes():
    images, kernel = draw(0, (3, 6, 5, 2)), draw(1, (3, 3, 2, 4))
    directions = draw(2, images.shape), draw(3, kernel.shape)
    with pytest.raises(TypeError, match='custom_vjp'):
        jax.jvp(lambda *both: convolve(*both, 2), (images, kernel), directions)
    value, pull = jax.vjp(lambda *both: convolve(*both, 2), images, kernel)
    _, push = jax.vjp(pull, jnp.zeros_like(value))
    _, expected = jax.jvp(lambda *both: plain_convolve(*both, 2), (images, kernel), directions)
    np.testing.assert_allclose(push(directions)[0], expected, rtol=1e-4, atol=1e-4)


def test_half_precision_is_summed_in_single():
    images, gradient = draw(0, (1, 64, 64, 2)), draw(1, (1, 64, 64, 3))
    exact = kernel_gradient_by_rows(images, gradient, 1)
    half = kernel_gradient_by_rows(images.astype(jnp.bfloat16), gradient.astype(jnp.bfloat16), 1)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_allclose(half.astype(np.float32), exact, atol=0.02 * np.abs(exact).max())
