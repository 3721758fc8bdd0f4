"""Evaluation episode by episode: what `counting` must equal."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.episodes.sampling import episode_label
from panet_jax.images.resize import resize
from panet_jax.method.adapt import PAPER, adapted_logits
from panet_jax.method.episode import prepare
from panet_jax.method.metrics import confusion_matrix
from panet_jax.method.panet import encode_episode
from panet_jax.method.prototypes import class_prototypes, upsample


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype', 'adaptation'))
def grid_logits(params, episode, *, encoder, dtype, adaptation=PAPER):
    """Logits of a compact episode's queries on the feature grid: [Q, h, w, 1 + N] float32."""
    episode = prepare(episode)
    support_features, query_features = encode_episode(params, episode, encode=encoder.encode, dtype=dtype)
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return jnp.stack([adapted_logits(one, prototypes, adaptation) for one in query_features])


def episode_confusions(network, episode, labels, *, dtype, adaptation=PAPER):
    """Confusion matrix of each query of one compact episode: [Q, 1+N, 1+N] int32, rows the truth.

    The plain form of what `Evaluator` counts with one pass over the images.

    Args:
        network: a Network.
        episode: a compact Episode.
        labels: Q maps in 0..N or 255, each at the size that it is scored at.
        dtype: of the encoder's computation.
        adaptation: how the prototypes are adapted to each query; by default not at all, the paper's head.
    """
    logits = grid_logits(network.params, episode, encoder=network.encoder, dtype=dtype, adaptation=adaptation)
    return np.stack([_count_query(one, label) for one, label in zip(logits, labels, strict=True)])


@jax.jit
def _count_query(logits, label):
    prediction = upsample(logits, label.shape).argmax(-1)
    return confusion_matrix(prediction, label.astype(prediction.dtype), logits.shape[-1])


def query_labels(episodes, draw, own_size):
    """The maps that an episode's queries are scored with: at their own size, or at the network's."""
    samples = [episodes.source[int(index)] for index in draw.queries]
    if not own_size:
        samples = [resize(sample, episodes.size) for sample in samples]
    return [episode_label(sample.label, draw.classes) for sample in samples]
