"""One pass over the images counts what one pass over the episodes counts."""

import functools
import itertools
import os
import threading
import time

import jax
import numpy as np
import pytest
from noting import noting
from varied import Varied

from panet_jax.datasets.shapes import Shapes
from panet_jax.episodes.annotations import KINDS, SupportReader
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.evaluation.batches import MOST_READERS, AnnotatedImages
from panet_jax.evaluation.counting import MOST_PAIRS, Evaluator
from panet_jax.evaluation.feature_cache import FeatureCache
from panet_jax.evaluation.image_sums import MOST_LOGITS, count_queries, episode_prototypes
from panet_jax.evaluation.plain import episode_confusions, query_labels
from panet_jax.evaluation.protocols import PANET2019, PROTOCOLS, STANDARD
from panet_jax.method.adapt import adaptation_of
from panet_jax.method.episode import IGNORE
from panet_jax.method.prototypes import Pooled, bilinear_matrix
from panet_jax.method.vgg16 import vgg16
from panet_jax.networks.network import Network

CLASSES = [2, 5, 11, 20]


def make(ways, shots, queries, kind='dense', protocol=PANET2019):
    reader, task = SupportReader(kind, protocol.void_is_background), Task(ways, shots, queries)
    draws = Draws(images_by_class(Varied(), CLASSES, task), task, seed=3)
    return Episodes(Varied(), draws, size=33, reader=reader)


ENCODER = vgg16(1 / 16)


@functools.cache  # what one test has compiled serves the next one
def shared_evaluator(batch=4, cache_gib=1.0, head='panet'):
    return Evaluator(ENCODER, batch=batch, cache_gib=cache_gib, head=head)


def count(params, episodes, number, own_size=False, evaluator=None, key=None, **options):
    evaluator = evaluator or shared_evaluator(**options)
    draws = [episodes.draw(index) for index in range(number)]
    annotated = AnnotatedImages(episodes.source, CLASSES, episodes.reader, 33, own_size)
    return evaluator.count(params, draws, annotated, key).confusions


def plain(params, episodes, number, own_size=False, head='panet'):
    network, confusions = Network(ENCODER, params, 33), []
    for index in range(number):
        labels = query_labels(episodes, episodes.draw(index), own_size)
        options = {'dtype': 'float32', 'adaptation': adaptation_of(head, episodes.draw(0).supports.shape[-1])}
        confusions.append(episode_confusions(network, episodes[index], labels, **options))
    return np.array(confusions)


def assert_same_but_for_ties(found, wanted):
    """Pixels whose logits agree to float rounding may fall on either side: fewer than one in ten thousand do."""
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(found.sum(-1), wanted.sum(-1))  # how often each label is the truth
    assert np.abs(found - wanted).sum() <= 1e-4 * wanted.sum()
    assert (found == wanted).all((1, 2, 3)).mean() > 0.8


@pytest.mark.parametrize('numbers', [(1, 1, 1), (1, 5, 1), (2, 2, 3), (4, 1, 2)], ids=str)
def test_counts_are_those_of_one_episode_at_a_time(narrow_params, numbers):
    episodes = make(*numbers)
    assert_same_but_for_ties(count(narrow_params, episodes, 12), plain(narrow_params, episodes, 12))


@pytest.mark.parametrize('numbers', [(1, 1, 1), (2, 2, 3)], ids=str)
def test_counts_of_the_adapted_head_are_those_of_one_episode_at_a_time(narrow_params, numbers):
    episodes = make(*numbers)
    found = count(narrow_params, episodes, 12, head='adapted')
    assert_same_but_for_ties(found, plain(narrow_params, episodes, 12, head='adapted'))
    assert (found != count(narrow_params, episodes, 12)).any()


