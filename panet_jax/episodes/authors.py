"""The episodes that the authors' code draws: by Python's `random`, in the order of their calls.

dataloaders/customized.py (voc_fewshot) and dataloaders/common.py (PairedDataset), seeded as test.py does.
"""

import random
from collections.abc import Mapping

import numpy as np

from panet_jax.datasets.source import Source
from panet_jax.episodes.draws import Draw, Task
from panet_jax.errors import InputError


def authors_draws(images: Mapping[int, np.ndarray], task: Task, *, seed: int, episodes: int) -> list[Draw]:
    """The draws of one run, in order.

    Which way each query comes from is drawn once, for all episodes of the run. A query is no support of
    its own way; it can be one of another way's.

    Args:
        images: {class number: indices of its images}, both in the order in which the authors list them.
        task: what an episode consists of.
        seed: of the run; the authors add the run's number to 1234.
        episodes: how many.
    """
    rng = random.Random(seed)
    queries = np.bincount(rng.choices(range(task.ways), k=task.queries), minlength=task.ways)  # [N], of each way
    _check_enough(images, task.shots + queries.max())
    return [_draw(rng, images, task, queries) for _ in range(episodes)]


def _check_enough(images, needed):
    for number, indices in images.items():
        if len(indices) < needed:
            raise InputError(
                f"class {number} has {len(indices)} images, but the authors' draw takes {needed} of a class."
            )


def _draw(rng, images, task, queries_of_ways):
    """The next Draw of a run: a sample of the classes, and one of the images of each."""
    numbers = list(images)
    classes = [numbers[place] for place in rng.sample(range(len(numbers)), k=task.ways)]
    supports, queries = [], []
    for number, count in zip(classes, queries_of_ways, strict=True):
        taken = images[number][rng.sample(range(len(images[number])), k=task.shots + count)]
        supports.append(taken[: task.shots])
        queries.extend(taken[task.shots :][::-1])  # their lists are read from the end
    flips = np.zeros((task.ways, task.shots), bool), np.zeros(task.queries, bool)
    return Draw(np.array(classes), np.array(supports), np.array(queries), *flips)


def authors_images(
    source: Source, images: Mapping[int, np.ndarray], *, only_these: bool = False
) -> tuple[dict[int, np.ndarray], bool]:
    """The images of each class as the authors list them, if the data set has their lists; otherwise as they are.

    Args:
        source: the images, with the authors' lists in `class_lists`.
        images: {class number: indices}, of the classes to draw from.
        only_these: leave out images that the authors list and `images` lacks, such as those of small objects.

    Returns:
        {class number: indices}, and whether that is the authors' order.
    """
    images = dict(sorted(images.items()))
    lacking = [number for number in images if number not in source.class_lists]
    if len(lacking) == len(images):
        return images, False
    if lacking:
        raise InputError(
            f"the authors' draw needs the image lists of all classes, but that of class {lacking[0]} is not there; write "
            f'class{lacking[0]}.txt, or remove those of the others.'
        )
    listed = {number: np.asarray(source.class_lists[number], int) for number in images}
    if only_these:
        listed = {number: shown[np.isin(shown, images[number])] for number, shown in listed.items()}
    return listed, True
