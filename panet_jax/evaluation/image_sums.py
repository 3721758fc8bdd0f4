"""What every episode needs from an image, computed once an image: sums of features under masks.

With frozen weights the prototypes of all episodes follow from one row an image: for each of U classes
the sum of the upsampled features under its foreground and under its background, and the counts of
their pixels. Where the foreground of an episode's other ways is to be left out of a background, as under
dense masks, that is a subtraction.

Axes: B images, U classes, P pairs of an episode and a query image, E episodes; others as in prototypes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.adapt import PAPER, adapted_logits
from panet_jax.method.episode import IGNORE
from panet_jax.method.metrics import confusion_matrix
from panet_jax.method.prototypes import Pooled, pool, resample

# Logits of one image that are held at once: photographs of many megapixels are scored an episode at a time.
MOST_LOGITS = 2**23


def mask_sums(features, masks):
    """Sums of the upsampled features of images under masks.

    Args:
        features: [B, h, w, C] float32.
        masks: [B, 2, U, H, ceil(H / 8)] uint8: foreground and background of each class on square images,
            eight pixels a byte as numpy.packbits makes them.

    Returns:
        Pooled, [B, 2, U, C] and [B, 2, U] float32.
    """
    masks = jnp.unpackbits(masks, axis=-1, count=masks.shape[-2]).astype(jnp.float32)
    under_masks = jax.vmap(jax.vmap(pool, (None, 0)), (None, 0))
    return jax.vmap(under_masks)(features, masks)


def episode_prototypes(pooled, supports, ways, *, others_excluded):
    """Prototypes of many episodes from the rows of their support images.

    Args:
        pooled: Pooled, [images, 2, U, C] and [images, 2, U] float32, as from `mask_sums`, in numpy arrays.
        supports: [E, N, K] int, rows of the support images.
        ways: [E, N] int in 0..U-1, column of each way's class.
        others_excluded: whether a way's background is without the foreground of the other ways.

    Returns:
        [E, 1 + N, C] float32, background first: the same as `class_prototypes` of each episode.
    """
    own = ways[:, :, None]
    foreground = Pooled(*(array[supports, 0, own] for array in pooled))  # [E, N, K, C], [E, N, K]
    background = Pooled(*(array[supports, 1, own].astype(np.float64) for array in pooled))
    for other in range(ways.shape[1] if others_excluded else 0):
        elsewhere = np.arange(ways.shape[1])[:, None] != other  # [N, 1]
        column = ways[:, other, None, None]
        background.sum[...] -= elsewhere[..., None] * pooled.sum[supports, 0, column]
        background.count[...] -= elsewhere * pooled.count[supports, 0, column]
    of_background = background.prototype((-2, -1))[:, None]
    return np.concatenate([of_background, foreground.prototype(-1)], 1).astype(np.float32)


def count_queries(features, labels, rows, columns, prototypes, classes, adaptation=PAPER):
    """Confusion matrices of query images with several episodes each.

    Args:
        features: [B, h, w, C] float32.
        labels: [B, S, S] uint8 in the data set's class numbers, 255 where an image is smaller than S.
        rows, columns: [B, S, h] and [B, S, w] float32, the bilinear matrices of each image.
        prototypes: [B, P, 1 + N, C] float32, of each image's episodes.
        classes: [B, P, N] int, their classes.
        adaptation: how the prototypes are adapted to each query; by default not at all, the paper's head.

    Returns:
        [B, P, 1 + N, 1 + N] int32, rows the truth.
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
