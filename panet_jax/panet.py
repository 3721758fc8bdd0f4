"""The method on one episode: encode, make prototypes, segment, align. vmap makes it a batch."""

import jax.numpy as jnp

from panet_jax.encoder import encode
from panet_jax.episode import check_episode
from panet_jax.losses import alignment_loss, segmentation_loss
from panet_jax.prototypes import class_prototypes, cosine_logits, upsample


def encode_episode(params, episode, *, dtype='float32', rematerialize=False):
    """Features of an episode's images, from one pass of the encoder.

    Returns:
        support_features: [N, K, h, w, C] float32.
        query_features: [Q, h, w, C] float32.
    """
    check_episode(episode)
    n, k, *image_shape = episode.support_images.shape
    supports = episode.support_images.reshape(n * k, *image_shape)
    features = encode(
        params, jnp.concatenate([supports, episode.query_images]), dtype=dtype, rematerialize=rematerialize
    )
    return features[: n * k].reshape(n, k, *features.shape[1:]), features[n * k :]


def episode_logits(params, episode, *, dtype='float32'):
    """Logits of the query pixels: [Q, H, W, 1+N] float32 in [-20, 20], background first."""
    support_features, query_features = encode_episode(params, episode, dtype=dtype)
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return upsample(cosine_logits(query_features, prototypes), episode.query_labels.shape[-2:])


def episode_loss(params, episode, align_weight=1.0, *, dtype='float32', rematerialize=False):
    """L = L_seg + align_weight * L_PAR, eq. (8) (the paper's weight is 1).

    Args:
        params: encoder parameters.
        episode: a prepared Episode.
        align_weight: weight of the alignment loss.
        dtype, rematerialize: how the encoder computes, as in `encode`.

    Returns:
        loss: [] float32.
        terms: {'segmentation': [] float32, 'alignment': [] float32}, unweighted.
    """
    support_features, query_features = encode_episode(params, episode, dtype=dtype, rematerialize=rematerialize)
    masks = episode.support_foreground, episode.support_background
    logits = cosine_logits(query_features, class_prototypes(support_features, *masks))
    segmentation = segmentation_loss(logits, episode.query_labels)
    alignment = alignment_loss(query_features, logits, support_features, *masks)
    return segmentation + align_weight * alignment, {'segmentation': segmentation, 'alignment': alignment}
