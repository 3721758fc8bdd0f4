"""A source of many tiny images, and episodes of it."""

import numpy as np

from panet_jax.datasets.source import Sample
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class


class Crowded:
    """30 images of 8 x 8 pixels, each showing several of 6 classes."""

    classes = tuple('abcdef')

    def __init__(self, seed=0, length=30):
        rng = np.random.default_rng(seed)
        self.labels = rng.choice([0, 0, 1, 2, 3, 4, 5, 6, 255], (length, 8, 8)).astype(np.uint8)
        self.labels[:, 0, 0] = np.arange(length) % 6 + 1
        self.areas = np.array([[(label == c).sum() for c in range(1, 7)] for label in self.labels])
        self.presence = self.areas > 0

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return Sample(np.repeat(self.labels[index][..., None], 3, 2), self.labels[index])


def make(source=None, classes=(1, 2, 3, 4, 5, 6), ways=2, shots=2, queries=2, seed=0, flip=False):
    source, task = source or Crowded(), Task(ways, shots, queries)
    return Episodes(source, Draws(images_by_class(source, classes, task), task, seed, flip), size=8)
