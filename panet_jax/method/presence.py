"""Whether a photograph shows a class at all: from what would be found of it there, beside what is found elsewhere.

Something is found of every class in every photograph. `find` says what, as a mean feature; `presence` compares it with
what was shown. The comparison is a cosine after centering at what is found of the class on the whole and whitening by
its spread (linear discriminant analysis with shrinkage), since what is found of a cat where there is none looks much
like a cat to the plain cosine. The cosines of a class are then two heaps, photographs with and without it, of which the
references are known to lie on one side: an expectation-maximization with few constants makes a probability.

Axes: M photographs, R views of references, N classes, V kinds of what is found (2), h w feature grid, C channels.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.adapt import ADAPTED, adapted_logits, confidence
from panet_jax.method.prototypes import Pooled, cosine_logits, masked_sum, unit

KINDS = 2
# A position counts by exp(3 (margin - largest margin)) of logits: about the best hundredth of the grid.
SHARPNESS = 3.0
# Beside what is confident, so much of the sharp weights, that something is found in any case.
LEAST = 1e-4
# Set on one half of the classes of 160 of COCO's photographs, judged on both by benchmarks/quality.py --classes=report.
SHRINKAGE = 3.0  # of the covariance, in units of its mean variance
SPREAD, SPREAD_COUNT = 0.08, 10.0  # standard deviation of the scores without the class, and how many scores it is worth
GAP, GAP_COUNT = 2.5, 2.0  # by how many of these the scores with it are higher, and how many scores that is worth
LEAST_GAP = 0.8
WITH, WITHOUT = 1.0, 12.0  # photographs with and without the class that one begins with
ROUNDS = 50
# The two heaps are surer than they are right, as what is found is no normal heap: log-odds are scaled and shifted so that
# of the pairs of the half of the classes that it was fitted on, so many show the class as the probability says.
SLOPE, OFFSET = 0.28, -1.5
# Above it a class is taken to be there, where no one says otherwise: the best F-score there.
PRESENT_ABOVE = 0.15


class Views(NamedTuple):
    """What is found in the references, of which it is known what they show.

    Attributes:
        found: [R, 2, N, C] float32, as from `find`.
        prototypes: [R, N, C] float32, of the classes; of the other references where the view is of one.
        shown: [R, N] int: 1 shows the class, 0 is taken to show it not, -1 is not known.
    """

    found: np.ndarray
    prototypes: np.ndarray
    shown: np.ndarray


def find(features: jax.Array, prototypes: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """What would be found of each class in one image, whether it is there or not.

    Args:
        features: [h, w, C] float32.
        prototypes: [1 + N, C] float32, background first.
        counted: [h, w] float32 in {0, 1}, positions that may be found; all by default. One is 1 at least.

    Returns:
        [2, N, C] float32, means of features: where the class is nearest beside all other labels, and where it is
        segmented, alone against the background and adapted to the image.
    """
    chex.assert_rank([features, prototypes], [3, 2])
    chex.assert_equal_shape_suffix([features, prototypes], 1)
    counted = jnp.ones(features.shape[:2], features.dtype) if counted is None else counted
    logits = jnp.moveaxis(cosine_logits(features, prototypes), -1, 0)
    classes = jnp.arange(1, len(logits))
    others = jnp.arange(len(logits))[None] != classes[:, None]
    highest = jnp.where(others[..., None, None], logits[None], -jnp.inf).max(1)
    nearest = _sharp(logits[1:] - highest, counted)
    alone = jax.vmap(lambda own: _alone(features, jnp.stack([prototypes[0], own]), counted))(prototypes[1:])
    return jnp.stack([_means(features, nearest), _means(features, alone)])


def views_of_references(features: np.ndarray, covered: np.ndarray, foreground: Pooled, background: Pooled) -> Views:
    """Each reference image as a photograph, seen with the prototypes of all others; and again without its objects.

    Args:
        features: [I, h, w, C] float, of the I images.
        covered: [I, h, w] float in [0, 1], of each position the part that is annotated as any class.
        foreground: Pooled, [I, N, C] and [I, N]: sums under each class; count 0 where the image is no reference of it.
        background: Pooled, [I, C] and [I].

    Returns:
        Views, R = 2 I at most: whole images, then without their objects, of those that have something else.
    """
    shown, seen = np.asarray(foreground.count) > 0, _find_jitted
    classes, outside = np.asarray(foreground.mean()), np.asarray(background.mean())
    whole, rest = [], []
    for image, grid in enumerate(features):
        others = shown & (np.arange(len(shown)) != image)[:, None]
        alone = ~others.any(0)  # the class has no other reference: its own has to do
        of_classes = _mean_of(classes, np.where(alone, shown, others))
        kept = (np.arange(len(shown)) != image) | (len(shown) == 1)
        own = np.concatenate([outside[kept].mean(0)[None], of_classes]).astype(np.float32)
        grid = np.asarray(grid, np.float32)
        known = np.where(shown[image], np.where(alone, -1, 1), 0)
        whole.append((seen(grid, own, np.ones(grid.shape[:2], np.float32)), of_classes, known))
        free = (np.asarray(covered[image]) <= 0).astype(np.float32)
        if free.any():
            rest.append((seen(grid, own, free), of_classes, np.where(shown[image], 0, -1)))
    return Views(*(np.stack([np.asarray(view[part]) for view in whole + rest]) for part in range(3)))


def presence(found: np.ndarray, prototypes: np.ndarray, views: Views) -> np.ndarray:
    """Probability that each photograph shows each class.

    All photographs together say what is found of a class where it is not, as most do not show it; a single one is
    compared with the references alone, and so is less sure. Where all photographs are known to show all classes, do not
    ask.

    Args:
        found: [M, 2, N, C] float32, as from `find` for each photograph. M may be 1.
        prototypes: [N, C] float32, of the classes.
        views: of the references, as from `views_of_references`.

    Returns:
        [M, N] float64 in [0, 1].

    Raises:
        InputError: shapes do not fit.
    """
    _check(found, prototypes, views)
    scores = presence_scores(found, prototypes, views)
    of_photographs, of_views = scores[: len(found)], scores[len(found) :]
    return probabilities(of_photographs, of_views, views.shown)


def presence_scores(found: np.ndarray, prototypes: np.ndarray, views: Views) -> np.ndarray:
    """The likeness to what was shown, of photographs and then of views; arguments as for `presence`.

    Returns:
        [M + R, N] float64 in [-1, 1].
    """
    own = np.concatenate([np.broadcast_to(prototypes, (len(found), *prototypes.shape)), views.prototypes])
    everything = np.concatenate([found, views.found])
    unknown = np.concatenate([np.ones((len(found), found.shape[2]), bool), views.shown != 1])
    of_kinds = [_likeness(everything[:, kind], own, unknown) for kind in range(KINDS)]
    return np.mean(of_kinds, 0)


def probabilities(scores: np.ndarray, of_views: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Scores as probabilities: two normal heaps of one spread for each class, by expectation-maximization.

    Args:
        scores: [M, N] of the photographs.
        of_views: [R, N] of the views of references.
        shown: [R, N] as in Views.

    Returns:
        [M, N] float64 in [0, 1], rising with the score within a class.
    """
    spread = _spread(scores, of_views, shown)
    columns = [
        _two_heaps(np.r_[own, views[known == -1]], views[known == 1], views[known == 0], spread)[: len(own)]
        for own, views, known in zip(scores.T, of_views.T, shown.T, strict=True)
    ]
    return np.stack(columns, 1)


