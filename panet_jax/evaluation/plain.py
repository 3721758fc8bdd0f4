"""Evaluation of one episode at a time, the reference for `counting`, which must give equal numbers."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.episodes.assembly import Episodes, episode_label
from panet_jax.episodes.draws import Draw
from panet_jax.images.resize import resize
from panet_jax.method.adapt import PAPER, Adaptation, adapted_logits
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.episode import Episode, prepare
from panet_jax.method.metrics import confusion_matrix
from panet_jax.method.panet import encode_episode
from panet_jax.method.prototypes import class_prototypes, upsample
from panet_jax.networks.network import Network


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype', 'adaptation'))
def grid_logits(
    params: Params, episode: Episode, *, encoder: Encoder, dtype: str, adaptation: Adaptation = PAPER
) -> jax.Array:
    """Logits of the queries of an episode, on the feature grid.

    Args:
        params: parameters of the encoder.
        episode: a compact Episode.
        encoder: the Encoder.
        dtype: dtype of the encoder's computation.
        adaptation: adapts the prototypes to each query; by default they stay as they are, as in the paper.

    Returns:
        [Q, h, w, 1 + N] float32, background first.
    """
    episode = prepare(episode)
    support_features, query_features = encode_episode(params, episode, encode=encoder.encode, dtype=dtype)
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return jnp.stack([adapted_logits(features, prototypes, adaptation) for features in query_features])


def episode_confusions(
    network: Network, episode: Episode, labels: Sequence[np.ndarray], *, dtype: str, adaptation: Adaptation = PAPER
) -> np.ndarray:
    """Confusion matrices of the queries of one episode, the plain form of `Evaluator.count`.

    Args:
        network: the Network.
        episode: a compact Episode.
        labels: Q maps [H, W] uint8 in 0..N, 255 void; each query is scored at the size of its map.
        dtype: dtype of the encoder's computation.
        adaptation: adapts the prototypes to each query; by default they stay as they are, as in the paper.

    Returns:
        [Q, 1 + N, 1 + N] int32, numbers of pixels by true label (rows) and predicted label (columns).
    """
    logits = grid_logits(network.params, episode, encoder=network.encoder, dtype=dtype, adaptation=adaptation)
    return np.stack([_count_query(*query) for query in zip(logits, labels, strict=True)])


@jax.jit
def _count_query(logits, label):
    prediction = upsample(logits, label.shape).argmax(-1)
    return confusion_matrix(prediction, label.astype(prediction.dtype), logits.shape[-1])


def query_labels(episodes: Episodes, draw: Draw, own_size: bool) -> list[np.ndarray]:
    """Reads the label maps of the queries of an episode.

    Args:
        episodes: the Episodes.
        draw: the Draw of the episode.
        own_size: whether the maps keep their own size. Otherwise they get that of the network's images.

    Returns:
        Q maps [H, W] uint8, 0 background, n for way n, 255 void.

    Raises:
        InputError: an image cannot be read.
    """
    samples = [episodes.source[int(index)] for index in draw.queries]
    if not own_size:
        samples = [resize(sample, episodes.size) for sample in samples]
    return [episode_label(sample.label, draw.classes) for sample in samples]
