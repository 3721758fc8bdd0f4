"""The episodes of the authors' code, reproduced with Python's `random` in the order of their calls.

They are drawn in dataloaders/customized.py (voc_fewshot) and dataloaders/common.py (PairedDataset), with the seeds of
test.py.
"""

import random
from collections.abc import Mapping

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.episodes.draws import Draw, Task
from panet_jax.errors import InputError


def authors_draws(images: Mapping[int, np.ndarray], task: Task, *, seed: int, episodes: int) -> list[Draw]:
    """The draws of one run, in order.

    The ways of the queries are drawn once, for all episodes of the run. A query is no support of its own way, but it may
    be a support of another way.

    Args:
        images: {class number: indices of its images}, both in the order of the authors' lists.
        task: ways, shots and queries of an episode.
        seed: seed of the run; in the authors' code 1234 plus the number of the run.
        episodes: number of episodes.

    Returns:
        The Draws.

    Raises:
        InputError: a class has too few images.
    """
    rng = random.Random(seed)
    queries = np.bincount(rng.choices(range(task.ways), k=task.queries), minlength=task.ways)  # [N] queries of each way
    _check_enough(images, task.shots + queries.max())
    return [_draw(rng, images, task, queries) for _ in range(episodes)]


def _check_enough(images, needed):
    for number, indices in images.items():
        if len(indices) < needed:
            raise InputError(
                f"class {number} has {len(indices)} images, but the authors' draw takes {needed} of a class."
            )


def _draw(rng, images, task, queries_of_ways):
    """The next Draw of a run: a sample of the classes, and of the images of each."""
    numbers = list(images)
    classes = [numbers[place] for place in rng.sample(range(len(numbers)), k=task.ways)]
    supports, queries = [], []
    for number, count in zip(classes, queries_of_ways, strict=True):
        sample = images[number][rng.sample(range(len(images[number])), k=task.shots + count)]
        supports.append(sample[: task.shots])
        queries.extend(sample[task.shots :][::-1])  # the authors' code takes queries from the end
    flips = np.zeros((task.ways, task.shots), bool), np.zeros(task.queries, bool)
    return Draw(np.array(classes), np.array(supports), np.array(queries), *flips)


def authors_images(
    source: Source, images: Mapping[int, np.ndarray], *, only_these: bool = False
) -> tuple[dict[int, np.ndarray], bool]:
    """The images of each class in the order of the authors' lists, if the data set has such lists.

    Args:
        source: the images, with the authors' lists in `class_lists`.
        images: {class number: indices of its images} of the classes to draw from.
        only_these: whether to leave out listed images that are not in `images`, such as those of small objects.

    Returns:
        {class number: indices}, and whether they are in the authors' order; without lists, `images` by class number.

    Raises:
        InputError: the list of some classes is missing.
    """
    images = dict(sorted(images.items()))
    without_list = [number for number in images if number not in source.class_lists]
    if len(without_list) == len(images):
        return images, False
    if without_list:
        raise InputError(
            f"the authors' draw needs the image lists of all classes, but that of class {without_list[0]} is missing; write "
            f'class{without_list[0]}.txt, or remove those of the others.'
        )
    lists = {number: np.asarray(source.class_lists[number], int) for number in images}
    if only_these:
        lists = {number: indices[np.isin(indices, images[number])] for number, indices in lists.items()}
    return lists, True
