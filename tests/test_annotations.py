"""Scribbles and boxes follow the rules of the paper."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from scipy import ndimage
from varied import Varied

from panet_jax.episodes.annotations import KINDS, Marks, SupportReader, box_masks, dense_masks, scribble_masks
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.images.scribbles import NO_SCRIBBLE, bezier, draw_scribbles, longest_paths, scribble


def blob(seed, size=40):
    """A random mask with smooth borders, holes and several parts."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 3)
    return noise > np.quantile(noise, 0.7)


@hypothesis.given(st.integers(0, 10**6), st.integers(1, 60))
def test_a_scribble_lies_within_its_mask_and_is_thin(seed, size):
    mask = blob(seed, size)
    drawn = scribble(mask)
    assert drawn.any() == mask.any()
    assert not (drawn & ~mask).any()
    assert drawn.sum() <= max(4, 0.7 * mask.sum())
    np.testing.assert_array_equal(scribble(mask), drawn)  # the same each time


def test_a_scribble_runs_along_a_bar():
    mask = np.zeros((30, 100), bool)
    mask[10:20, 5:95] = True
    rows, columns = np.nonzero(scribble(mask))
    assert columns.min() < 15
    assert columns.max() > 85
    assert np.abs(rows - 14.5).max() < 3


@pytest.mark.parametrize('mask', ['whole', 'pixel', 'line', 'ring', 'edge'])
def test_odd_masks_have_scribbles(mask):
    masks = dict.fromkeys(('whole', 'pixel', 'line', 'ring', 'edge'))
    for name in masks:
        masks[name] = np.zeros((50, 50), bool)
    masks['whole'][:] = True
    masks['pixel'][3, 4] = True
    masks['line'][7, 10:40] = True
    rows, columns = np.mgrid[:50, :50] - 25
    masks['ring'] = np.abs(np.hypot(rows, columns) - 18) < 4
    masks['edge'][:, :5] = True
    drawn = scribble(masks[mask])
    assert drawn.any()
    assert not (drawn & ~masks[mask]).any()


def test_each_part_has_a_path_and_crumbs_have_none():
    axis = np.zeros((20, 20), bool)
    axis[2, 2:12] = True
    axis[2:6, 5] = True  # a branch
    axis[15, 1:8] = True
    axis[18, 18] = True  # a crumb
    assert sorted(len(path) for path in longest_paths(axis)) == [7, 10]
    axis[:17] = False
    assert [path.tolist() for path in longest_paths(axis)] == [[[18, 18]]]


def test_longest_path_cuts_a_ring_open():
    axis = np.zeros((12, 12), bool)
    axis[2, 2:9] = axis[8, 2:9] = True
    axis[2:9, 2] = axis[2:9, 8] = True
    (path,) = longest_paths(axis)
    assert len(path) >= axis.sum() - 2
    assert (np.abs(np.diff(path, axis=0)).max(1) == 1).all()


def test_bezier_begins_and_ends_with_the_path_and_stays_between():
    path = np.stack([np.arange(50), (np.arange(50) // 10) % 2 * 10], 1)
    curve = bezier(path)
    np.testing.assert_allclose(curve[[0, -1]], path[[0, -1]])
    assert curve[:, 1].min() >= 0
    assert curve[:, 1].max() <= 10
    np.testing.assert_allclose(bezier(np.array([[1, 2], [5, 2]])), [[1, 2], [5, 2]])
    assert np.isfinite(bezier(np.stack([np.arange(1000)] * 2, 1))).all()


def test_every_object_and_the_background_have_scribbles():
    label, instances = np.zeros((60, 60), np.uint8), np.zeros((60, 60), int)
    label[5:25, 5:25], instances[5:25, 5:25] = 3, 1
    label[35:50, 30:55], instances[35:50, 30:55] = 3, 300
    label[40, 5], instances[40, 5] = 7, 4
    label[0] = 255
    drawn = draw_scribbles(label, instances)
    assert drawn.dtype == np.uint16
    for number in (1, 4, 300):
        assert (drawn[instances == number] == number).any()
        assert (instances[drawn == number] == number).all()
    assert (label[drawn == 0] == 0).all()
    assert set(np.unique(drawn)) == {0, 1, 4, 300, NO_SCRIBBLE}


def test_one_scribble_of_the_class_is_taken_and_which_depends_on_the_seed():
    label = np.array([[2, 2, 2, 2, 5, 5, 0, 0]], np.uint8)
    scribbles = np.array([[1, 1, 2, NO_SCRIBBLE, 3, NO_SCRIBBLE, 0, NO_SCRIBBLE]])
    seen = set()
    for seed in range(30):
        foreground, background = scribble_masks(Marks(label, scribbles=scribbles, seed=(0, seed)), 2, True)
        seen.add(tuple(foreground[0].tolist()))
        assert background[0].tolist() == [False] * 6 + [True, False]
    assert {sum(mask) for mask in seen} == {1, 2}
    assert len(seen) == 2
    nothing, _ = scribble_masks(Marks(label, scribbles=scribbles), 9, True)
    assert not nothing.any()


def test_box_is_of_the_largest_object_and_the_background_lies_outside_all():
    label, instances = np.zeros((12, 12), np.uint8), np.zeros((12, 12), int)
    for number, (c, rows, columns) in enumerate(
        [(4, slice(0, 3), slice(0, 3)), (4, slice(5, 11), slice(4, 9)), (6, slice(0, 12), slice(10, 12))], 1
    ):
        label[rows, columns], instances[rows, columns] = c, number
    label[7, 6] = instances[7, 6] = 0  # a hole is inside the box
    foreground, background = box_masks(Marks(label, instances), 4, True)
    expected = np.zeros((12, 12), bool)
    expected[5:11, 4:9] = True
    np.testing.assert_array_equal(foreground, expected)
    expected[:3, :3] = True
    np.testing.assert_array_equal(background, ~expected)  # the other class's object is background
    foreground, background = box_masks(Marks(label, instances), 5, True)
    assert not foreground.any()
    assert background.all()


def test_void_is_background_of_dense_masks_in_one_protocol_only():
    label = np.array([[0, 3, 255, 8]], np.uint8)
    assert dense_masks(Marks(label), 3, True)[1].tolist() == [[True, False, True, True]]
    assert dense_masks(Marks(label), 3, False)[1].tolist() == [[True, False, False, True]]


def test_other_ways_are_no_background_of_a_dense_support():
    source, label = Varied(), np.array([[0, 3, 8, 255]], np.uint8)
    foreground, background = SupportReader('dense').way(source, 0, label, 0, [3, 8])
    assert foreground.tolist() == [[False, True, False, False]]
    assert background.tolist() == [[True, False, False, True]]


@pytest.mark.parametrize('kind', KINDS)
def test_annotations_are_mirrored_with_their_image(kind):
    draws = Draws(images_by_class(Varied(), [1, 2, 3], Task()), Task(), seed=0, flip=True)
    episodes = Episodes(Varied(), draws, size=33, reader=SupportReader(kind))
    draw = next(draws[i] for i in range(50) if draws[i].support_flips.all())
    straight = episodes.assemble(dataclasses.replace(draw, support_flips=~draw.support_flips))
    flipped = episodes.assemble(draw)
    for name in ('support_images', 'support_foreground', 'support_background'):
        one, other = getattr(straight, name), getattr(flipped, name)
        np.testing.assert_array_equal(np.flip(one, 3 if name != 'support_images' else -2), other)
    assert flipped.support_foreground.any()
