"""Whether a photograph shows a class at all.

A segmentation finds something of every class in every photograph. `find` returns it as a mean feature, and `presence`
compares it with the prototype of the class. A plain cosine would not do: what is found of a cat where there is none looks
much like a cat. So features are first centered at the mean of what is found of the class, and whitened by its spread
(linear discriminant analysis with shrinkage). The cosines of a class are then a mixture of two normal distributions, of
photographs with and without it. For views of references it is known which of the two they belong to. An
expectation-maximization with few constants gives the probabilities.

Axes: M photographs, R views of references, I images of references, N classes, 2 kinds of what is found, h w feature grid,
C channels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
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
# The distributions are not quite normal, and the log-odds too sure. They are scaled and shifted: of the photographs and
# classes that this was fitted on, with half of the classes, as many show the class as the probabilities say.
SLOPE, OFFSET = 0.28, -1.5
# The default probability above which a class counts as present: it has the best F-score on the same half.
PRESENT_ABOVE = 0.15


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
        of_classes = _mean_of(classes, np.where(alone, shown, others))
        kept = (np.arange(len(shown)) != image) | (len(shown) == 1)
        own = np.concatenate([outside[kept].mean(0)[None], of_classes]).astype(np.float32)
        grid = np.asarray(grid, np.float32)
        known = np.where(shown[image], np.where(alone, -1, 1), 0)
        whole.append((_find_jitted(grid, own, np.ones(grid.shape[:2], np.float32)), of_classes, known))
        free = (np.asarray(covered[image]) <= 0).astype(np.float32)
        if free.any():
            rest.append((_find_jitted(grid, own, free), of_classes, np.where(shown[image], 0, -1)))
    return Views(*(np.stack([np.asarray(view[part]) for view in whole + rest]) for part in range(3)))


def presence(found: np.ndarray, prototypes: np.ndarray, views: Views) -> np.ndarray:
    """Probability that each photograph shows each class.

    Most photographs do not show a class, so all of them together tell what is found of it where it is absent. One
    photograph alone is compared with the references only, and its probabilities are less sure. The probabilities mean
    nothing where all photographs are known to show all classes.

    Args:
        found: [M, 2, N, C] float32, M >= 1, as from `find` for each photograph.
        prototypes: [N, C] float32, of the classes.
        views: views of the references, as from `views_of_references`.

    Returns:
        [M, N] float64 in [0, 1].

    Raises:
        InputError: shapes do not fit, or there is no photograph.
    """
    _check(found, prototypes, views)
    scores = presence_scores(found, prototypes, views)
    of_photographs, of_views = scores[: len(found)], scores[len(found) :]
    return probabilities(of_photographs, of_views, views.shown)


def presence_scores(found: np.ndarray, prototypes: np.ndarray, views: Views) -> np.ndarray:
    """Cosines of what is found with the prototype of the class, after centering and whitening; the mean of both kinds.

    Args:
        found: [M, 2, N, C] float32, as from `find` for each photograph.
        prototypes: [N, C] float32, of the classes.
        views: views of the references, as from `views_of_references`.

    Returns:
        [M + R, N] float64 in [-1, 1], of the photographs, then of the views.
    """
    check_axes('presence_scores', found=(found, 'M 2 N C'), prototypes=(prototypes, 'N C'))
    check_axes(
        'presence_scores',
        prototypes=(prototypes, 'N C'),
        views_found=(views.found, 'R 2 N C'),
        views_prototypes=(views.prototypes, 'R N C'),
        views_shown=(views.shown, 'R N', int),
    )
    own = np.concatenate([np.broadcast_to(prototypes, (len(found), *prototypes.shape)), views.prototypes])
    everything = np.concatenate([found, views.found])
    unknown = np.concatenate([np.ones((len(found), found.shape[2]), bool), views.shown != 1])
    of_kinds = [_likeness(everything[:, kind], own, unknown) for kind in range(KINDS)]
    return np.mean(of_kinds, 0)


def probabilities(scores: np.ndarray, of_views: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Probabilities of scores: for each class a mixture of two normal distributions of one variance, by EM.

    Args:
        scores: [M, N] float64, of the photographs.
        of_views: [R, N] float64, of the views of references.
        shown: [R, N] int in {-1, 0, 1}, as in Views.

    Returns:
        [M, N] float64 in [0, 1]; within a class a higher score has a higher probability.
    """
    check_axes('probabilities', scores=(scores, 'M N'), of_views=(of_views, 'R N'), shown=(shown, 'R N', int))
    spread = _spread(scores, of_views, shown)
    columns = [
        _upper(np.r_[own, views[known == -1]], views[known == 1], views[known == 0], spread)[: len(own)]
        for own, views, known in zip(scores.T, of_views.T, shown.T, strict=True)
    ]
    return np.stack(columns, 1)


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


def _likeness(found, prototypes, unknown):
    """[M, N]: cosines of [M, N, C] with prototypes [M, N, C], centered and whitened by the vectors that `unknown` has."""
    found, prototypes = np.asarray(unit(found), np.float64), np.asarray(unit(prototypes), np.float64)
    center = _mean_of(found, unknown)
    deviations = (found - center)[unknown] / np.sqrt(max(unknown.sum(), 1))
    # The inverse of the covariance is taken in the space of the deviations, which are few (Woodbury's identity).
    gram = deviations @ deviations.T
    shrinkage = SHRINKAGE * np.trace(gram) / found.shape[-1] + np.finfo(float).eps
    inverse = np.linalg.inv(gram + shrinkage * np.eye(len(gram)))

    def product(one, other):
        (a, of_a), (b, of_b) = one, other
        return (a * b).sum(-1) - (of_a @ inverse * of_b).sum(-1)

    one, other = ((x - center, (x - center) @ deviations.T) for x in (found, prototypes))
    lengths = product(one, one) * product(other, other)
    return product(one, other) / np.sqrt(np.maximum(lengths, np.finfo(float).tiny))


def _spread(scores, of_views, shown):
    """Standard deviation of scores without the class, of all classes together, from the scores below the median."""
    below = np.minimum(scores - np.median(scores, 0), 0)
    without = [views[known == 0] for views, known in zip(of_views.T, shown.T, strict=True)]
    squares = 2 * (below**2).sum() + sum(((one - one.mean()) ** 2).sum() for one in without if len(one))
    count = scores.size + sum(map(len, without))
    return np.sqrt((SPREAD_COUNT * SPREAD**2 + squares) / (SPREAD_COUNT + count))


def _upper(scores, shown, not_shown, spread):
    """Probabilities that `scores` are of the upper distribution; those of `shown` are, those of `not_shown` are not."""
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
    """Refuses shapes that do not fit together."""
    count, channels = prototypes.shape
    wanted = {
        'found': (found.shape, (len(found), KINDS, count, channels)),
        'views.found': (views.found.shape, (len(views.found), KINDS, count, channels)),
        'views.prototypes': (views.prototypes.shape, (len(views.found), count, channels)),
        'views.shown': (views.shown.shape, (len(views.found), count)),
    }
    for name, (shape, right) in wanted.items():
        if shape != right:
            raise InputError(f'{name} must have shape {right} to fit prototypes {prototypes.shape}, got {shape}.')
    if not len(found):
        raise InputError('presence wants at least one photograph, got none.')
