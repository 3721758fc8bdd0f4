"""The segmentation loss and the query-to-support alignment loss of one episode, from features."""

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes
from panet_jax.method.episode import IGNORE
from panet_jax.method.prototypes import cosine_logits, masked_mean, upsample


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean softmax cross-entropy over the pixels whose label is not 255; 0 if there is none.

    Args:
        logits: [..., L] float32.
        labels: [...] int32 in 0..L-1, or 255.

    Returns:
        [] float32 >= 0, in nats.
    """
    check_axes('cross_entropy', logits=(logits, '... L'), labels=(labels, '...', int))
    valid = labels != IGNORE
    losses = jax.nn.logsumexp(logits, axis=-1) - _at_labels(logits, jnp.where(valid, labels, 0))
    return jnp.where(valid, losses, 0.0).sum() / jnp.maximum(valid.sum(), 1).astype(jnp.float32)


def _at_labels(logits, labels):
    """The logit of each pixel's label, NaN if there is no such label: [..., L], [...] -> [...].

    A gather of so many single numbers, and its gradient, take a TPU longer than all else in the losses.
    """
    is_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    return jnp.where(is_label.any(-1), jnp.where(is_label, logits, 0.0).sum(-1), jnp.nan)


def segmentation_loss(query_logits: jax.Array, query_labels: jax.Array) -> jax.Array:
    """L_seg, eq. (5): cross-entropy of the upsampled logits over the pixels of all queries.

    Args:
        query_logits: [Q, h, w, 1+N] float32, on the feature grid.
        query_labels: [Q, H, W] int32 in 0..N, or 255.

    Returns:
        [] float32 >= 0, in nats.
    """
    check_axes('segmentation_loss', query_logits=(query_logits, 'Q h w 1+N'), query_labels=(query_labels, 'Q H W', int))
    return cross_entropy(upsample(query_logits, query_labels.shape[-2:]), query_labels)


def alignment_loss(
    query_features: jax.Array,
    query_logits: jax.Array,
    support_features: jax.Array,
    foreground: jax.Array,
    background: jax.Array,
) -> jax.Array:
    """L_PAR, eqs. (6) and (7): segment the support images with prototypes of the query's prediction.

    The prediction is the argmax of the logits on the feature grid. It passes no gradient, and all Q queries together give
    the prototypes. Each way's support images are then segmented into {background, that way}. A way to which no position
    of a query is assigned adds 0 to the mean over N * K. (The paper prints the label of eq. (6) with a wrong last index;
    here it is the support image's, as in the reference's alignLoss.)

    Args:
        query_features: [Q, h, w, C] float32.
        query_logits: [Q, h, w, 1+N] float32.
        support_features: [N, K, h, w, C] float32.
        foreground: [N, K, H, W] float32 in {0, 1}.
        background: [N, K, H, W] float32 in {0, 1}; pixels in neither mask are ignored.

    Returns:
        [] float32 >= 0, in nats.
    """
    check_axes(
        'alignment_loss',
        query_features=(query_features, 'Q h w C'),
        support_features=(support_features, 'N K h w C'),
        query_logits=(query_logits, 'Q h w 1+N'),
        foreground=(foreground, 'N K H W'),
        background=(background, 'N K H W'),
    )
    assigned = jax.nn.one_hot(query_logits.argmax(-1), query_logits.shape[-1], axis=0)  # [L, Q, h, w]
    prototypes = jax.vmap(_joint_mean, (None, 0))(query_features, assigned)  # [L, C]

    def way_loss(way_prototype, way_features, way_foreground, way_background):
        logits = cosine_logits(way_features, jnp.stack([prototypes[0], way_prototype]))
        labels = jnp.where(way_foreground > 0, 1, jnp.where(way_background > 0, 0, IGNORE))
        return jax.vmap(segmentation_loss)(logits[:, None], labels[:, None]).mean()

    losses = jax.vmap(way_loss)(prototypes[1:], support_features, foreground, background)  # [N]
    was_assigned = assigned[1:].sum((1, 2, 3)) > 0
    return jnp.where(was_assigned, losses, 0.0).mean()


def _joint_mean(query_features, mask):
    """Masked mean over the positions of all queries together: [Q, h, w, C], [Q, h, w] -> [C]."""
    q, h, w, c = query_features.shape
    return masked_mean(query_features.reshape(q * h, w, c), mask.reshape(q * h, w))
