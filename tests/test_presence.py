"""Whether a class is there: laws of what is found, and the decision on constructed heaps."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

import panet_jax as pj
from panet_jax.method.presence import (
    PRESENT_ABOVE,
    SHRINKAGE,
    Views,
    find,
    presence,
    presence_scores,
    probabilities,
    views_of_references,
)
from panet_jax.method.prototypes import Pooled

SEEDS = st.integers(0, 2**16)
GRID, CHANNELS = 6, 24


def scene(rng, vectors, shown=None, noise=0.5):
    """Features of a photograph of clutter, a corner of which shows a class or none."""
    features = rng.normal(size=(GRID, GRID, CHANNELS)) + vectors[0]
    if shown is not None:
        features[:3, :3] = vectors[1 + shown] + noise * rng.normal(size=(3, 3, CHANNELS))
    return features.astype(np.float32)


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
    likely = presence(found, prototypes, views)
    assert likely.shape == truth.shape
    taken = likely > PRESENT_ABOVE
    assert (taken == truth).mean() > 0.95
    assert taken[truth].mean() > 0.9


@pytest.mark.parametrize('part', [0.0, 1.0])
@pytest.mark.parametrize('photographs', [1, 3, 30])
def test_small_folders_and_those_where_all_or_none_shows_it(part, photographs):
    found, prototypes, views, truth = a_folder(1, classes=1, photographs=photographs, part=part)
    taken = presence(found, prototypes, views) > PRESENT_ABOVE
    assert (taken == truth).mean() > 0.9


def test_one_reference_alone_decides_nothing_impossible():
    found, prototypes, views, _ = a_folder(2, classes=1, shots=1)
    assert set(views.shown.ravel()) == {-1, 0}
    likely = presence(found, prototypes, views)
    assert np.isfinite(likely).all()
    assert ((likely >= 0) & (likely <= 1)).all()


def test_photographs_and_classes_may_come_in_any_order():
    found, prototypes, views, _ = a_folder(3)
    wanted = presence(found, prototypes, views)
    np.testing.assert_allclose(presence(found[::-1], prototypes, views)[::-1], wanted, atol=1e-9)
    order = [2, 0, 1]
    other = Views(views.found[:, :, order], views.prototypes[:, order], views.shown[:, order])
    np.testing.assert_allclose(presence(found[:, :, order], prototypes[order], other), wanted[:, order], atol=1e-9)


def test_probabilities_rise_with_the_score_and_with_the_share_that_shows_it():
    rng = np.random.default_rng(0)
    shown = np.array([[1], [1], [0], [0]])
    of_views = np.array([[0.5], [0.5], [0.0], [0.0]])

    def of_folder(number):
        return np.r_[0.1 * rng.normal(size=100 - number), 0.5 + 0.1 * rng.normal(size=number), 0.25][:, None]

    few, many = of_folder(3), of_folder(40)
    for scores in (few, many):
        likely = probabilities(scores, of_views, shown)[:, 0]
        assert (np.diff(likely[np.argsort(scores[:, 0])]) >= 0).all()
    assert probabilities(many, of_views, shown)[-1, 0] > probabilities(few, of_views, shown)[-1, 0]


def test_scores_are_cosines_of_photographs_and_views():
    found, prototypes, views, _ = a_folder(4)
    scores = presence_scores(found, prototypes, views)
    assert scores.shape == (len(found) + len(views.shown), 3)
    assert np.abs(scores).max() <= 1 + 1e-9


def test_shapes_that_do_not_fit_are_one_sentence():
    found, prototypes, views, _ = a_folder(5, photographs=2)
    with pytest.raises(pj.InputError, match='found must have shape'):
        presence(found[:, :1], prototypes, views)
    with pytest.raises(pj.InputError, match=r'views\.shown must have shape'):
        presence(found, prototypes, views._replace(shown=views.shown[1:]))
    with pytest.raises(pj.InputError, match='at least one photograph'):
        presence(found[:0], prototypes, views)


def plain_scores(found, prototypes, views):
    """Cosines after centering and whitening, by the inverse of the covariance, a vector at a time."""
    own = np.concatenate([np.broadcast_to(prototypes, (len(found), *prototypes.shape)), views.prototypes])
    everything = np.concatenate([found, views.found])
    unknown = np.concatenate([np.ones((len(found), len(prototypes)), bool), views.shown != 1])
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


def test_scores_equal_the_plain_form():
    found, prototypes, views, _ = a_folder(3)
    np.testing.assert_allclose(
        presence_scores(found, prototypes, views), plain_scores(found, prototypes, views), atol=1e-5
    )
