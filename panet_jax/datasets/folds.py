"""The unseen classes: folds of a benchmark, or classes by name."""

from typing import TYPE_CHECKING

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

FOLDS = 4
FOLD_RULES = ('contiguous', '4x+i', 'random')


def fold_classes(num_classes: int, fold: int, rule: str = 'contiguous', seed: int = 0) -> list[int]:
    """The unseen classes of a fold; all others are seen in training.

    Args:
        num_classes: number of classes of the data set.
        fold: 0..3.
        rule: 'contiguous' (fold 0 is 1..n/4: PASCAL-5i, and COCO-20i as PANet splits it), '4x+i' (fold i
            is i+1, i+5, i+9, ...: COCO-20i as FWB and HSNet split it), or 'random' (contiguous after a
            permutation). If n is no multiple of four, some folds have one class more than others.
        seed: seed of the permutation.

    Returns:
        Sorted list of class numbers, from 1; empty if there are fewer than four classes.
    """
    numbers = np.arange(1, num_classes + 1)
    if rule == '4x+i':
        return numbers[fold::FOLDS].tolist()
    if rule == 'random':
        numbers = np.random.default_rng(seed).permutation(numbers)
    return sorted(np.array_split(numbers, FOLDS)[fold].tolist())


def unseen_classes(source: Source, data: 'ConfigDict') -> list[int]:
    """The unseen classes of a configuration: those it names, else those of its fold.

    Args:
        source: the data set.
        data: section `data` of the configuration, with unseen (class names), fold, fold_rule and fold_seed.

    Returns:
        Sorted list of class numbers, from 1.

    Raises:
        InputError: a name is no class of the data set.
    """
    if not data.unseen:
        return fold_classes(len(source.classes), data.fold, data.fold_rule, data.fold_seed)
    unknown = [name for name in data.unseen if name not in source.classes]
    if unknown:
        raise InputError(f'data.unseen names {unknown[0]!r}, but the classes are {", ".join(source.classes)}.')
    return sorted({source.classes.index(name) + 1 for name in data.unseen})
