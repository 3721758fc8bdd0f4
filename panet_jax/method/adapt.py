"""Prototypes in which the query itself has a say: self-support, for one episode and one query; vmap makes it many.

Objects of a class differ more from image to image than the parts of one object do. So what a first segmentation is sure
of in the query is pooled, as a support would be, and mixed with the prototypes of the support: Fan et al., Self-Support
Few-Shot Semantic Segmentation, ECCV 2022. Their thresholds (0.7, 0.6) and equal weights gained less than the lower ones
with soft weights that stand here, and their adaptive background lost, with an untrained VGG-16 on photographs.

Axes: L labels (1 + N, background first), h w feature grid, C channels.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from panet_jax.method.prototypes import cosine_logits, masked_sum


class Adaptation(NamedTuple):
    """How prototypes are adapted to a query. The values were chosen on one half of the classes: benchmarks/quality.py.

    Attributes:
        rounds: how often; 0 leaves the paper's head as it is.
        foreground: probability, in [0, 1], above which a position is a class's own.
        background: the same of the background.
        power: a position's own counts by its probability to the power of it; 0 counts all alike.
        weight: in [0, 1], of the query's prototype beside the support's.
        least: share of the grid, in [0, 1], to which what counts must add up; of less nothing is learnt.
    """

    rounds: int = 3
    foreground: float = 0.5
    background: float = 0.5
    power: float = 3.0
    weight: float = 0.5
    least: float = 0.0004


PAPER, ADAPTED = Adaptation(rounds=0), Adaptation()
# With several references the prototypes need less of the query: a higher threshold was better on the classes tuned on.
SEVERAL = ADAPTED._replace(foreground=0.6)
# The heads that evaluation has: the setting `evaluation.head`.
HEADS = {'panet': PAPER, 'adapted': ADAPTED}


def adapted_prototypes(features: jax.Array, prototypes: jax.Array, adaptation: Adaptation = ADAPTED) -> jax.Array:
    """Prototypes of one episode, adapted to one query: p'_l = (1 - a) p_l + a q_l, where q_l is the query's own.

    q_l is the mean of the features under `confidence`. Each round takes the probabilities from the prototypes of the
    round before and mixes with those of the support, so that a mistake does not feed on itself. A label without enough
    confident positions keeps its support's prototype.

    Which positions count, and how much, has no gradient; their features and the prototypes have.

    Args:
        features: [h, w, C] float32, of the query.
        prototypes: [L, C] float32, background first, as from `class_prototypes`.
        adaptation: how; static under jit.

    Returns:
        [L, C] float32. With rounds = 0 the very prototypes.
    """
    chex.assert_rank([features, prototypes], [3, 2])
    chex.assert_equal_shape_suffix([features, prototypes], 1)
    chex.assert_type([features, prototypes], float)
    adapted = prototypes
    for _ in range(adaptation.rounds):
        own = confidence(cosine_logits(features, adapted), adaptation)
        adapted = _mixed(features, prototypes, own, adaptation)
    return adapted


def confidence(logits: jax.Array, adaptation: Adaptation = ADAPTED) -> jax.Array:
    """How much each position counts for each label; without gradient.

    Args:
        logits: [h, w, L] float32, as from `cosine_logits`.
        adaptation: the thresholds and the power.

    Returns:
        [L, h, w] float32 in [0, 1]: the probability to the power where it is above the threshold, 0 elsewhere.
    """
    probabilities = jnp.moveaxis(jax.nn.softmax(jax.lax.stop_gradient(logits), axis=-1), -1, 0)
    is_background = jnp.arange(len(probabilities))[:, None, None] == 0
    threshold = jnp.where(is_background, adaptation.background, adaptation.foreground)
    return jnp.where(probabilities > threshold, probabilities**adaptation.power, 0.0)


def adapted_logits(features: jax.Array, prototypes: jax.Array, adaptation: Adaptation = ADAPTED) -> jax.Array:
    """The logits of one query with prototypes adapted to it; `cosine_logits` to the bit with rounds = 0.

    Args:
        features, prototypes, adaptation: as for `adapted_prototypes`.

    Returns:
        [h, w, L] float32 in [-20, 20], background first.
    """
    return cosine_logits(features, adapted_prototypes(features, prototypes, adaptation))


def _mixed(features, prototypes, own, adaptation):
    """[L, C]: the support's prototypes mixed with the means of the query's features under `own`, [L, h, w]."""
    counts = own.sum((-2, -1))
    enough = (counts > 0) & (counts >= adaptation.least * own.shape[-2] * own.shape[-1])
    means = jax.vmap(masked_sum, (None, 0))(features, own) / jnp.where(enough, counts, 1.0)[:, None]
    mixed = (1 - adaptation.weight) * prototypes + adaptation.weight * means
    return jnp.where(enough[:, None], mixed, prototypes)