def _alone(features, prototypes, counted):
    """[h, w]: weights of what is segmented as one class, from two prototypes."""
    logits = adapted_logits(features, prototypes)
    margin = logits[..., 1] - logits[..., 0]
    return confidence(logits, ADAPTED)[1] * counted + LEAST * _sharp(margin[None], counted)[0]


def _sharp(margins, counted):
    """[N, h, w]: weights that are 1 where the margin is largest and fall off at once."""
    margins = jnp.where(counted[None] > 0, margins, -jnp.inf)
    return jnp.exp(SHARPNESS * (margins - margins.max((-2, -1), keepdims=True)))


def _means(features, weights):
    """[N, C]: means of [h, w, C] under [N, h, w]."""
    return jax.vmap(masked_sum, (None, 0))(features, weights) / weights.sum((-2, -1))[:, None]


_find_jitted = jax.jit(find)


def _mean_of(vectors, taken):
    """[N, C]: for each class the mean of [I, N, C] over the images taken, [I, N]."""
    return np.einsum('inc,in->nc', vectors, taken) / np.maximum(taken.sum(0), 1)[:, None]


def _likeness(found, prototypes, unknown):
    """[M, N]: cosines of [M, N, C] with prototypes [M, N, C] after centering and whitening by what `unknown` takes."""
    found, prototypes = np.asarray(unit(found), np.float64), np.asarray(unit(prototypes), np.float64)
    centre = _mean_of(found, unknown)
    deviations = (found - centre)[unknown]
    values, vectors = np.linalg.eigh(deviations.T @ deviations / max(len(deviations), 1))
    values = np.maximum(values, 0)
    scale = vectors / np.sqrt(values + SHRINKAGE * values.mean() + np.finfo(float).tiny)
    a, b = ((each - centre) @ scale for each in (found, prototypes))
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return (a * b).sum(-1) / np.maximum(lengths, np.finfo(float).tiny)


