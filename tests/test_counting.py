"""One pass over the images counts what one pass over the episodes counts."""

import jax
import numpy as np
import pytest

from panet_jax import counting, devices
from panet_jax.counting import count_episodes
from panet_jax.datasets import Shapes
from panet_jax.evaluate import episode_confusions
from panet_jax.image_sums import episode_prototypes
from panet_jax.sampling import Episodes

CLASSES = [2, 5, 11, 20]


def make(ways, shots, queries):
    return Episodes(Shapes('test', 33), CLASSES, ways=ways, shots=shots, queries=queries, seed=3, size=33)


def count(params, episodes, number, **options):
    settings = {'size': 33, 'batch': 4, 'dtype': 'float32', 'cache_gib': 1.0} | options
    draws = [episodes.draw(index) for index in range(number)]
    return count_episodes(params, draws, episodes.source, CLASSES, **settings)


@pytest.fixture(scope='module')
def plain(narrow_params):
    one = jax.jit(lambda episode: episode_confusions(narrow_params, episode, dtype='float32'))
    return lambda episodes, number: np.array([one(episodes[index]) for index in range(number)])


@pytest.mark.parametrize('numbers', [(1, 1, 1), (1, 5, 1), (2, 2, 3), (4, 1, 2)], ids=str)
def test_counts_are_those_of_one_episode_at_a_time(narrow_params, plain, numbers):
    episodes = make(*numbers)
    wanted = plain(episodes, 12)
    found = count(narrow_params, episodes, 12)
    assert found.shape == wanted.shape
    assert found.sum() == wanted.sum()  # void pixels count in neither
    # Pixels whose logits agree to float rounding may fall on either side.
    assert np.abs(found - wanted).sum() <= 1e-4 * wanted.sum()
    assert (found == wanted).all((1, 2, 3)).mean() > 0.8


def test_counts_are_the_same_for_any_cache_batch_pairs_and_devices(narrow_params, monkeypatch):
    episodes = make(2, 1, 2)
    wanted = count(narrow_params, episodes, 15)
    np.testing.assert_array_equal(count(narrow_params, episodes, 15, cache_gib=0), wanted)
    half = 25 * 32 * 4 * 20 / 2**30
    np.testing.assert_array_equal(count(narrow_params, episodes, 15, cache_gib=half), wanted)
    monkeypatch.setattr(counting, 'MOST_PAIRS', 1)
    np.testing.assert_array_equal(count(narrow_params, episodes, 15), wanted)
    monkeypatch.setattr(devices, 'usable_devices', lambda _: jax.local_devices()[:1])
    for batch in (1, 7):
        assert np.abs(count(narrow_params, episodes, 15, batch=batch) - wanted).sum() <= 1e-4 * wanted.sum()


def test_each_image_is_read_once_with_a_cache_and_queries_twice_without(narrow_params):
    class Counting(Shapes):
        def __init__(self):
            super().__init__('test', 33)
            self.reads = []

        def __getitem__(self, index):
            self.reads.append(index)
            return super().__getitem__(index)

    episodes = make(1, 1, 1)
    draws = [episodes.draw(index) for index in range(20)]
    unique = {int(i) for draw in draws for i in (*draw.supports.flat, *draw.queries)}
    for cache_gib in (1.0, 0.0):
        episodes.source = Counting()
        count(narrow_params, episodes, 20, cache_gib=cache_gib, batch=2)
        assert set(episodes.source.reads) == unique
        assert (len(episodes.source.reads) == len(unique)) == (cache_gib > 0)


def test_prototypes_of_images_without_the_class_are_zero():
    sums = np.array([[[4.0, 8.0], [0.0, 0.0]], [[1.0, 1.0], [6.0, 2.0]]])
    counts = np.array([[4.0, 0.0], [1.0, 2.0]])
    found = episode_prototypes(sums, counts, np.array([[[0]], [[1]]]), np.array([[1], [1]]))
    np.testing.assert_allclose(found, [[[1, 2], [0, 0]], [[1, 1], [3, 1]]], rtol=1e-4)
    assert found.dtype == np.float32
