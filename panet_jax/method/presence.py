"""Whether a photograph shows a class at all.

A segmentation finds something of every class in every photograph. `find` returns it as a mean feature, and `presence`
compares it with the prototype of the class. A plain cosine would not do: what is found of a cat where there is none looks
much like a cat. So features are first centered at the mean of what is found of the class, and whitened by its spread
(linear discriminant analysis with shrinkage). The cosines of a class are then a mixture of two normal distributions, of
photographs with and without it. For views of references it is known which of the two they belong to. An
expectation-maximization with few constants gives the probabilities.

Axes: R views of references, I images of references, N classes, 2 kinds of what is found, h w feature grid, C channels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from panet_jax.method.adapt import ADAPTED, adapted_logits, confidence
from panet_jax.method.axes import check_axes
from panet_jax.method.prototypes import Pooled, cosine_logits, margins, masked_sum, unit

KINDS = 2
# A position counts by exp(3 (margin - largest margin)) of logits: about the best hundredth of the grid.
SHARPNESS = 3.0
# The share of the sharp weights that is added to the confidence, so that the weights are never all 0.
LEAST = 1e-4
# Set on one half of the classes of 160 of COCO's photographs, judged on both by benchmarks/quality.py --classes=report.
SHRINKAGE = 3.0  # of the covariance, in units of its mean variance
SPREAD, SPREAD_COUNT = 0.08, 10.0  # expected standard deviation of scores without the class; it counts as 10 scores
GAP, GAP_COUNT = 2.5, 2.0  # expected distance of the two means, in standard deviations; it counts as 2 scores
LEAST_GAP = 0.8
WITH, WITHOUT = 1.0, 12.0  # prior counts of photographs with and without the class
ROUNDS = 50
MOST_ODDS = 30.0  # of a logarithm of odds
# The distributions are not quite normal, and the log-odds too sure. They are scaled and shifted: of the photographs and
# classes that this was fitted on, with half of the classes, as many show the class as the probabilities say.
SLOPE, OFFSET = 0.28, -1.5


class Views(NamedTuple):
    """What is found in views of the references, for which it is known what they show.

    Attributes:
        found: [R, 2, N, C] float32, as from `find`.
        prototypes: [R, N, C] float32, of the classes, from the references other than the one viewed where a class has
            any.
        shown: [R, N] int: 1 where the view shows the class, 0 where it is taken not to, -1 where that is unknown.
    """

    found: np.ndarray
    prototypes: np.ndarray
    shown: np.ndarray


class Statistics(NamedTuple):
    """What `presence` takes of views, of the 2 kinds of what is found. All vectors are along the axes of the scatter.

    Attributes:
        found: [2, R, N, C], directions of what is found.
        prototypes: [2, R, N, C], directions of the prototypes.
        center: [2, N, C], mean of what is found where the class is not known to be shown.
        count: [2, N], in how many views that is so.
        axes: [2, C, C], the axes, in columns.
        scatter: [2, C], at least 0: the sum of squares along each axis, around the centers.
        shown: [R, N] int, as in Views.
    """

    found: np.ndarray
    prototypes: np.ndarray
    center: np.ndarray
    count: np.ndarray
    axes: np.ndarray
    scatter: np.ndarray
    shown: np.ndarray


def find(features: jax.Array, prototypes: jax.Array, counted: jax.Array | None = None) -> jax.Array:
    """What a segmentation finds of each class in one image, whether it shows the class or not.

    Args:
        features: [h, w, C] float32.
        prototypes: [1 + N, C] float32, background first.
        counted: [h, w] float32 in {0, 1}, 1 for positions that may be found, which is one at least; all by default.

    Returns:
        [2, N, C] float32, means of features of two kinds. The first is of the positions where the class's logit exceeds
        those of all other labels by most. The second is of the positions that are segmented as the class, with adapted
        prototypes of this class and the background alone.
    """
    counted = jnp.ones(features.shape[:-1], features.dtype) if counted is None else counted
    check_axes('find', features=(features, 'h w C'), prototypes=(prototypes, '1+N C'), counted=(counted, 'h w'))
    nearest = _sharp(margins(cosine_logits(features, prototypes)), counted)
    alone = jax.vmap(lambda own: _alone(features, jnp.stack([prototypes[0], own]), counted))(prototypes[1:])
    return jnp.stack([_means(features, nearest), _means(features, alone)])


def views_of_references(features: np.ndarray, covered: np.ndarray, foreground: Pooled, background: Pooled) -> Views:
    """Views of each reference image by the prototypes of the others: as it is, and without its objects.

    Args:
        features: [I, h, w, C] float, of the I images.
        covered: [I, h, w] float in [0, 1], the part of each position that is annotated as any class.
        foreground: Pooled, [I, N, C] and [I, N] float32, of each class; the count is 0 where an image is no reference of it.
        background: Pooled, [I, C] and [I] float32.

    Returns:
        Views, with R <= 2 I: first the images as they are, then those with positions that nothing covers, without their
        objects.
    """
    check_axes(
        'views_of_references',
        features=(features, 'I h w C'),
        covered=(covered, 'I h w'),
        foreground_sum=(foreground.sum, 'I N C'),
        foreground_count=(foreground.count, 'I N'),
        background_sum=(background.sum, 'I C'),
        background_count=(background.count, 'I'),
    )
    shown = np.asarray(foreground.count) > 0
    classes, outside = np.asarray(foreground.mean()), np.asarray(background.mean())
    whole, rest = [], []
    for image, grid in enumerate(features):
        others = shown & (np.arange(len(shown)) != image)[:, None]
        alone = ~others.any(0)  # the class has no other reference: its own has to do
        of_classes = _mean_of(classes, np.where(alone, shown, others)).astype(np.float32)
        kept = (np.arange(len(shown)) != image) | (len(shown) == 1)
        own = np.concatenate([outside[kept].mean(0)[None], of_classes]).astype(np.float32)
        grid = np.asarray(grid, np.float32)
        known = np.where(shown[image], np.where(alone, -1, 1), 0)
        whole.append((_find_jitted(grid, own, np.ones(grid.shape[:2], np.float32)), of_classes, known))
        free = (np.asarray(covered[image]) <= 0).astype(np.float32)
        if free.any():
            rest.append((_find_jitted(grid, own, free), of_classes, np.where(shown[image], 0, -1)))
    return Views(*(np.stack([np.asarray(view[part]) for view in whole + rest]) for part in range(3)))


def statistics_of(views: Views) -> Statistics:
    """What `presence` takes of views of the references.

    Args:
        views: the views, as from `views_of_references`.

    Returns:
        Statistics, in float64.

    Raises:
        InputError: shapes do not fit.
    """
    check_axes('statistics_of', found=(views.found, 'R 2 N C'), prototypes=(views.prototypes, 'R N C'))
    check_axes('statistics_of', found=(views.found, 'R 2 N C'), shown=(views.shown, 'R N', int))
    of_kinds = [_of_kind(views.found[:, kind], views.prototypes, views.shown != 1) for kind in range(KINDS)]
    return Statistics(*(np.stack(part) for part in zip(*of_kinds, strict=True)), shown=views.shown)


def presence(found: np.ndarray, prototypes: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Probability that a photograph shows each class. It does not depend on other photographs.

    Args:
        found: [2, N, C] float32, as from `find`.
        prototypes: [N, C] float32, of the classes.
        statistics: of views of the references, as from `statistics_of`.

    Returns:
        [N] float64 in [0, 1].

    Raises:
        InputError: shapes do not fit.
    """
    scores = presence_scores(found, prototypes, statistics)
    return probabilities(scores[0], scores[1:], statistics.shown)


