"""Laws of prototypes that are adapted to a query."""

import chex
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from panet_jax.method.adapt import (
    ADAPTED,
    HEADS,
    PAPER,
    SEVERAL,
    Adaptation,
    adaptation_of,
    adapted_logits,
    adapted_prototypes,
)
from panet_jax.method.prototypes import COSINE_SCALE, cosine_logits
from panet_jax.settings import SETTINGS

SEEDS = st.integers(0, 2**16)
LABELS = st.integers(2, 5)


def drawn(seed, labels, side=6, channels=7):
    """Features of a query that shows each label in a part of it, and prototypes that are a little off."""
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(size=(labels, channels))
    shown = rng.integers(0, labels, (side, side))
    features = prototypes[shown] + 0.4 * rng.normal(size=(side, side, channels))
    prototypes = prototypes + 0.2 * rng.normal(size=prototypes.shape)
    return features.astype(np.float32), prototypes.astype(np.float32)


def looped(features, prototypes, adaptation):
    """The definition, position by position."""
    flat, adapted = features.reshape(-1, features.shape[-1]).astype(float), prototypes.astype(float)
    for _ in range(adaptation.rounds):
        lengths = np.linalg.norm(flat, axis=1)[:, None] * np.linalg.norm(adapted, axis=1)
        exponentials = np.exp(COSINE_SCALE * flat @ adapted.T / lengths)
        probabilities = exponentials / exponentials.sum(1, keepdims=True)
        adapted = prototypes.astype(float)
        for label in range(len(prototypes)):
            threshold = adaptation.foreground if label else adaptation.background
            own = probabilities[:, label] > threshold
            counts = np.where(own, probabilities[:, label] ** adaptation.power, 0)
            if own.any() and counts.sum() >= adaptation.least * len(flat):
                mean = counts @ flat / counts.sum()
                adapted[label] = (1 - adaptation.weight) * prototypes[label] + adaptation.weight * mean
    return adapted


@hypothesis.given(SEEDS, LABELS)
def test_no_round_is_the_papers_head_to_the_bit(seed, labels):
    features, prototypes = drawn(seed, labels)
    np.testing.assert_array_equal(adapted_prototypes(features, prototypes, PAPER), prototypes)
    np.testing.assert_array_equal(adapted_logits(features, prototypes, PAPER), cosine_logits(features, prototypes))


@hypothesis.given(SEEDS, LABELS, st.integers(1, 3))
def test_it_is_its_definition(seed, labels, rounds):
    features, prototypes = drawn(seed, labels)
    adaptation = Adaptation(rounds=rounds)
    found = adapted_prototypes(features, prototypes, adaptation)
    np.testing.assert_allclose(found, looped(features, prototypes, adaptation), atol=1e-4)


@pytest.mark.exhaustive
@hypothesis.given(SEEDS, LABELS)
def test_classes_in_another_order_have_the_same_prototypes(seed, labels):
    features, prototypes = drawn(seed, labels)
    order = np.r_[0, 1 + np.random.default_rng(seed).permutation(labels - 1)]
    found = adapted_prototypes(features, prototypes[order])
    np.testing.assert_allclose(found, adapted_prototypes(features, prototypes)[order], atol=1e-5)


def test_queries_and_episodes_at_once_are_those_one_by_one():
    episodes = [drawn(seed, 3) for seed in range(4)]
    features, prototypes = map(np.stack, zip(*episodes, strict=True))
    wanted = np.stack([adapted_prototypes(*each) for each in episodes])
    np.testing.assert_allclose(jax.vmap(adapted_prototypes)(features, prototypes), wanted, atol=1e-5)
    of_queries = jax.jit(jax.vmap(adapted_logits, (0, None)))(features, prototypes[0])
    np.testing.assert_allclose(of_queries, [adapted_logits(query, prototypes[0]) for query in features], atol=1e-4)


@pytest.mark.parametrize('adaptation', [Adaptation(foreground=1.0, background=1.0), Adaptation(least=1.0)])
def test_without_enough_confident_positions_the_prototypes_stay(adaptation):
    features, prototypes = drawn(0, 3)
    np.testing.assert_array_equal(adapted_prototypes(features, prototypes, adaptation), prototypes)


def test_empty_supports_and_blank_queries_are_finite_with_their_gradients():
    features, prototypes = drawn(0, 3)
    for some in ((features, 0 * prototypes), (0 * features, prototypes)):
        found = jax.value_and_grad(lambda f, p: (adapted_logits(f, p) ** 2).sum(), (0, 1))(*map(jnp.asarray, some))
        chex.assert_tree_all_finite(found)


def test_the_gradient_is_that_of_the_mixture_with_its_positions_held():
    features, prototypes = drawn(1, 2)
    weights = np.random.default_rng(1).normal(size=prototypes.shape)
    one = ADAPTED._replace(rounds=1)
    gradient = jax.grad(lambda p: (weights * adapted_prototypes(features, p, one)).sum())(prototypes)
    moved = np.abs(adapted_prototypes(features, prototypes, one) - prototypes).sum(-1) > 0
    np.testing.assert_allclose(gradient, np.where(moved, 1 - one.weight, 1)[:, None] * weights, rtol=1e-5)


def test_shapes_that_do_not_fit_are_refused():
    features, prototypes = drawn(0, 2)
    with pytest.raises(AssertionError):
        adapted_prototypes(features, prototypes[:, 1:])
    with pytest.raises(AssertionError):
        adapted_prototypes(features[None], prototypes)


def test_the_setting_has_all_heads_and_the_papers_first():
    assert SETTINGS['evaluation.head'].choices == HEADS
    assert SETTINGS['evaluation.head'].default == 'panet'
    assert [adaptation_of('panet', shots) for shots in (1, 5)] == [PAPER, PAPER]
    assert [adaptation_of('adapted', shots) for shots in (1, 5)] == [ADAPTED, SEVERAL]
