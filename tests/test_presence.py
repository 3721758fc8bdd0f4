"""Whether a class is there: laws of what is found, and the decision on constructed heaps."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from panet_jax.method.presence import (
    SHRINKAGE,
    Views,
    find,
    presence,
    presence_scores,
    probabilities,
    statistics_of,
    views_of_references,
)
from panet_jax.method.prototypes import Pooled

SEEDS = st.integers(0, 2**16)
GRID, CHANNELS = 6, 24
ABOVE = 0.15


def scene(rng, vectors, shown=None, noise=0.5):
    """Features of a photograph of clutter, a corner of which shows a class or none."""
    features = rng.normal(size=(GRID, GRID, CHANNELS)) + vectors[0]
    if shown is not None:
        features[:3, :3] = vectors[1 + shown] + noise * rng.normal(size=(3, 3, CHANNELS))
    return features.astype(np.float32)


def of_folder(found, prototypes, views):
    """[M, N]: the probabilities of all photographs, each alone."""
    statistics = statistics_of(views)
    return np.stack([presence(one, prototypes, statistics) for one in found])


def a_folder(seed, classes=3, shots=3, photographs=40, part=0.2):
    """Photographs of some classes, and references: (found, prototypes, views, truth)."""
    rng = np.random.default_rng(seed)
    vectors = 2 * rng.normal(size=(1 + classes, CHANNELS))
    labels = np.repeat(np.arange(classes), shots)
    grids = np.stack([scene(rng, vectors, label) for label in labels])
    covered = np.zeros((len(labels), GRID, GRID))
    covered[:, :3, :3] = 1
    own = np.eye(classes)[labels]
    foreground = Pooled(own[..., None] * grids[:, None, :3, :3].sum((2, 3)), 9.0 * own)
    outside = (grids * (1 - covered)[..., None]).sum((1, 2)), np.full(len(labels), GRID**2 - 9.0)
    views = views_of_references(grids, covered, foreground, Pooled(*outside))
    of_classes = np.stack([foreground.mean()[labels == n, n].mean(0) for n in range(classes)])
    prototypes = np.concatenate([Pooled(*outside).mean().mean(0)[None], of_classes]).astype(np.float32)
    shown = [int(rng.integers(classes)) if rng.random() < part else None for _ in range(photographs)]
    found = np.stack([jax.jit(find)(scene(rng, vectors, label), prototypes) for label in shown])
    truth = np.array([[label == n for n in range(classes)] for label in shown])
    return found, prototypes[1:], views, truth


@hypothesis.given(SEEDS)
def test_what_is_found_is_a_mean_of_what_counts(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(4, 5, 6)).astype(np.float32)
    prototypes = rng.normal(size=(3, 6)).astype(np.float32)
    counted = (rng.random((4, 5)) < 0.5).astype(np.float32)
    counted[rng.integers(4), rng.integers(5)] = 1
    found = np.asarray(find(features, prototypes, counted))
    assert found.shape == (2, 2, 6)
    inside = features[counted > 0]
    assert (found >= inside.min(0) - 1e-4).all()
    assert (found <= inside.max(0) + 1e-4).all()
    np.testing.assert_allclose(find(features, prototypes), find(features, prototypes, np.ones((4, 5), 'f')), rtol=1e-6)


@pytest.mark.exhaustive
@hypothesis.given(SEEDS)
def test_classes_in_another_order_find_the_same(seed):
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(4, 5, 6)).astype(np.float32)
    prototypes = rng.normal(size=(4, 6)).astype(np.float32)
    order = rng.permutation(3)
    found = find(features, prototypes[np.r_[0, 1 + order]])
    np.testing.assert_allclose(found, find(features, prototypes)[:, order], atol=1e-5)


def test_a_folder_is_sorted_into_with_and_without():
    found, prototypes, views, truth = a_folder(0)
    likely = of_folder(found, prototypes, views)
    assert likely.shape == truth.shape
    taken = likely > ABOVE
    assert (taken == truth).mean() > 0.95
    assert taken[truth].mean() > 0.9


@pytest.mark.parametrize('part', [0.0, 1.0])
@pytest.mark.parametrize('photographs', [1, 3, 30])
def test_small_folders_and_those_where_all_or_none_shows_it(part, photographs):
    found, prototypes, views, truth = a_folder(1, classes=1, photographs=photographs, part=part)
    taken = of_folder(found, prototypes, views) > ABOVE
    assert (taken == truth).mean() > 0.9


def test_one_reference_alone_decides_nothing_impossible():
    found, prototypes, views, _ = a_folder(2, classes=1, shots=1)
    assert set(views.shown.ravel()) == {-1, 0}
    likely = of_folder(found, prototypes, views)
    assert np.isfinite(likely).all()
    assert ((likely >= 0) & (likely <= 1)).all()


def test_photographs_and_classes_may_come_in_any_order():
    found, prototypes, views, _ = a_folder(3)
    wanted = of_folder(found, prototypes, views)
    np.testing.assert_allclose(of_folder(found[::-1], prototypes, views)[::-1], wanted, atol=1e-9)
    order = [2, 0, 1]
    other = Views(views.found[:, :, order], views.prototypes[:, order], views.shown[:, order])
    np.testing.assert_allclose(of_folder(found[:, :, order], prototypes[order], other), wanted[:, order], atol=1e-9)


def test_probabilities_rise_with_the_score():
    rng = np.random.default_rng(0)
    shown = np.array([[1], [1], [0], [0]])
    of_views = np.array([[0.5], [0.5], [0.0], [0.0]]) + 0.05 * rng.normal(size=(4, 1))
    likely = [probabilities(score, of_views, shown)[0] for score in np.linspace(-0.2, 0.8, 50)[:, None]]
    assert (np.diff(likely) >= 0).all()
    assert likely[0] < 0.1 < 0.3 < likely[-1]


def test_scores_are_cosines_of_the_photograph_and_the_views():
    found, prototypes, views, _ = a_folder(4)
    scores = presence_scores(found[0], prototypes, statistics_of(views))
    assert scores.shape == (1 + len(views.shown), 3)
    assert np.abs(scores).max() <= 1 + 1e-9


def test_shapes_that_do_not_fit_are_one_sentence():
    found, prototypes, views, _ = a_folder(5, photographs=2)
    with pytest.raises(AssertionError, match='presence_scores wants found'):
        presence(found[0, :1], prototypes, statistics_of(views))
    with pytest.raises(AssertionError, match='statistics_of wants shown'):
        statistics_of(views._replace(shown=views.shown[1:]))


def plain_scores(found, prototypes, views):
    """Cosines after centering and whitening, by the inverse of the covariance, a vector at a time."""
    own = np.concatenate([prototypes[None], views.prototypes])
    everything = np.concatenate([found[None], views.found])
    unknown = np.concatenate([np.ones((1, len(prototypes)), bool), views.shown != 1])
    scores = np.zeros((2, *own.shape[:2]))
    for kind in range(2):
        vectors, wanted = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (everything[:, kind], own))
        centers = [vectors[unknown[:, n], n].mean(0) for n in range(len(prototypes))]
        away = np.concatenate([vectors[unknown[:, n], n] - centers[n] for n in range(len(prototypes))])
        covariance = away.T @ away / len(away)
        inverse = np.linalg.inv(covariance + SHRINKAGE * np.trace(covariance) / CHANNELS * np.eye(CHANNELS))
        for m, n in np.ndindex(*own.shape[:2]):
            a, b = vectors[m, n] - centers[n], wanted[m, n] - centers[n]
            scores[kind, m, n] = a @ inverse @ b / np.sqrt((a @ inverse @ a) * (b @ inverse @ b))
    return scores.mean(0)


@pytest.mark.parametrize('shots', [1, 3])
def test_scores_equal_the_plain_form(shots):
    found, prototypes, views, _ = a_folder(3, shots=shots, photographs=5)
    statistics = statistics_of(views)
    for one in found:
        scores, plain = presence_scores(one, prototypes, statistics), plain_scores(one, prototypes, views)
        np.testing.assert_allclose(scores, plain, atol=1e-6)
