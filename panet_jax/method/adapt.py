"""Prototypes adapted to a query (self-support), for one episode and one query; vmap makes it many.

The parts of one object differ less than the objects of a class in two images. So a first segmentation selects confident
positions of the query. They are pooled like a support, and mixed with the prototypes of the support: Fan et al.,
Self-Support Few-Shot Semantic Segmentation, ECCV 2022. Thresholds and weights are not theirs. With the ImageNet
VGG-16 on photographs, without episodic training, their thresholds (0.7, 0.6) with equal weights gained less than the
lower thresholds with soft weights used here, and their adaptive background made results worse.

Axes: L labels (1 + N, background first), h w feature grid, C channels.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes
from panet_jax.method.prototypes import cosine_logits, masked_sum


class Adaptation(NamedTuple):
    """How prototypes are adapted to a query. The values were chosen on one half of the classes: benchmarks/quality.py.

    Attributes:
        rounds: number of rounds, >= 0; 0 is the head of PANet's paper.
        foreground: probability of a class, in [0, 1], above which a position counts for it.
        background: the same threshold for the background.
        power: exponent, >= 0: a position counts by its probability to this power; with 0 all count alike.
        weight: weight, in [0, 1], of the query's prototype; the support's has the rest.
        least: smallest sum of a label's confidence, as a share of the grid in [0, 1]; below it the label keeps its
            prototype.
    """

    rounds: int = 3
    foreground: float = 0.5
    background: float = 0.5
    power: float = 3.0
    weight: float = 0.5
    least: float = 0.0004


PAPER, ADAPTED = Adaptation(rounds=0), Adaptation()
# With several supports of a class the prototypes need less of the query: on the classes used for tuning, a higher threshold
# was better.
SEVERAL = ADAPTED._replace(foreground=0.6)
HEADS = ('panet', 'adapted')  # the setting `evaluation.head`


def adaptation_of(head: str, shots: int) -> Adaptation:
    """How a head adapts its prototypes.

    Args:
        head: one of HEADS: 'panet', the paper's, or 'adapted'.
        shots: number of supports of the class that has the most.

    Returns:
        The Adaptation.
    """
    if head == 'panet':
        return PAPER
    return SEVERAL if shots > 1 else ADAPTED


def adapted_prototypes(features: jax.Array, prototypes: jax.Array, adaptation: Adaptation = ADAPTED) -> jax.Array:
    """Prototypes of one episode, adapted to one query: p'_l = (1 - a) p_l + a q_l, where q_l is the query's own.

    q_l is the mean of the features weighted by `confidence`. Each round computes the confidence from the prototypes of the
    previous round, but mixes the query's prototypes with those of the support, so that a mistake does not grow from round
    to round. A label without enough confident positions keeps the prototype of the support.

    The confidence has no gradient; the features and the prototypes have one.

    Args:
        features: [h, w, C] float32, features of the query.
        prototypes: [L, C] float32, background first, as from `class_prototypes`.
        adaptation: how to adapt; static under jit.

    Returns:
        [L, C] float32, background first. With rounds = 0 these are the prototypes themselves.
    """
    check_axes('adapted_prototypes', features=(features, 'h w C'), prototypes=(prototypes, 'L C'))
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
        [L, h, w] float32 in [0, 1]: probability ** power where the probability is above the threshold, 0 elsewhere.
    """
    check_axes('confidence', logits=(logits, 'h w L'))
    probabilities = jnp.moveaxis(jax.nn.softmax(jax.lax.stop_gradient(logits), axis=-1), -1, 0)
    is_background = jnp.arange(len(probabilities))[:, None, None] == 0
    threshold = jnp.where(is_background, adaptation.background, adaptation.foreground)
    return jnp.where(probabilities > threshold, probabilities**adaptation.power, 0.0)


def adapted_logits(features: jax.Array, prototypes: jax.Array, adaptation: Adaptation = ADAPTED) -> jax.Array:
    """The logits of one query with prototypes adapted to it; `cosine_logits` to the bit with rounds = 0.

    Args:
        features: [h, w, C] float32, features of the query.
        prototypes: [L, C] float32, background first, as from `class_prototypes`.
        adaptation: how to adapt; static under jit.

    Returns:
        [h, w, L] float32 in [-20, 20], background first.
    """
    check_axes('adapted_logits', features=(features, 'h w C'), prototypes=(prototypes, 'L C'))
    return cosine_logits(features, adapted_prototypes(features, prototypes, adaptation))


def _mixed(features, prototypes, own, adaptation):
    """[L, C]: the support's prototypes mixed with the means of the query's features under `own`, [L, h, w]."""
    counts = own.sum((-2, -1))
    enough = (counts > 0) & (counts >= adaptation.least * own.shape[-2] * own.shape[-1])
    means = jax.vmap(masked_sum, (None, 0))(features, own) / jnp.where(enough, counts, 1.0)[:, None]
    mixed = (1 - adaptation.weight) * prototypes + adaptation.weight * means
    return jnp.where(enough[:, None], mixed, prototypes)
