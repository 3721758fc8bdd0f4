"""Episodes: pure values, well formed, and errors that say what is missing."""

import types

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from crowded import Crowded, make
from PIL import Image

from panet_jax.datasets.folds import FOLD_RULES, fold_classes, unseen_classes
from panet_jax.datasets.source import Sample
from panet_jax.episodes.assembly import episode_label
from panet_jax.episodes.draws import Draws, Task, drawable_images, images_by_class
from panet_jax.errors import InputError
from panet_jax.images.resize import mirror, resize


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
        expected = np.zeros((8, 8), int)
        expected[source.labels[image] == 255] = 255
        for n, c in enumerate(draw.classes, 1):
            expected[source.labels[image] == c] = n
        np.testing.assert_array_equal(episode.query_labels[q], expected)
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
    task = Task(ways=2, shots=1, queries=2)
    draws = Draws(images_by_class(source, [1, 2], task), task, seed=0)
    for index in range(50):
        draw = draws[index]
        assert not set(draw.queries.tolist()) & set(draw.supports.ravel().tolist())


def test_too_few_images_or_classes_are_errors_that_say_so():
    with pytest.raises(InputError, match=r"class 1 \(a\) has \d+ images in 'data'.*needs 29 support and 2 query"):
        make(shots=29)
    with pytest.raises(InputError, match='a 3-way episode needs 3 classes to draw from, but there are 2'):
        make(classes=(1, 2), ways=3)


def test_folds_are_the_benchmarks():
    assert fold_classes(20, 0) == [1, 2, 3, 4, 5]
    assert fold_classes(20, 3) == [16, 17, 18, 19, 20]
    assert fold_classes(80, 1) == list(range(21, 41))
    assert fold_classes(80, 1, '4x+i') == list(range(2, 81, 4))
    for rule in FOLD_RULES:
        for classes in (80, 20, 7, 4):
            folds = [fold_classes(classes, fold, rule, seed=3) for fold in range(4)]
            assert sorted(c for fold in folds for c in fold) == list(range(1, classes + 1))
            assert all(folds)
    assert fold_classes(20, 0, 'random', seed=1) == fold_classes(20, 0, 'random', seed=1)
    assert fold_classes(20, 0, 'random', seed=1) != fold_classes(20, 0, 'random', seed=2)


def test_unseen_classes_are_named_or_a_fold():
    data = types.SimpleNamespace(unseen=('f', 'b'), fold=0, fold_rule='contiguous', fold_seed=0)
    assert unseen_classes(Crowded(), data) == [2, 6]
    data.unseen = ()
    assert unseen_classes(Crowded(), data) == [1, 2]
    data.unseen = ('g',)
    with pytest.raises(InputError, match="names 'g', but the classes are a, b, c, d, e, f"):
        unseen_classes(Crowded(), data)


def test_drawable_images_by_size_and_without_unseen_classes():
    areas = np.array([[9, 0, 0], [9, 3, 0], [2, 9, 0], [0, 9, 9], [9, 9, 9]])
    source = types.SimpleNamespace(areas=areas, presence=areas > 0, classes=('a', 'b', 'c'))
    np.testing.assert_array_equal(drawable_images(source), areas > 0)
    np.testing.assert_array_equal(drawable_images(source, smallest_object=3), areas >= 3)
    kept = drawable_images(source, without=[3])
    np.testing.assert_array_equal(kept, (areas > 0) & np.array([[1], [1], [1], [0], [0]], bool))
    draws = Draws(images_by_class(source, [1, 2], Task(), drawable=kept), Task(), seed=0)
    drawn = [draws[index] for index in range(30)]
    assert {int(image) for draw in drawn for image in (*draw.supports.flat, *draw.queries)} == {0, 1, 2}


def test_resize_is_pils_bilinear_and_nearest(rng):
    sample = Sample(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8), rng.integers(0, 3, (20, 30), dtype=np.uint8))
    small = resize(sample, 9)
    np.testing.assert_array_equal(small.image, np.asarray(Image.fromarray(sample.image).resize((9, 9), 2)))
    np.testing.assert_array_equal(small.label, np.asarray(Image.fromarray(sample.label).resize((9, 9), 0)))
    np.testing.assert_array_equal(mirror(mirror(small)).label, small.label)