def _spread(scores, of_views, shown):
    """Standard deviation of scores without their class, of all classes together: from those below the median."""
    below = np.minimum(scores - np.median(scores, 0), 0)
    without = [each[known == 0] for each, known in zip(of_views.T, shown.T, strict=True)]
    squares = 2 * (below**2).sum() + sum(((each - each.mean()) ** 2).sum() for each in without if len(each))
    count = scores.size + sum(map(len, without))
    return np.sqrt((SPREAD_COUNT * SPREAD**2 + squares) / (SPREAD_COUNT + count))


def _two_heaps(scores, shown, not_shown, spread):
    """Probabilities of the upper heap for `scores`; of the others it is known where they lie."""
    lower = np.median(np.r_[scores, not_shown])
    upper, rate = lower + GAP * spread, WITH / (WITH + WITHOUT)
    for _ in range(ROUNDS):
        odds = np.log(rate / (1 - rate)) + ((scores - lower) ** 2 - (scores - upper) ** 2) / (2 * spread**2)
        likely = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
        lower = (not_shown.sum() + ((1 - likely) * scores).sum()) / (len(not_shown) + (1 - likely).sum())
        expected = GAP_COUNT * (lower + GAP * spread)
        upper = (expected + shown.sum() + (likely * scores).sum()) / (GAP_COUNT + len(shown) + likely.sum())
        upper = max(upper, lower + LEAST_GAP * spread)
        rate = (WITH + likely.sum()) / (WITH + WITHOUT + len(scores))
    return 1 / (1 + np.exp(-(SLOPE * np.clip(odds, -30, 30) + OFFSET)))


def _check(found, prototypes, views):
    """Refuses what does not fit together."""
    count, channels = prototypes.shape
    wanted = {
        'found': (found.shape, (len(found), KINDS, count, channels)),
        'views.found': (views.found.shape, (len(views.found), KINDS, count, channels)),
        'views.prototypes': (views.prototypes.shape, (len(views.found), count, channels)),
        'views.shown': (views.shown.shape, (len(views.found), count)),
    }
    for name, (shape, right) in wanted.items():
        if shape != right:
            raise InputError(f'{name} must have shape {right} beside prototypes {prototypes.shape}, got {shape}.')
    if not len(found):
        raise InputError('presence wants one photograph at least, got none.')
