"""Episodes: pure values, well formed, and errors that say what is missing."""

import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from panet_jax.datasets import Sample
from panet_jax.errors import InputError
from panet_jax.images import mirror, resize
from panet_jax.loader import episode_batches, stack
from panet_jax.sampling import Episodes, episode_label, fold_classes


class Crowded:
    """A source of many tiny images, each showing several of 6 classes."""

    classes = tuple('abcdef')

    def __init__(self, seed=0, length=30):
        rng = np.random.default_rng(seed)
        self.labels = rng.choice([0, 0, 1, 2, 3, 4, 5, 6, 255], (length, 8, 8)).astype(np.uint8)
        self.labels[:, 0, 0] = np.arange(length) % 6 + 1
        self.presence = np.array([[(label == c).any() for c in range(1, 7)] for label in self.labels])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return Sample(np.repeat(self.labels[index][..., None], 3, 2), self.labels[index])


def make(source=None, classes=(1, 2, 3, 4, 5, 6), ways=2, shots=2, queries=2, seed=0, flip=False):
    return Episodes(
        source or Crowded(), list(classes), ways=ways, shots=shots, queries=queries, seed=seed, size=8, flip=flip
    )


@hypothesis.given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6))
def test_draws_are_well_formed(ways, shots, queries, index):
    source = Crowded()
    draw = make(source, ways=ways, shots=shots, queries=queries).draw(index)
    assert len(set(draw.classes.tolist())) == ways
    assert draw.supports.shape == (ways, shots)
    assert len(set(draw.queries.tolist())) == queries
    assert not set(draw.queries.tolist()) & set(draw.supports.ravel().tolist())
    for c, images in zip(draw.classes, draw.supports, strict=True):
        assert source.presence[images, c - 1].all()
        assert len(set(images.tolist())) == shots
    assert source.presence[draw.queries][:, draw.classes - 1].any(1).all()


def test_episode_i_of_a_seed_is_a_pure_value():
    one, two = make(flip=True), make(flip=True)
    two[0], two[9]
    for a, b in zip(one[5].__dict__.values(), two[5].__dict__.values(), strict=True):
        np.testing.assert_array_equal(a, b)
    draws = [tuple(make(seed=seed).draw(i).supports.ravel()) for seed in (0, 1) for i in range(10)]
    assert len(set(draws)) > 15


def test_masks_and_labels_follow_the_reference():
    source = Crowded()
    episodes = make(source)
    draw, episode = episodes.draw(3), episodes[3]
    for n, c in enumerate(draw.classes):
        for k, image in enumerate(draw.supports[n]):
            np.testing.assert_array_equal(episode.support_foreground[n, k], source.labels[image] == c)
            # every pixel of none of the classes, void included
            np.testing.assert_array_equal(
                episode.support_background[n, k], ~np.isin(source.labels[image], draw.classes)
            )
    for q, image in enumerate(draw.queries):
        wanted = np.zeros((8, 8), int)
        wanted[source.labels[image] == 255] = 255
        for n, c in enumerate(draw.classes, 1):
            wanted[source.labels[image] == c] = n
        np.testing.assert_array_equal(episode.query_labels[q], wanted)
    np.testing.assert_array_equal(episode_label(np.uint8([0, 4, 9, 255]), [9, 4]), [0, 2, 1, 255])


def test_flips_mirror_image_and_masks_together_about_half_the_time():
    episodes = make(ways=1, shots=1, queries=1, flip=True)
    flips = np.array([episodes.draw(i).query_flips[0] for i in range(400)])
    assert 0.4 < flips.mean() < 0.6
    assert not make().draw(0).query_flips.any()
    index = int(np.flatnonzero(flips)[0])
    draw, episode = episodes.draw(index), episodes[index]
    plain = episodes.source[draw.queries[0]]
    np.testing.assert_array_equal(episode.query_images[0], plain.image[:, ::-1])
    np.testing.assert_array_equal(episode.query_labels[0], episode_label(plain.label, draw.classes)[:, ::-1])


def test_a_class_with_just_enough_images_always_suffices():
    """Both classes on the same three images: queries first, supports from what is left."""
    source = types.SimpleNamespace(classes=('a', 'b'), presence=np.ones((3, 2), bool))
    episodes = Episodes(source, [1, 2], ways=2, shots=1, queries=2, seed=0, size=8)
    for index in range(50):
        draw = episodes.draw(index)
        assert not set(draw.queries.tolist()) & set(draw.supports.ravel().tolist())


def test_too_few_images_or_classes_are_errors_that_say_so():
    with pytest.raises(InputError, match=r"class 1 \(a\) has \d+ images in 'data'.*needs 29 support and 2 query"):
        make(shots=29)
    with pytest.raises(InputError, match='a 3-way episode needs 3 classes, but the fold has 2'):
        make(classes=(1, 2), ways=3)


def test_folds_are_the_benchmarks():
    assert fold_classes(20, 0) == [1, 2, 3, 4, 5]
    assert fold_classes(20, 3) == [16, 17, 18, 19, 20]
    assert fold_classes(80, 1) == list(range(21, 41))
    assert fold_classes(80, 1, '4x+i') == list(range(2, 81, 4))
    for rule in ('contiguous', '4x+i'):
        assert sorted(c for fold in range(4) for c in fold_classes(80, fold, rule)) == list(range(1, 81))


def test_resize_is_pils_bilinear_and_nearest(rng):
    sample = Sample(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), rng.integers(0, 3, (20, 30), dtype=np.uint8))
    small = resize(sample, 9)
    np.testing.assert_array_equal(small.image, np.asarray(Image.fromarray(sample.image).resize((9, 9), 2)))
    np.testing.assert_array_equal(small.label, np.asarray(Image.fromarray(sample.label).resize((9, 9), 0)))
    np.testing.assert_array_equal(mirror(mirror(small)).label, small.label)


@pytest.mark.parametrize('threads', [0, 1, 16])
def test_batches_are_the_same_for_any_threads_and_any_start(threads):
    episodes = make(flip=True)
    for start in (0, 2):
        with episode_batches(episodes, 3, 5, start=start, threads=threads) as batches:
            batches = list(batches)
        assert len(batches) == 5 - start
        for step, batch in zip(range(start, 5), batches, strict=True):
            wanted = stack([episodes[i] for i in range(3 * step, 3 * step + 3)])
            for a, b in zip(batch.__dict__.values(), wanted.__dict__.values(), strict=True):
                np.testing.assert_array_equal(a, b)


def test_an_error_while_reading_arrives_as_itself():
    class Broken(Crowded):
        def __getitem__(self, index):
            raise InputError(f'image {index} is broken')

    with episode_batches(make(Broken()), 1, 4) as batches, pytest.raises(InputError, match='is broken'):
        next(batches)