@pytest.mark.exhaustive
@pytest.mark.parametrize(('kind', 'protocol'), list(itertools.product(KINDS, PROTOCOLS)))
def test_counts_are_so_for_each_annotation_and_protocol(narrow_params, kind, protocol):
    protocol = PROTOCOLS[protocol]
    episodes = make(2, 2, 2, kind, protocol)
    wanted = plain(narrow_params, episodes, 8, protocol.own_size)
    found = count(narrow_params, episodes, 8, own_size=protocol.own_size)
    assert_same_but_for_ties(found, wanted)
    pixels = found.sum((2, 3)).ravel()
    assert (pixels > 33 * 33).any() == protocol.own_size  # the labels are larger than the network's size


def test_kinds_and_protocols_count_differently(narrow_params):
    counts = [count(narrow_params, make(2, 1, 1, kind), 6) for kind in KINDS]
    assert all((one != other).any() for one, other in itertools.combinations(counts, 2))
    void_left_out = make(2, 1, 1, 'dense', STANDARD)
    assert (count(narrow_params, void_left_out, 6) != counts[0]).any()


def test_counts_are_the_same_for_any_cache_batch_pairs_and_devices(narrow_params):
    episodes = make(2, 1, 2)
    wanted = count(narrow_params, episodes, 15)
    np.testing.assert_array_equal(count(narrow_params, episodes, 15, cache_gib=0), wanted)
    half = 25 * 32 * 4 * 20 / 2**30
    np.testing.assert_array_equal(count(narrow_params, episodes, 15, cache_gib=half), wanted)
    many = count(narrow_params, episodes, 15 * MOST_PAIRS)  # more episodes of an image than are scored at once
    assert np.abs(many[:15] - wanted).sum() <= 1e-4 * wanted.sum()
    for batch in (1, 7):  # one device
        assert np.abs(count(narrow_params, episodes, 15, batch=batch) - wanted).sum() <= 1e-4 * wanted.sum()


def test_counts_are_the_same_when_large_images_are_scored_an_episode_at_a_time(rng):
    features, prototypes = rng.normal(size=(1, 5, 5, 8)), rng.normal(size=(1, 3, 2, 8))
    classes = np.array([[[1], [2], [3]]])

    def counted(side):
        labels, matrix = np.full((1, side, side), IGNORE, np.uint8), np.zeros((1, side, 5), np.float32)
        labels[:, :33, :33] = np.arange(33) % 4
        matrix[:, :33] = bilinear_matrix(33, 5)
        arrays = (features.astype(np.float32), labels, matrix, matrix, prototypes.astype(np.float32), classes)
        return np.asarray(count_queries(*map(jax.numpy.asarray, arrays)))

    large = int(np.sqrt(MOST_LOGITS / 2)) + 1
    np.testing.assert_array_equal(counted(large), counted(33))
    assert counted(33).sum() == 3 * 33 * 33


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


def test_batches_of_any_size_are_read_by_as_many_threads_as_there_are_cores(narrow_params):
    class Slow(Varied):
        reading, most = 0, 0

        def __getitem__(self, index):
            with lock:
                self.reading += 1
                self.most = max(self.most, self.reading)
            time.sleep(0.01)
            with lock:
                self.reading -= 1
            return super().__getitem__(index)

    lock, episodes = threading.Lock(), make(1, 1, 1)
    episodes.source = Slow()
    for batch in (2, 4):
        episodes.source.most = 0
        count(narrow_params, episodes, 12, batch=batch)
        assert min(2, os.cpu_count()) <= episodes.source.most <= min(os.cpu_count(), MOST_READERS)


def test_each_pass_is_compiled_once_for_any_number_of_batches_and_counts(narrow_params, caplog):
    evaluator = Evaluator(ENCODER)
    count(narrow_params, make(1, 1, 1), 10, evaluator=evaluator)
    with jax.log_compiles():
        jax.jit(lambda x: x + 1)(np.zeros(3)).block_until_ready()
        assert 'Compiling' in caplog.text
        caplog.clear()
        count(narrow_params, make(1, 1, 1), 10, evaluator=evaluator)
    assert 'Compiling' not in caplog.text


