"""The episodes that the authors' code draws: Python's `random`, in the order of their calls.

dataloaders/customized.py (voc_fewshot) and dataloaders/common.py (PairedDataset), seeded as test.py does.
"""

import random

import numpy as np

from panet_jax.episodes.sampling import Draw
from panet_jax.errors import InputError


def authors_draws(images, *, ways, shots, queries, seed, episodes):
    """The episodes of one run, in order.

    Which way each query comes from is drawn once, for all episodes of the run. A query is no support of
    its own way; it can be one of another way's.

    Args:
        images: {class number: indices of its images}, both in the order in which the authors list them.
        ways, shots, queries: N, K and Q.
        seed: of the run; the authors add its number to 1234.
        episodes: how many.

    Returns:
        List of Draws.
    """
    rng = random.Random(seed)
    classes = list(images)
    extra = np.bincount(rng.choices(range(ways), k=queries), minlength=ways)
    for number, shown in images.items():
        if len(shown) < shots + extra.max():
            raise InputError(
                f"class {number} has {len(shown)} images, but the authors' draw takes {shots + extra.max()} of a class."
            )
    draws = []
    for _ in range(episodes):
        drawn = [classes[place] for place in rng.sample(range(len(classes)), k=ways)]
        supports, last = [], []
        for number, more in zip(drawn, extra, strict=True):
            chosen = images[number][rng.sample(range(len(images[number])), k=shots + more)]
            supports.append(chosen[:shots])
            last.extend(chosen[shots:][::-1])  # their lists are read from the end
        flips = np.zeros((ways, shots), bool), np.zeros(queries, bool)
        draws.append(Draw(np.array(drawn), np.array(supports), np.array(last), *flips))
    return draws


def authors_images(source, images, *, only_these=False):
    """The images of each class as the authors list them, if the data set says it, else as they are.

    Args:
        source: a Source.
        images: {class number: indices}, of the classes to draw from.
        only_these: leave out what the authors list and `images` lacks, such as images with small objects.

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
