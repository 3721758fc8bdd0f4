"""Counts of pixels on the device, and IoU from their sums."""

import jax.numpy as jnp
import numpy as np

from panet_jax.method.episode import IGNORE


def confusion_matrix(predictions, labels, num_labels):
    """How many pixels of label i were predicted as j; ignored pixels count nowhere.

    Args:
        predictions: [...] int in 0..L-1.
        labels: [...] int in 0..L-1, or 255.
        num_labels: L.

    Returns:
        [L, L] int32, rows the truth.
    """
    cells = jnp.where(labels == IGNORE, num_labels**2, labels * num_labels + predictions)
    counts = jnp.bincount(cells.ravel(), length=num_labels**2 + 1)
    return counts[:-1].reshape(num_labels, num_labels).astype(jnp.int32)


def class_counts(confusions, classes, num_classes, *, absent_false_positives):
    """Sums of true positives, false positives and false negatives by class over many episodes.

    Args:
        confusions: [E, Q, L, L] int, of E episodes.
        classes: [E, N] int, class number of each way.
        num_classes: of the data set.
        absent_false_positives: whether pixels predicted as a class count as false positives in a query
            that does not show it.

    Returns:
        [3, 1 + num_classes] int64: TP, FP, FN; column 0 is the background.
    """
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


def iou(counts):
    """TP / (TP + FP + FN) along the first axis of [3, ...]; NaN where there was no such pixel."""
    true_positives, union = counts[0], counts.sum(0)
    return np.where(union > 0, true_positives / np.maximum(union, 1), np.nan)


def binary_iou(counts):
    """IoU of the background and of all classes pooled, from [3, 1 + num_classes]: two floats."""
    return tuple(iou(np.stack([counts[:, 0], counts[:, 1:].sum(1)], 1)))
