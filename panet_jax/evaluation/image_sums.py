"""Sums of features under masks, computed once for each image: the prototypes of all episodes follow from them.

Weights are frozen in an evaluation, so one row for each image suffices. For each of U classes it has the sums of the
upsampled features under the foreground and the background, and the numbers of their pixels. With dense masks a
background excludes the foreground of the episode's other ways; their sums are subtracted.

Axes: B images, U classes, P episodes of a query image, E episodes; others as in `prototypes`.
"""

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.adapt import PAPER, Adaptation, adapted_logits
from panet_jax.method.episode import IGNORE
from panet_jax.method.metrics import confusion_matrix
from panet_jax.method.prototypes import Pooled, pool, resample

# Most logits of one image in memory at a time. Large photographs are scored with one episode at a time.
MOST_LOGITS = 2**23


def mask_sums(features: jax.Array, masks: jax.Array) -> Pooled:
    """Sums of the upsampled features of images under masks.

    Args:
        features: [B, h, w, C] float32.
        masks: [B, 2, U, H, ceil(H / 8)] uint8, foreground and background of each class on square images, eight pixels
            a byte as from numpy.packbits.

    Returns:
        Pooled sums [B, 2, U, C] float32 and counts [B, 2, U] float32.
    """
    masks = jnp.unpackbits(masks, axis=-1, count=masks.shape[-2]).astype(jnp.float32)
    under_masks = jax.vmap(jax.vmap(pool, (None, 0)), (None, 0))
    return jax.vmap(under_masks)(features, masks)


def episode_prototypes(pooled: Pooled, supports: np.ndarray, ways: np.ndarray, *, others_excluded: bool) -> np.ndarray:
    """Prototypes of many episodes from the rows of their support images.

    Args:
        pooled: numpy arrays as from `mask_sums`: sums [I, 2, U, C] float32 and counts [I, 2, U] float32 of I images.
        supports: [E, N, K] int in 0..I-1, rows of the support images.
        ways: [E, N] int in 0..U-1, column of the class of each way.
        others_excluded: whether the background of a way excludes the foreground of the other ways.

    Returns:
        [E, 1 + N, C] float32, background first: equal to `class_prototypes` of each episode.
    """
    own = ways[:, :, None]
    foreground = Pooled(*(array[supports, 0, own] for array in pooled))  # [E, N, K, C], [E, N, K]
    background = Pooled(*(array[supports, 1, own].astype(np.float64) for array in pooled))
    for other in range(ways.shape[1] if others_excluded else 0):
        is_other = np.arange(ways.shape[1])[:, None] != other  # [N, 1]
        column = ways[:, other, None, None]
        background.sum[...] -= is_other[..., None] * pooled.sum[supports, 0, column]
        background.count[...] -= is_other * pooled.count[supports, 0, column]
    background_prototype = background.prototype((-2, -1))[:, None]  # [E, 1, C]
    return np.concatenate([background_prototype, foreground.prototype(-1)], 1).astype(np.float32)


def count_queries(
    features: jax.Array,
    labels: jax.Array,
    rows: jax.Array,
    columns: jax.Array,
    prototypes: jax.Array,
    classes: jax.Array,
    adaptation: Adaptation = PAPER,
) -> jax.Array:
    """Confusion matrices of query images with several episodes each.

    Args:
        features: [B, h, w, C] float32.
        labels: [B, S, S] uint8, class numbers of the data set, 0 background, 255 void and outside the image.
        rows, columns: [B, S, h] and [B, S, w] float32, bilinear matrices of each image; rows of zeros outside it.
        prototypes: [B, P, 1 + N, C] float32, those of the episodes of each image, background first.
        classes: [B, P, N] int in 1..254, class number of each way of these episodes.
        adaptation: adapts the prototypes to each query; by default they stay as they are, as in the paper.

    Returns:
        [B, P, 1 + N, 1 + N] int32, numbers of pixels by true label (rows) and predicted label (columns).
    """

    def count_image(features, label, rows, columns, prototypes, classes):
        def count(episode):
            prototypes, classes = episode
            logits = resample(adapted_logits(features, prototypes, adaptation), rows, columns)
            truth = jnp.where(label == IGNORE, IGNORE, 0)
            for way in range(classes.shape[0]):
                truth = jnp.where(label == classes[way], way + 1, truth)
            return confusion_matrix(logits.argmax(-1), truth, prototypes.shape[0])

        at_once = max(1, MOST_LOGITS // (label.size * prototypes.shape[1]))
        return jax.lax.map(count, (prototypes, classes), batch_size=at_once)

    return jax.vmap(count_image)(features, labels, rows, columns, prototypes, classes.astype(labels.dtype))
