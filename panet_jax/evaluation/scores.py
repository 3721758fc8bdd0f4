"""IoU from numbers of pixels: means and standard deviations over runs."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from panet_jax.method.metrics import binary_iou, iou


def scores(counts: np.ndarray, unseen: Mapping[str, int]) -> dict[str, Any]:
    """Means and population standard deviations of IoU over R runs.

    Args:
        counts: [R, 3, 1 + classes] int64, numbers of pixels of each run as from `class_counts`.
        unseen: {class name: column of counts}.

    Returns:
        The fields of `results.result.Scores` that are IoU, fractions in [0, 1]. A class that no query shows is None and
        not part of the means.
    """
    class_iou = np.array([iou(run) for run in counts])[:, list(unseen.values())]  # [R, classes]
    mean_iou = [_mean(run) for run in class_iou]
    binary = np.array([binary_iou(run) for run in counts])  # [R, 2]
    return {
        'class_iou': {name: _none_if_nan(_mean(column)) for name, column in zip(unseen, class_iou.T, strict=True)},
        'class_iou_std': {name: _none_if_nan(_std(column)) for name, column in zip(unseen, class_iou.T, strict=True)},
        'mean_iou': _none_if_nan(float(np.mean(mean_iou))),
        'mean_iou_std': _none_if_nan(float(np.std(mean_iou))),
        'binary_iou': _none_if_nan(float(binary.mean())),
        'binary_iou_std': _none_if_nan(float(binary.mean(1).std())),
        'background_iou': _none_if_nan(float(binary[:, 0].mean())),
        'foreground_iou': _none_if_nan(float(binary[:, 1].mean())),
        'mean_iou_by_run': [_none_if_nan(value) for value in mean_iou],
        'binary_iou_by_run': [_none_if_nan(float(value)) for value in binary.mean(1)],
    }


def _mean(values):
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if numbers.size else float('nan')


def _std(values):
    numbers = values[~np.isnan(values)]
    return float(numbers.std()) if numbers.size else float('nan')


def _none_if_nan(value):
    return None if np.isnan(value) else value