def presence_scores(found: np.ndarray, prototypes: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Cosines of what is found with the prototype of the class, after centering and whitening; the mean of both kinds.

    What is found in the photograph counts for the centers and for the whitening too.

    Args:
        found: [2, N, C] float32, as from `find`.
        prototypes: [N, C] float32, of the classes.
        statistics: of views of the references, as from `statistics_of`.

    Returns:
        [1 + R, N] float64 in [-1, 1], of the photograph, then of the views.
    """
    check_axes('presence_scores', found=(found, '2 N C'), prototypes=(prototypes, 'N C'))
    check_axes('presence_scores', prototypes=(prototypes, 'N C'), views_found=(statistics.found, '2 R N C'))
    parts = statistics[: statistics._fields.index('shown')]
    return np.mean([_likeness(own, prototypes, *of_kind) for own, *of_kind in zip(found, *parts, strict=True)], 0)


def probabilities(scores: np.ndarray, of_views: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Probabilities of scores: for each class a mixture of two normal distributions of one variance, by EM.

    Args:
        scores: [N] float64, of the photograph.
        of_views: [R, N] float64, of the views of references.
        shown: [R, N] int in {-1, 0, 1}, as in Views.

    Returns:
        [N] float64 in [0, 1]; within a class a higher score has a higher probability.
    """
    check_axes('probabilities', scores=(scores, 'N'), of_views=(of_views, 'R N'), shown=(shown, 'R N', int))
    everything, known = np.concatenate([scores[None], of_views]), np.concatenate([np.full((1, len(scores)), -1), shown])
    spread, rate = _spread(of_views, shown, len(scores)), WITH / (WITH + WITHOUT)
    lower = np.nanmedian(np.where(known == 1, np.nan, everything), 0)
    upper, open_ = lower + GAP * spread, known == -1
    for _ in range(ROUNDS):
        odds = special.logit(rate) + ((everything - lower) ** 2 - (everything - upper) ** 2) / (2 * spread**2)
        likely = np.where(open_, special.expit(np.clip(odds, -MOST_ODDS, MOST_ODDS)), known)
        lower = ((1 - likely) * everything).sum(0) / (1 - likely).sum(0)
        expected = GAP_COUNT * (lower + GAP * spread)
        upper = (expected + (likely * everything).sum(0)) / (GAP_COUNT + likely.sum(0))
        upper = np.maximum(upper, lower + LEAST_GAP * spread)
        rate = (WITH + (likely * open_).sum(0)) / (WITH + WITHOUT + open_.sum(0))
    return special.expit(SLOPE * np.clip(odds[0], -MOST_ODDS, MOST_ODDS) + OFFSET)


def _alone(features, prototypes, counted):
    """[h, w]: weights of the positions segmented as a class, from the prototypes of the background and the class."""
    logits = adapted_logits(features, prototypes)
    margin = logits[..., 1] - logits[..., 0]
    return confidence(logits, ADAPTED)[1] * counted + LEAST * _sharp(margin[None], counted)[0]


def _sharp(margins, counted):
    """[N, h, w]: weights that are 1 where the margin is largest, and fall exponentially with it."""
    margins = jnp.where(counted[None] > 0, margins, -jnp.inf)
    return jnp.exp(SHARPNESS * (margins - margins.max((-2, -1), keepdims=True)))


def _means(features, weights):
    """[N, C]: means of [h, w, C] under [N, h, w]."""
    return jax.vmap(masked_sum, (None, 0))(features, weights) / weights.sum((-2, -1))[:, None]


_find_jitted = jax.jit(find)


def _mean_of(vectors, taken):
    """[N, C]: for each class the mean of [I, N, C] over the images that `taken`, [I, N] bool, has."""
    return np.einsum('inc,in->nc', vectors, taken) / np.maximum(taken.sum(0), 1)[:, None]


def _of_kind(found, prototypes, unknown):
    """The parts of Statistics of one kind: [R, N, C] of what is found, the prototypes, and [R, N] where it counts."""
    found, prototypes = _directions(found), _directions(prototypes)
    center = _mean_of(found, unknown)
    deviations = (found - center)[unknown]
    scatter, axes = np.linalg.eigh(deviations.T @ deviations)
    return found @ axes, prototypes @ axes, center @ axes, unknown.sum(0), axes, np.maximum(scatter, 0)


def _likeness(own, prototypes, found, of_views, center, count, axes, scatter):
    """[1 + R, N]: cosines after centering and whitening of one kind; the photograph changes both a little."""
    own, prototypes = _directions(own) @ axes, _directions(prototypes) @ axes
    # The scatter grows by one row a class. Woodbury's identity has its inverse, along the axes of the views' scatter.
    rows = np.sqrt(count / (count + 1))[:, None] * (own - center)
    center = center + (own - center) / (count + 1)[:, None]
    trace, total = scatter.sum() + (rows**2).sum(), count.sum() + len(count)
    variances = scatter + SHRINKAGE * trace / len(scatter) + np.finfo(float).eps * total
    inverse = np.linalg.inv(np.eye(len(rows)) + rows / variances @ rows.T)

    def product(one, other):
        (a, of_a), (b, of_b) = one, other
        return (a * b / variances).sum(-1) - (of_a @ inverse * of_b).sum(-1)

    both = np.concatenate([own[None], found]) - center, np.concatenate([prototypes[None], of_views]) - center
    one, other = ((x, (x / variances) @ rows.T) for x in both)
    lengths = product(one, one) * product(other, other)
    return product(one, other) / np.sqrt(np.maximum(lengths, np.finfo(float).tiny))


def _directions(vectors):
    return np.asarray(unit(vectors), np.float64)


def _spread(of_views, shown, count):
    """Standard deviation of scores without the class, of all classes together; `count` scores are taken for its mean."""
    without = [views[known == 0] for views, known in zip(of_views.T, shown.T, strict=True)]
    squares = sum(((one - one.mean()) ** 2).sum() for one in without if len(one))
    return np.sqrt((SPREAD_COUNT * SPREAD**2 + squares) / (SPREAD_COUNT + count + sum(map(len, without))))