class CountingEvaluator(Evaluator):
    """Counts the images that it encodes."""

    def __init__(self):
        self.encoded = 0
        super().__init__(noting(ENCODER, self.note), cache_gib=1.0)

    def note(self, images):
        self.encoded += len(images)


@pytest.mark.exhaustive
def test_another_count_with_the_same_network_encodes_only_what_is_new(narrow_params):
    wanted, passes = {}, {}
    for kind in KINDS:
        alone = CountingEvaluator()
        wanted[kind] = count(narrow_params, make(1, 1, 1, kind), 10, evaluator=alone)
        passes[kind] = alone.encoded
    assert len(set(passes.values())) == 1
    each = passes['dense']
    assert each >= 4
    evaluator = CountingEvaluator()
    for key, kind, times in (
        ('a', 'dense', 1),
        ('a', 'scribble', 1),
        ('b', 'box', 2),
        (None, 'dense', 3),
        (None, 'dense', 4),
    ):
        counted = count(narrow_params, make(1, 1, 1, kind), 10, evaluator=evaluator, key=key)
        np.testing.assert_array_equal(counted, wanted[kind])
        assert evaluator.encoded == each * times


def test_a_cache_keeps_to_its_budget():
    cache, features = FeatureCache(3 * 400 / 2**30), np.zeros(100, np.float32)
    batches = [np.array([number]) for number in range(4)]
    cache.begin('network', batches)
    assert [cache.put(batch, features, ()) for batch in batches] == [True, True, True, False]
    assert cache.put(batches[0], features, ())
    cache.begin('network', batches[2:])
    assert [cache.get(batch) is None for batch in batches] == [True, True, False, True]
    assert cache.put(batches[3], features, ())


def test_the_labels_of_cached_batches_are_within_the_budget():
    cache, features, truth = FeatureCache(3 * 400 / 2**30), np.zeros(50, np.float32), (np.zeros(200, np.uint8),)
    batches = [np.array([number]) for number in range(4)]
    for _ in range(2):  # the second evaluation finds the features, and has the room for its labels again
        cache.begin('network', batches)
        assert not any(cache.truth(batch) for batch in batches)
        assert [cache.put(batch, features, truth) for batch in batches] == [True, True, True, False]
        assert [cache.truth(batch) == truth for batch in batches] == [True, True, True, False]
    cache.begin('network', batches)
    larger = (np.zeros(700, np.uint8),)
    assert not cache.put(batches[0], features, larger)
    assert cache.get(batches[0]) is None  # both or neither


def test_supports_without_an_annotated_pixel_are_counted(narrow_params):
    class Empty(Varied):
        def scribbles(self, index, seed=0):
            found = super().scribbles(index, seed)
            return np.where(found > 0, 65535, found).astype(np.uint16)

    episodes = make(2, 2, 1, 'scribble')
    draws = [episodes.draw(index) for index in range(3)]
    annotated = AnnotatedImages(Empty(), CLASSES, episodes.reader, 33, False)
    found = Evaluator(ENCODER).count(narrow_params, draws, annotated)
    np.testing.assert_array_equal(found.empty_supports, [4, 4, 4])
    assert found.confusions.sum() > 0  # finite: every pixel has a prediction
    assert found.confusions[..., 1:].sum() == 0  # and it is the background


def test_prototypes_of_images_without_the_class_are_zero():
    # Two images, one class: [image, foreground or background, class, channel].
    sums = np.array([[[[0.0, 0.0]], [[4.0, 8.0]]], [[[6.0, 2.0]], [[1.0, 1.0]]]])
    counts = np.array([[[0.0], [4.0]], [[2.0], [1.0]]])
    supports, ways = np.array([[[0]], [[1]]]), np.array([[0], [0]])
    found = episode_prototypes(Pooled(sums, counts), supports, ways, others_excluded=True)
    np.testing.assert_allclose(found, [[[1, 2], [0, 0]], [[1, 1], [3, 1]]], rtol=1e-4)
    assert found.dtype == np.float32
