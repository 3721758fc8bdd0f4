"""The authors' episodes: the rule, written down a second time, and sequences that follow from it."""

import random
import types

import numpy as np
import pytest

import panet_jax as pj
from panet_jax.episodes.authors import authors_draws, authors_images
from panet_jax.episodes.draws import Task

IMAGES = {c: np.arange(100 * c, 100 * c + 40 + c) for c in (6, 7, 8, 9, 10)}


def by_the_rule(images, ways, shots, queries, seed, episodes):
    """As the protocol says: choices of the queries' ways once; then classes, then images within each class."""
    random.seed(seed)
    ways_of_queries = random.choices(range(ways), k=queries)
    classes = sorted(images)
    episodes_drawn = []
    for _ in range(episodes):
        drawn = [classes[i] for i in random.sample(range(len(classes)), ways)]
        supports, last = [], []
        for way, c in enumerate(drawn):
            more = ways_of_queries.count(way)
            chosen = [int(images[c][i]) for i in random.sample(range(len(images[c])), shots + more)]
            supports.append(chosen[:shots])
            last += reversed(chosen[shots:])
        episodes_drawn.append((drawn, supports, last))
    return episodes_drawn


@pytest.mark.parametrize('numbers', [(1, 1, 1), (1, 5, 1), (2, 1, 1), (2, 5, 3), (5, 2, 4)], ids=str)
@pytest.mark.parametrize('seed', [1234, 1238])
def test_draws_follow_the_rule(numbers, seed):
    draws = authors_draws(IMAGES, Task(*numbers), seed=seed, episodes=50)
    drawn = [(d.classes.tolist(), d.supports.tolist(), d.queries.tolist()) for d in draws]
    assert drawn == by_the_rule(IMAGES, *numbers, seed, 50)
    assert not any(d.support_flips.any() or d.query_flips.any() for d in draws)


def test_the_first_draws_are_those_of_the_authors_code():
    # Written down once from their voc_fewshot, PairedDataset and fewShot (1695bf3), with lists of these lengths.
    draws = authors_draws(IMAGES, Task(ways=2, shots=2, queries=3), seed=1235, episodes=2)
    assert [(d.classes.tolist(), d.supports.tolist(), d.queries.tolist()) for d in draws] == [
        ([9, 10], [[909, 945], [1046, 1041]], [922, 1013, 1027]),
        ([10, 6], [[1026, 1016], [622, 638]], [1028, 642, 629]),
    ]


def test_classes_come_in_the_order_of_the_sets_of_the_authors():
    for classes, size in ((20, 5), (80, 20)):
        for fold in range(4):
            seen = set(range(1, classes + 1)) - set(range(size * fold + 1, size * fold + size + 1))
            assert list(set(range(1, classes + 1)) - seen) == list(range(size * fold + 1, size * fold + size + 1))


def test_lists_of_the_data_set_give_the_order():
    images = {3: np.array([1, 2]), 2: np.array([3, 5])}

    def listed(lists, **options):
        ordered, theirs = authors_images(types.SimpleNamespace(class_lists=lists), images, **options)
        return {c: list(shown) for c, shown in ordered.items()}, theirs

    assert listed({2: [5, 4, 3], 3: [2, 1], 7: [0]}) == ({2: [5, 4, 3], 3: [2, 1]}, True)
    assert listed({2: [5, 4, 3], 3: [2, 1]}, only_these=True) == ({2: [5, 3], 3: [2, 1]}, True)
    assert listed({}) == ({2: [3, 5], 3: [1, 2]}, False)
    with pytest.raises(pj.InputError, match=r'but that of class 3 is missing; write class3\.txt'):
        listed({2: [5, 4, 3]})


def test_too_few_images_are_an_error():
    with pytest.raises(pj.InputError, match=r"class 1 has 3 images, but the authors' draw takes 4"):
        authors_draws({1: np.arange(3)}, Task(queries=3), seed=0, episodes=1)
