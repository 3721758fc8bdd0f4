"""Counts of pixels on the device, and IoU from their sums."""

import chex
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes
from panet_jax.method.episode import IGNORE


def confusion_matrix(predictions: jax.Array, labels: jax.Array, num_labels: int) -> jax.Array:
    """How many pixels of label i were predicted as j, without ignored pixels.

    Args:
        predictions: [...] int in 0..L-1.
        labels: [...] int in 0..L-1, or 255.
        num_labels: L.

    Returns:
        [L, L] int32, in pixels; rows are the truth, columns the predictions.
    """
    check_axes('confusion_matrix', predictions=(predictions, '...', int), labels=(labels, '...', int))
    cells = jnp.where(labels == IGNORE, num_labels**2, labels * num_labels + predictions)
    counts = jnp.bincount(cells.ravel(), length=num_labels**2 + 1)
    return counts[:-1].reshape(num_labels, num_labels).astype(jnp.int32)


def class_counts(
    confusions: np.ndarray, classes: np.ndarray, num_classes: int, *, absent_false_positives: bool
) -> np.ndarray:
    """Sums of true positives, false positives and false negatives by class over many episodes.

    Args:
        confusions: [E, Q, L, L] int, of E episodes, as from `confusion_matrix`.
        classes: [E, N] int in 1..num_classes, the class of each way.
        num_classes: number of classes of the data set.
        absent_false_positives: whether pixels predicted as a class count as false positives in a query
            that does not show it.

    Returns:
        [3, 1 + num_classes] int64, in pixels: TP, FP, FN; column 0 is the background.
    """
    check_axes('class_counts', confusions=(confusions, 'E Q 1+N 1+N', int), classes=(classes, 'E N', int))
    confusions = np.asarray(confusions, np.int64)
    true_positives = np.diagonal(confusions, axis1=2, axis2=3)  # [E, Q, L]
    false_positives = confusions.sum(2) - true_positives
    false_negatives = confusions.sum(3) - true_positives
    if not absent_false_positives:
        false_positives = np.where(confusions.sum(3) > 0, false_positives, 0)
    columns = np.concatenate([np.zeros((len(classes), 1), int), classes], 1)  # [E, L]
    sums = np.zeros((3, 1 + num_classes), np.int64)
    for row, counts in zip(sums, (true_positives, false_positives, false_negatives), strict=True):
        np.add.at(row, columns, counts.sum(1))
    return sums


def iou(counts: np.ndarray) -> np.ndarray:
    """Intersection over union: TP / (TP + FP + FN).

    Args:
        counts: [3, ...] int: TP, FP, FN, as from `class_counts`.

    Returns:
        [...] float64 in [0, 1]; NaN where no pixel was counted.
    """
    chex.assert_axis_dimension(counts, 0, 3, custom_message='iou wants counts [3, ...]')
    true_positives, union = counts[0], counts.sum(0)
    return np.where(union > 0, true_positives / np.maximum(union, 1), np.nan)


def binary_iou(counts: np.ndarray) -> tuple[float, float]:
    """IoU of the background, and of all classes taken as one.

    Args:
        counts: [3, 1 + num_classes] int: TP, FP, FN, as from `class_counts`.

    Returns:
        Two floats in [0, 1], of the background and of the foreground; NaN where no pixel was counted.
    """
    check_axes('binary_iou', counts=(counts, '3 L', int))
    return tuple(iou(np.stack([counts[:, 0], counts[:, 1:].sum(1)], 1)))
