"""Counts and IoU against the reference's definition, pixel by pixel."""

import hypothesis
import hypothesis.strategies as st
import numpy as np

from panet_jax.evaluation.protocols import PANET2019, STANDARD
from panet_jax.method.metrics import binary_iou, class_counts, confusion_matrix, iou


def reference_counts(predictions, labels, classes, num_classes):
    """The authors' rule: sets of pixels, per query; a class that the label lacks is skipped."""
    sums = np.zeros((3, 1 + num_classes), np.int64)
    for prediction, label, episode_classes in zip(predictions, labels, classes, strict=True):
        for place, number in enumerate([0, *episode_classes]):
            predicted = {tuple(p) for p in np.argwhere((prediction == place) & (label != 255))}
            true = {tuple(p) for p in np.argwhere(label == place)}
            if true:
                sums[:, number] += len(predicted & true), len(predicted - true), len(true - predicted)
    return sums


@hypothesis.given(st.integers(1, 3), st.integers(0, 2**16))
def test_counts_equal_the_reference(ways, seed):
    rng = np.random.default_rng(seed)
    predictions, labels = rng.integers(0, 1 + ways, (2, 4, 5, 6))
    labels[rng.random(labels.shape) < 0.2] = 255
    labels[0][labels[0] == 1] = 0  # way 1 absent from query 0
    classes = np.array([rng.choice(np.arange(1, 8), ways, replace=False) for _ in range(4)])
    confusions = [np.asarray(confusion_matrix(p, t, 1 + ways))[None] for p, t in zip(predictions, labels, strict=True)]
    ours = class_counts(np.array(confusions), classes, 7, absent_false_positives=False)
    np.testing.assert_array_equal(ours, reference_counts(predictions, labels, classes, 7))


def test_confusion_counts_every_valid_pixel_once():
    labels = np.array([[0, 1, 255], [1, 1, 0]])
    predictions = np.array([[0, 1, 1], [0, 1, 1]])
    np.testing.assert_array_equal(confusion_matrix(predictions, labels, 2), [[1, 1], [1, 2]])


def test_false_positives_on_absent_classes_depend_on_the_protocol():
    confusion = np.array([[[[90, 10], [0, 0]]]])
    for counted, protocol in ((10, STANDARD), (0, PANET2019)):
        counts = class_counts(confusion, np.array([[3]]), 5, absent_false_positives=protocol.absent_false_positives)
        assert counts[1, 3] == counted


def test_iou_of_nothing_is_nan_and_of_something_is_the_ratio():
    np.testing.assert_allclose(iou(np.array([[3, 0, 0], [1, 0, 2], [2, 0, 0]])), [0.5, np.nan, 0])


def test_binary_iou_pools_the_classes():
    counts = np.array([[50, 10, 20], [5, 3, 7], [10, 2, 3]])
    np.testing.assert_allclose(binary_iou(counts), (50 / 65, 30 / 45))
