"""Laws of the prototype mathematics."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import absltest, parameterized

from panet_jax.method.prototypes import (
    bilinear_matrix,
    class_prototypes,
    cosine_logits,
    masked_mean,
    pool,
    transposed_upsample,
    unit,
    upsample,
)

SIDES = st.integers(1, 12)
SEEDS = st.integers(0, 2**16)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mask(seed, *shape):
    return (np.random.default_rng(seed + 1).random(shape) < 0.4).astype(np.float32)


def plain_masked_mean(features, masks):
    """Pull the features up, multiply, sum: the form that `masked_mean` avoids."""
    shape = (*features.shape[:-3], *masks.shape[-2:], features.shape[-1])
    up = jax.image.resize(features, shape, 'bilinear')
    return (up * masks[..., None]).sum((-3, -2)) / (masks.sum((-2, -1))[..., None] + 1e-5)


@hypothesis.settings(max_examples=5)
@hypothesis.given(SIDES, SIDES, SIDES, SIDES, SEEDS)
def test_pooling_equals_plain_form_in_value_and_gradient(h, w, extra_h, extra_w, seed):
    size = h + extra_h, w + extra_w
    features, masks, direction = normal(seed, h, w, 5), mask(seed, *size), normal(seed + 2, 5)
    np.testing.assert_allclose(masked_mean(features, masks), plain_masked_mean(features, masks), atol=2e-5)
    ours, plain = (jax.grad(lambda f, g=g: g(f, masks) @ direction)(features) for g in (masked_mean, plain_masked_mean))
    np.testing.assert_allclose(ours, plain, atol=2e-5)


@hypothesis.given(SIDES, SIDES, st.integers(0, 9), st.integers(0, 9), SEEDS)
def test_transposed_upsample_is_the_transpose(h, w, extra_h, extra_w, seed):
    size = h + extra_h, w + extra_w
    maps, weights = normal(seed, h, w, 1), normal(seed + 1, *size)
    left = (upsample(maps, size)[..., 0] * weights).sum()
    right = (maps[..., 0] * transposed_upsample(weights, (h, w))).sum()
    np.testing.assert_allclose(left, right, atol=1e-4)


@hypothesis.given(SIDES, st.integers(0, 30), SEEDS)
def test_upsample_equals_jax_image_resize(side, extra, seed):
    maps, out = normal(seed, 2, side, side, 3), side + extra
    expected = jax.image.resize(maps, (2, out, out, 3), 'bilinear')
    np.testing.assert_allclose(upsample(maps, (out, out)), expected, atol=1e-5)


@hypothesis.given(st.integers(1, 60), st.integers(1, 60))
def test_bilinear_matrix_rows_are_averages(out_size, in_size):
    matrix = bilinear_matrix(out_size, in_size)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    assert (matrix >= 0).all()
    assert ((matrix > 0).sum(1) <= 2).all()


def test_same_size_resampling_is_the_identity():
    np.testing.assert_array_equal(bilinear_matrix(7, 7), np.eye(7))


@hypothesis.given(st.integers(1, 6), SEEDS)
def test_mean_of_constant_features_is_the_constant(side, seed):
    vector, masks = normal(seed, 4), mask(seed, 3 * side, 3 * side)
    masks[0, 0] = 1
    features = np.broadcast_to(vector, (side, side, 4))
    np.testing.assert_allclose(masked_mean(features, masks), vector, rtol=1e-4, atol=1e-5)


def test_empty_mask_gives_zeros_with_zero_gradient():
    features, empty = normal(0, 5, 5, 3), np.zeros((20, 20), np.float32)
    value, gradient = jax.value_and_grad(lambda f: masked_mean(f, empty).sum())(features)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@hypothesis.given(st.integers(1, 3), st.integers(1, 4), SEEDS)
def test_shots_may_be_permuted_and_ways_permute_rows(ways, shots, seed):
    features = normal(seed, ways, shots, 4, 4, 6)
    foreground, background = mask(seed, ways, shots, 9, 9), mask(seed + 5, ways, shots, 9, 9)
    prototypes = class_prototypes(features, foreground, background)
    assert prototypes.shape == (1 + ways, 6)
    rng = np.random.default_rng(seed)
    shot_order, way_order = rng.permutation(shots), rng.permutation(ways)
    shuffled = class_prototypes(*(x[way_order][:, shot_order] for x in (features, foreground, background)))
    np.testing.assert_allclose(shuffled[0], prototypes[0], atol=1e-5)
    np.testing.assert_allclose(shuffled[1:], prototypes[1:][way_order], atol=1e-5)


def test_class_prototypes_are_means_over_shots_and_background_over_all():
    features, masks = normal(0, 2, 3, 4, 4, 5), mask(0, 2, 3, 8, 8)
    prototypes = class_prototypes(features, masks, 1 - masks)
    for way in range(2):
        shots = [masked_mean(features[way, shot], masks[way, shot]) for shot in range(3)]
        np.testing.assert_allclose(prototypes[1 + way], np.mean(shots, 0), atol=1e-6)
    everything = [masked_mean(features[n, k], 1 - masks[n, k]) for n in range(2) for k in range(3)]
    np.testing.assert_allclose(prototypes[0], np.mean(everything, 0), atol=1e-6)


@hypothesis.given(st.floats(1e-3, 1e3), SEEDS)
def test_logits_ignore_scale_and_rotation_of_features(scale, seed):
    features, prototypes = normal(seed, 3, 3, 6), normal(seed + 1, 2, 6)
    rotation = np.linalg.qr(normal(seed + 2, 6, 6))[0]
    logits = cosine_logits(features, prototypes)
    assert (abs(logits) <= 20 + 1e-4).all()
    np.testing.assert_allclose(cosine_logits(np.float32(scale) * features, prototypes), logits, atol=1e-3)
    np.testing.assert_allclose(cosine_logits(features @ rotation, prototypes @ rotation), logits, atol=1e-3)


@hypothesis.settings(max_examples=5)
@hypothesis.given(SEEDS)
def test_logits_are_products_of_unit_vectors_in_value_and_gradient(seed):
    features, prototypes, direction = normal(seed, 3, 4, 6), normal(seed + 1, 2, 6), normal(seed + 2, 3, 4, 2)
    features[0, 0] = 0

    def plain(features, prototypes):
        return 20 * unit(features) @ unit(prototypes).T

    np.testing.assert_allclose(cosine_logits(features, prototypes), plain(features, prototypes), atol=1e-5)
    arguments = features, prototypes
    ours, expected = (
        jax.grad(lambda *both, f=f: (f(*both) * direction).sum(), (0, 1))(*arguments) for f in (cosine_logits, plain)
    )
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_logit_of_a_feature_with_itself_is_20():
    features = normal(0, 2, 2, 6)
    np.testing.assert_allclose(cosine_logits(features, features[1])[1, :].diagonal(), 20, rtol=1e-6)


def test_unit_of_zero_is_zero_with_zero_gradient():
    value, gradient = jax.value_and_grad(lambda x: unit(x).sum())(jnp.zeros(4))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize('scale', [1e-6, 1.0, 1e6])
def test_unit_has_length_one_at_any_scale(scale):
    np.testing.assert_allclose(np.linalg.norm(unit(np.float32(scale) * normal(0, 5, 8)), axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ('function', 'shapes', 'argument'),
    [
        (masked_mean, [(9, 9), (4, 4, 6)], 'features'),
        (pool, [(2, 9, 9), (2, 4, 4, 6)], 'masks'),
        (cosine_logits, [(3, 6), (4, 4, 6)], 'features'),
        (cosine_logits, [(4, 4, 6), (3, 5)], 'prototypes'),
        (class_prototypes, [(2, 3, 9, 9), (2, 3, 4, 4, 6), (2, 3, 9, 9)], 'support_features'),
        (class_prototypes, [(2, 3, 4, 4, 6), (3, 2, 9, 9), (2, 3, 9, 9)], 'foreground'),
    ],
)
def test_swapped_arguments_are_named_while_jax_traces(function, shapes, argument):
    arguments = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]
    with pytest.raises(AssertionError, match=f'{function.__name__} wants {argument} '):
        jax.eval_shape(function, *arguments)


def test_swapped_or_untyped_arguments_are_named():
    with pytest.raises(AssertionError, match=r'upsample wants maps .* got tuple'):
        upsample((8, 8), normal(0, 4, 4, 2))
    with pytest.raises(AssertionError, match=r'masked_mean wants masks \[..., H, W\] float'):
        masked_mean(normal(0, 4, 4, 2), np.ones((9, 9), bool))


def test_axes_are_checked_under_vmap_as_those_of_one_example():
    features, masks = normal(0, 5, 4, 4, 2), mask(0, 5, 9, 9)
    np.testing.assert_allclose(jax.vmap(masked_mean)(features, masks), masked_mean(features, masks), rtol=1e-6)
    with pytest.raises(AssertionError, match='masked_mean wants features'):
        jax.vmap(masked_mean)(masks, features)


class Variants(chex.TestCase):
    """The same numbers with and without jit, on a device, and under pmap."""

    @chex.variants(with_jit=True, without_jit=True, with_device=True, with_pmap=True)
    @parameterized.parameters((1, 1), (2, 3))
    def test_class_prototypes(self, ways, shots):
        arguments = normal(0, ways, shots, 3, 3, 4), mask(0, ways, shots, 7, 7), mask(1, ways, shots, 7, 7)
        expected = class_prototypes(*arguments)
        np.testing.assert_allclose(self.variant(class_prototypes)(*arguments), expected, atol=1e-6)

    @chex.variants(with_jit=True, without_jit=True, with_device=True, with_pmap=True)
    def test_cosine_logits(self):
        arguments = normal(0, 2, 3, 3, 4), normal(1, 3, 4)
        np.testing.assert_allclose(self.variant(cosine_logits)(*arguments), cosine_logits(*arguments), atol=1e-5)


if __name__ == '__main__':
    absltest.main()
