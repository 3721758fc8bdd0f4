"""Laws of the losses, and of the whole method on one episode."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from random_episodes import random_episode

import panet_jax as pj
from panet_jax.method.losses import alignment_loss, cross_entropy, segmentation_loss
from panet_jax.method.panet import loss_of_features
from panet_jax.method.prototypes import class_prototypes, cosine_logits, masked_mean, upsample

COUNTS = st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))


def features_of(rng, ways, shots, queries, grid=5, channels=6):
    support = rng.normal(size=(ways, shots, grid, grid, channels)).astype(np.float32)
    query = rng.normal(size=(queries, grid, grid, channels)).astype(np.float32)
    return support, query


def plain_alignment(query_features, logits, support_features, foreground, background):
    """The alignment loss as nested loops, after PROTOCOL's words and the reference's alignLoss."""
    assigned = np.asarray(logits).argmax(-1)
    ways, shots = support_features.shape[:2]

    def prototype(label):
        chosen = query_features[assigned == label]
        return chosen.sum(0) / (len(chosen) + 1e-5)

    total = 0.0
    for way in range(ways):
        if not (assigned == way + 1).any():
            continue
        pair = np.stack([prototype(0), prototype(way + 1)])
        for shot in range(shots):
            up = upsample(cosine_logits(support_features[way, shot], pair), foreground.shape[-2:])
            label = np.where(foreground[way, shot] == 1, 1, np.where(background[way, shot] == 1, 0, 255))
            total += float(cross_entropy(up, label)) / shots / ways
    return total


@hypothesis.settings(max_examples=4)
@hypothesis.given(COUNTS, st.integers(0, 2**16))
def test_alignment_equals_loops(counts, seed):
    rng = np.random.default_rng(seed)
    episode = random_episode(rng, *counts, size=11)
    support, query = features_of(rng, *counts)
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query, class_prototypes(support, *masks))
    ours = alignment_loss(query, logits, support, *masks)
    np.testing.assert_allclose(ours, plain_alignment(query, logits, support, *masks), rtol=1e-4, atol=1e-5)


def test_alignment_passes_no_gradient_through_the_prediction(rng):
    support, query = features_of(rng, 2, 1, 1)
    episode = random_episode(rng, 2, size=11)
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query, class_prototypes(support, *masks))
    gradient = jax.grad(lambda x: alignment_loss(query, x, support, *masks))(logits)
    np.testing.assert_array_equal(gradient, 0)


def test_way_without_query_pixels_contributes_nothing(rng):
    support, query = features_of(rng, 2, 1, 1)
    episode = random_episode(rng, 2, size=11)
    masks = episode.support_foreground, episode.support_background
    logits = np.zeros((1, 5, 5, 3), np.float32)
    logits[..., 0] = 1
    logits[0, :2, :, 1] = 2  # ways: 1 has ten positions, 2 has none

    def loss(query, support):
        return alignment_loss(query, logits, support, *masks)

    value, (for_query, for_support) = jax.value_and_grad(loss, argnums=(0, 1))(query, support)
    alone = alignment_loss(query, logits[..., :2], support[:1], *(mask[:1] for mask in masks))
    np.testing.assert_allclose(value, alone / 2, rtol=1e-5)
    np.testing.assert_array_equal(for_support[1], 0)
    chex.assert_tree_all_finite((for_query, for_support))


def test_cross_entropy_ignores_void_in_value_and_gradient(rng):
    logits, labels = rng.normal(size=(4, 4, 3)).astype(np.float32), rng.integers(0, 3, (4, 4))
    labels[0] = 255
    value, gradient = jax.value_and_grad(cross_entropy)(logits, labels)
    log_probabilities = jax.nn.log_softmax(logits[1:])
    expected = -np.take_along_axis(np.asarray(log_probabilities), labels[1:, :, None], -1).mean()
    np.testing.assert_allclose(value, expected, rtol=1e-6)
    np.testing.assert_array_equal(gradient[0], 0)
    np.testing.assert_allclose(gradient[1:], (jax.nn.softmax(logits[1:]) - np.eye(3)[labels[1:]]) / 12, atol=1e-7)


@pytest.mark.parametrize('label', [-1, 3])
def test_a_label_that_there_is_not_makes_the_loss_nan(label):
    assert np.isnan(cross_entropy(jnp.ones((2, 3)), jnp.array([0, label])))


def test_cross_entropy_of_void_alone_is_zero():
    value, gradient = jax.value_and_grad(cross_entropy)(jnp.ones((2, 2, 3)), jnp.full((2, 2), 255))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_segmentation_loss_is_joint_over_queries(rng):
    logits, labels = rng.normal(size=(2, 3, 3, 2)).astype(np.float32), rng.integers(0, 2, (2, 6, 6))
    labels[0, :3] = 255
    losses = [segmentation_loss(logits[[q]], labels[[q]]) for q in range(2)]
    np.testing.assert_allclose(segmentation_loss(logits, labels), (18 * losses[0] + 36 * losses[1]) / 54, rtol=1e-5)


@pytest.mark.parametrize('counts', [(1, 1, 1), pytest.param((3, 2, 2), marks=pytest.mark.exhaustive)])
def test_loss_and_gradient_are_finite_whatever_is_empty(narrow_params, counts):
    step = jax.jit(jax.value_and_grad(pj.episode_loss, has_aux=True))
    full = random_episode(np.random.default_rng(0), *counts, size=17)
    nothing = jnp.zeros_like(full.support_foreground)
    cases = {
        'nothing': {},
        'foreground': {'support_foreground': nothing},
        'background': {'support_background': nothing},
        'both masks': {'support_foreground': nothing, 'support_background': nothing},
        'labels': {'query_labels': jnp.full_like(full.query_labels, 255)},
        # Zero images and zero biases make every feature zero: the cosine's NaN, if anything does.
        'images': {'support_images': full.support_images * 0, 'query_images': full.query_images * 0},
    }
    for case, change in cases.items():
        result = step(narrow_params, full.replace(**change))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result)), f'empty: {case}'


@pytest.mark.parametrize('counts', [(1, 1, 1), (3, 2, 2)])
def test_vmap_over_episodes_equals_a_loop(narrow_params, counts):
    episodes = [random_episode(np.random.default_rng(seed), *counts, size=17) for seed in range(3)]
    batch = jax.tree.map(lambda *x: np.stack(x), *episodes)
    one = jax.jit(lambda e: pj.episode_loss(narrow_params, e)[0])
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(batch), [one(e) for e in episodes], rtol=1e-5)


def test_gradient_agrees_with_finite_differences(rng):
    episode = random_episode(rng, 2, 1, 1, size=9)
    support, query = features_of(rng, 2, 1, 1, grid=3, channels=4)
    masks = episode.support_foreground, episode.support_background
    fixed = cosine_logits(query, class_prototypes(support, *masks))

    def loss(support, query):
        logits = cosine_logits(query, class_prototypes(support, *masks))
        return segmentation_loss(logits, episode.query_labels) + alignment_loss(query, fixed, support, *masks)

    check_grads(jax.jit(loss), (support, query), order=1, modes=['fwd', 'rev'], atol=2e-2, rtol=2e-2, eps=1e-3)


def test_loss_is_the_weighted_sum_of_its_terms(narrow_params, rng):
    episode = random_episode(rng, size=17)
    loss, terms = jax.jit(pj.episode_loss)(narrow_params, episode, align_weight=0.3)
    assert set(terms) == {'segmentation', 'alignment'}
    np.testing.assert_allclose(loss, terms['segmentation'] + 0.3 * terms['alignment'], rtol=1e-6)


def test_logits_have_the_size_of_the_query_and_follow_the_method(narrow_params, rng):
    episode = random_episode(rng, 2, 1, 3, size=17)
    logits = pj.episode_logits(narrow_params, episode)
    assert logits.shape == (3, 17, 17, 3)
    support, query = pj.encode_episode(narrow_params, episode)
    prototypes = pj.class_prototypes(support, episode.support_foreground, episode.support_background)
    up = jax.image.resize(cosine_logits(query, prototypes), logits.shape, 'bilinear')
    np.testing.assert_allclose(logits, up, atol=1e-4)


def test_masked_mean_over_queries_is_joint(rng):
    """Prototypes of the query's prediction pool all queries as one, not the mean of their means."""
    query = rng.normal(size=(2, 3, 3, 4)).astype(np.float32)
    support = rng.normal(size=(1, 1, 3, 3, 4)).astype(np.float32)
    logits = np.zeros((2, 3, 3, 2), np.float32)
    logits[0, 0, 0, 1] = logits[1, :2, :, 1] = 1  # one position of query 0, six of query 1
    masks = np.ones((1, 1, 3, 3), np.float32), np.zeros((1, 1, 3, 3), np.float32)
    joint = masked_mean(query.reshape(6, 3, 4), logits[..., 1].reshape(6, 3))
    rest = masked_mean(query.reshape(6, 3, 4), 1 - logits[..., 1].reshape(6, 3))
    expected = segmentation_loss(cosine_logits(support[0], jnp.stack([rest, joint])), np.ones((1, 3, 3), np.int32))
    np.testing.assert_allclose(alignment_loss(query, logits, support, *masks), expected, rtol=1e-5)


def test_swapped_arguments_of_losses_are_named(narrow_params, rng):
    support, query = features_of(rng, 2, 1, 1)
    episode = random_episode(rng, 2, size=11)
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query, class_prototypes(support, *masks))
    with pytest.raises(AssertionError, match='segmentation_loss wants query_logits'):
        segmentation_loss(episode.query_labels, logits)
    with pytest.raises(AssertionError, match='alignment_loss wants'):
        alignment_loss(logits, query, support, *masks)
    with pytest.raises(AssertionError, match='alignment_loss wants query_features'):
        alignment_loss(support, logits, query, *masks)
    with pytest.raises(TypeError, match=r'episode must be a pj\.Episode, got dict'):
        pj.episode_loss(episode, narrow_params)
    with pytest.raises(AssertionError, match='loss_of_features wants support_features'):
        loss_of_features(query, support, episode)
