"""The method on one episode: encode, make prototypes, segment, align. vmap makes it a batch.

Functions that encode take any encoder as `encode`: (params, images [..., H, W, 3], dtype=, rematerialize=) ->
[..., h, w, C], such as `Encoder.encode`. By default it is VGG-16's.

Axes: B episodes, N ways, K shots, Q queries, H W image, h w feature grid, C channels.
"""

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes
from panet_jax.method.encoder import Encode, Params
from panet_jax.method.episode import Episode, check_episode, check_is_episode
from panet_jax.method.losses import alignment_loss, segmentation_loss
from panet_jax.method.prototypes import class_prototypes, cosine_logits, upsample
from panet_jax.method.vgg16 import encode as encode_by_vgg16


def encode_episodes(
    params: Params,
    episodes: Episode,
    *,
    encode: Encode = encode_by_vgg16,
    dtype: str = 'float32',
    rematerialize: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Features of all images of a batch of episodes, from one pass of the encoder.

    Args:
        params: parameters of the encoder.
        episodes: a prepared Episode whose arrays have a leading axis B.
        encode: the encoder.
        dtype: dtype of the computation, as in `Encoder.encode`.
        rematerialize: whether to save memory, as in `Encoder.encode`.

    Returns:
        support_features: [B, N, K, h, w, C] float32.
        query_features: [B, Q, h, w, C] float32.

    Raises:
        ValueError, TypeError: as in `check_episode`; the message says what is wrong with the episodes.
    """
    check_is_episode(episodes)
    jax.vmap(check_episode)(episodes)
    b, n, k, *image_shape = episodes.support_images.shape
    images = jnp.concatenate([episodes.support_images.reshape(b, n * k, *image_shape), episodes.query_images], 1)
    features = encode(params, images, dtype=dtype, rematerialize=rematerialize)
    return features[:, : n * k].reshape(b, n, k, *features.shape[2:]), features[:, n * k :]


def encode_episode(
    params: Params,
    episode: Episode,
    *,
    encode: Encode = encode_by_vgg16,
    dtype: str = 'float32',
    rematerialize: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Features of all images of one episode, from one pass of the encoder.

    Args:
        params: parameters of the encoder.
        episode: a prepared Episode.
        encode: the encoder.
        dtype: dtype of the computation, as in `Encoder.encode`.
        rematerialize: whether to save memory, as in `Encoder.encode`.

    Returns:
        support_features: [N, K, h, w, C] float32.
        query_features: [Q, h, w, C] float32.

    Raises:
        ValueError, TypeError: as in `check_episode`; the message says what is wrong with the episode.
    """
    check_episode(episode)  # in `encode_episodes` a vmap hides the values of the labels
    one = jax.tree.map(lambda array: array[None], episode)
    support_features, query_features = encode_episodes(
        params, one, encode=encode, dtype=dtype, rematerialize=rematerialize
    )
    return support_features[0], query_features[0]


def episode_logits(
    params: Params, episode: Episode, *, encode: Encode = encode_by_vgg16, dtype: str = 'float32'
) -> jax.Array:
    """Logits of the query pixels, from one episode.

    Args:
        params: parameters of the encoder.
        episode: a prepared Episode.
        encode: the encoder.
        dtype: dtype of the computation, as in `Encoder.encode`.

    Returns:
        [Q, H, W, 1 + N] float32 in [-20, 20], background first.

    Raises:
        ValueError, TypeError: as in `check_episode`; the message says what is wrong with the episode.
    """
    return logits_of_features(*encode_episode(params, episode, encode=encode, dtype=dtype), episode)


def logits_of_features(support_features: jax.Array, query_features: jax.Array, episode: Episode) -> jax.Array:
    """`episode_logits` from the features of the images.

    Args:
        support_features: [N, K, h, w, C] float32.
        query_features: [Q, h, w, C] float32.
        episode: a prepared Episode; only its masks and the size of its labels are used.

    Returns:
        [Q, H, W, 1 + N] float32 in [-20, 20], background first.
    """
    _check_features('logits_of_features', support_features, query_features)
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return upsample(cosine_logits(query_features, prototypes), episode.query_labels.shape[-2:])


def episode_loss(
    params: Params,
    episode: Episode,
    align_weight: float | jax.Array = 1.0,
    *,
    encode: Encode = encode_by_vgg16,
    dtype: str = 'float32',
    rematerialize: bool = False,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """L = L_seg + align_weight * L_PAR, eq. (8) (the paper's weight is 1).

    Args:
        params: parameters of the encoder.
        episode: a prepared Episode.
        align_weight: weight of the alignment loss, >= 0.
        encode: the encoder.
        dtype: dtype of the computation, as in `Encoder.encode`.
        rematerialize: whether to save memory, as in `Encoder.encode`.

    Returns:
        loss: [] float32 >= 0, in nats.
        terms: {'segmentation': [] float32, 'alignment': [] float32}, without the weight.

    Raises:
        ValueError, TypeError: as in `check_episode`; the message says what is wrong with the episode.
    """
    features = encode_episode(params, episode, encode=encode, dtype=dtype, rematerialize=rematerialize)
    return loss_of_features(*features, episode, align_weight)


def loss_of_features(
    support_features: jax.Array, query_features: jax.Array, episode: Episode, align_weight: float | jax.Array = 1.0
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """`episode_loss` from the features of the images.

    Args:
        support_features: [N, K, h, w, C] float32.
        query_features: [Q, h, w, C] float32.
        episode: a prepared Episode; only its masks and labels are used.
        align_weight: weight of the alignment loss, >= 0.

    Returns:
        loss: [] float32 >= 0, in nats.
        terms: {'segmentation': [] float32, 'alignment': [] float32}, without the weight.
    """
    _check_features('loss_of_features', support_features, query_features)
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query_features, class_prototypes(support_features, *masks))
    segmentation = segmentation_loss(logits, episode.query_labels)
    alignment = alignment_loss(query_features, logits, support_features, *masks)
    return segmentation + align_weight * alignment, {'segmentation': segmentation, 'alignment': alignment}


def _check_features(function, support_features, query_features):
    check_axes(function, support_features=(support_features, 'N K h w C'), query_features=(query_features, 'Q h w C'))
