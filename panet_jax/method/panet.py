"""The method on one episode: encode, make prototypes, segment, align. vmap makes it a batch.

Any encoder will do: functions that encode take `encode`, which is (params, images [..., H, W, 3], dtype=,
rematerialize=) -> [..., h, w, C], such as `Encoder.encode`. By default it is VGG-16's.
"""

import jax
import jax.numpy as jnp

from panet_jax.method.episode import check_episode
from panet_jax.method.losses import alignment_loss, segmentation_loss
from panet_jax.method.prototypes import class_prototypes, cosine_logits, upsample
from panet_jax.method.vgg16 import encode as encode_by_vgg16


def encode_episodes(params, episodes, *, encode=encode_by_vgg16, dtype='float32', rematerialize=False):
    """Features of all images of a batch of episodes, from one pass of the encoder.

    Args:
        params: encoder parameters.
        episodes: a prepared Episode whose arrays have a leading axis B.
        encode: the encoder.
        dtype, rematerialize: how it computes, as in `Encoder.encode`.

    Returns:
        support_features: [B, N, K, h, w, C] float32.
        query_features: [B, Q, h, w, C] float32.
    """
    jax.vmap(check_episode)(episodes)
    b, n, k, *image_shape = episodes.support_images.shape
    images = jnp.concatenate([episodes.support_images.reshape(b, n * k, *image_shape), episodes.query_images], 1)
    features = encode(params, images, dtype=dtype, rematerialize=rematerialize)
    return features[:, : n * k].reshape(b, n, k, *features.shape[2:]), features[:, n * k :]


def encode_episode(params, episode, *, encode=encode_by_vgg16, dtype='float32', rematerialize=False):
    """`encode_episodes` of one: [N, K, h, w, C] and [Q, h, w, C] float32."""
    check_episode(episode)  # here its values are known, if they are anywhere
    one = jax.tree.map(lambda array: array[None], episode)
    features = encode_episodes(params, one, encode=encode, dtype=dtype, rematerialize=rematerialize)
    support_features, query_features = features
    return support_features[0], query_features[0]


def episode_logits(params, episode, *, encode=encode_by_vgg16, dtype='float32'):
    """Logits of the query pixels: [Q, H, W, 1+N] float32 in [-20, 20], background first."""
    return logits_of_features(*encode_episode(params, episode, encode=encode, dtype=dtype), episode)


def logits_of_features(support_features, query_features, episode):
    """`episode_logits` from the features of the images: [N, K, h, w, C] and [Q, h, w, C] float32."""
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return upsample(cosine_logits(query_features, prototypes), episode.query_labels.shape[-2:])


def episode_loss(params, episode, align_weight=1.0, *, encode=encode_by_vgg16, dtype='float32', rematerialize=False):
    """L = L_seg + align_weight * L_PAR, eq. (8) (the paper's weight is 1).

    Args:
        params: encoder parameters.
        episode: a prepared Episode.
        align_weight: weight of the alignment loss.
        encode: the encoder.
        dtype, rematerialize: how it computes, as in `Encoder.encode`.

    Returns:
        loss: [] float32.
        terms: {'segmentation': [] float32, 'alignment': [] float32}, unweighted.
    """
    features = encode_episode(params, episode, encode=encode, dtype=dtype, rematerialize=rematerialize)
    return loss_of_features(*features, episode, align_weight)


def loss_of_features(support_features, query_features, episode, align_weight=1.0):
    """`episode_loss` from the features of the images: [N, K, h, w, C] and [Q, h, w, C] float32."""
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query_features, class_prototypes(support_features, *masks))
    segmentation = segmentation_loss(logits, episode.query_labels)
    alignment = alignment_loss(query_features, logits, support_features, *masks)
    return segmentation + align_weight * alignment, {'segmentation': segmentation, 'alignment': alignment}
