"""What every episode needs from an image, computed once an image: sums of features by label.

With frozen weights the prototypes of all episodes follow from one row an image: for each of U classes,
and for everything else, the sum of the upsampled features under that label, and the count of its
pixels. An episode's background is everything but its own classes: the total without them.

Axes: B images, U classes, P pairs of an episode and a query image, E episodes; others as in prototypes.
"""

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.encoder import encode
from panet_jax.episode import IGNORE, normalize
from panet_jax.metrics import confusion_matrix
from panet_jax.prototypes import COUNT_EPSILON, cosine_logits, masked_sum, upsample


def image_sums(params, images, labels, classes, *, dtype):
    """Features of images, and their sums by label.

    Args:
        params: encoder parameters.
        images: [B, H, W, 3] uint8.
        labels: [B, H, W] uint8 in the data set's class numbers.
        classes: [U] int, the classes that episodes are drawn from.
        dtype: of the encoder's computation.

    Returns:
        features: [B, h, w, C] float32.
        sums: [B, 1 + U, C] float32: of everything else, void included, then of each class.
        counts: [B, 1 + U] float32.
    """
    features = encode(params, normalize(images), dtype=dtype)
    shown = labels[:, None] == jnp.asarray(classes, labels.dtype)[None, :, None, None]  # [B, U, H, W]
    masks = jnp.concatenate([~shown.any(1, keepdims=True), shown], 1).astype(jnp.float32)
    sums = jax.vmap(jax.vmap(masked_sum, (None, 0)))(features, masks)
    return features, sums, masks.sum((-2, -1))


def episode_prototypes(sums, counts, supports, ways):
    """Prototypes of many episodes from the rows of their support images.

    Args:
        sums, counts: [images, 1 + U, C] and [images, 1 + U], as from `image_sums`.
        supports: [E, N, K] int, rows of the support images.
        ways: [E, N] int in 1..U, column of each way's class.

    Returns:
        [E, 1 + N, C] float32, background first: the same as `class_prototypes` of each episode.
    """
    sums, counts = np.asarray(sums, np.float64), np.asarray(counts, np.float64)
    own = ways[:, :, None]
    class_means = sums[supports, own] / (counts[supports, own, None] + COUNT_EPSILON)  # [E, N, K, C]
    background_sums, background_counts = sums.sum(1)[supports], counts.sum(1)[supports]
    for way in ways.T:
        column = way[:, None, None]
        background_sums -= sums[supports, column]
        background_counts -= counts[supports, column]
    background_means = background_sums / (background_counts[..., None] + COUNT_EPSILON)
    prototypes = np.concatenate([background_means.mean((1, 2))[:, None], class_means.mean(2)], 1)
    return prototypes.astype(np.float32)


def count_queries(features, labels, prototypes, classes):
    """Confusion matrices of query images with several episodes each.

    Args:
        features: [B, h, w, C] float32.
        labels: [B, H, W] uint8 in the data set's class numbers.
        prototypes: [B, P, 1 + N, C] float32, of each image's episodes.
        classes: [B, P, N] int, their classes.

    Returns:
        [B, P, 1 + N, 1 + N] int32, rows the truth.
    """

    def count(features, label, prototypes, classes):
        logits = upsample(cosine_logits(features, prototypes), label.shape)
        truth = jnp.where(label == IGNORE, IGNORE, 0)
        for way in range(classes.shape[0]):
            truth = jnp.where(label == classes[way], way + 1, truth)
        return confusion_matrix(logits.argmax(-1), truth, prototypes.shape[0])

    return jax.vmap(jax.vmap(count, (None, None, 0, 0)))(features, labels, prototypes, classes.astype(labels.dtype))
