"""What points and boxes stand for: the region of the reference that looks like what they mark."""

import numpy as np
import pytest
from drawn import draw_disc

import panet_jax as pj
from panet_jax.images.resize import resize_mask
from panet_jax.segmenter.reference_pictures import reference_picture
from panet_jax.segmenter.references import Marks, read_marks
from panet_jax.segmenter.understanding import understood

SIZE = 64


def two_discs():
    """Features [16, 16, 2] of two equal discs on a background, and the two masks [64, 64]."""
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    left, right = (np.hypot(rows - 32, columns - middle) < 11 for middle in (14, 48))
    discs = (left | right).reshape(16, 4, 16, 4).mean((1, 3))[..., None]
    features = discs * np.array([1.0, 0.2]) + (1 - discs) * np.array([0.2, 1.0])
    return features.astype(np.float32), left, right


def iou(first, second):
    return (first & second).sum() / (first | second).sum()


def marks_of(annotation):
    return read_marks(annotation, (SIZE, SIZE), SIZE, 'the annotation')


def test_a_point_becomes_the_object_that_it_lies_on_and_no_other_like_it():
    features, left, right = two_discs()
    marks = understood(features, marks_of(pj.Points([(14, 32)])))
    assert iou(marks.foreground, left) > 0.7
    assert not (marks.foreground & right).any()
    assert marks.background.any()
    assert not (marks.background & marks.foreground).any()


def test_a_point_on_the_background_takes_away_what_looks_like_it():
    features = np.tile(np.float32([0, 1, 0]), (16, 16, 1))
    features[6:10, 1:9] = 1, 0, 0
    features[6:10, 5:9, 2] = 0.8  # the right half of the object looks a little different
    left, right = ((np.s_[24:40, first : first + 16]) for first in (4, 20))
    marks = understood(features, marks_of(pj.Points([(12, 32)])))
    assert marks.foreground[left].mean() > 0.8
    assert marks.foreground[right].mean() > 0.8
    denied = marks_of(pj.Points([(12, 32)], background=[(28, 32)]))
    marks = understood(features, denied)
    assert marks.foreground[left].mean() > 0.7
    assert marks.foreground[right].mean() < 0.2
    assert not (marks.foreground & denied.background).any()
    assert (marks.background >= denied.background).all()
    assert marks.drawn


def test_a_box_becomes_what_in_it_does_not_look_like_its_surroundings():
    features, left, _ = two_discs()
    box = marks_of(pj.Box(1, 19, 27, 45))
    marks = understood(features, box)
    assert iou(marks.foreground, left) > iou(box.foreground, left)
    assert (marks.foreground <= box.foreground).all()
    np.testing.assert_array_equal(marks.background, box.background)


def test_a_box_that_looks_like_its_surroundings_stays_a_box():
    features = np.ones((16, 16, 3), np.float32)
    box = marks_of(pj.Box(10, 10, 30, 30))
    np.testing.assert_array_equal(understood(features, box).foreground, box.foreground)


def test_the_region_holds_the_points_whatever_the_features_are(rng):
    for seed in range(5):
        points = pj.Points(rng.uniform(0, SIZE, (3, 2)).tolist(), rng.uniform(0, SIZE, (seed, 2)).tolist())
        marks = marks_of(points)
        region = understood(rng.normal(size=(8, 8, 4)).astype(np.float32), marks)
        assert (region.foreground >= marks.foreground).all()
        assert not (region.foreground & region.background).any()


@pytest.mark.parametrize('kind', ['mask', 'scribble'])
def test_masks_and_scribbles_stay_as_they_are(kind):
    features, left, _ = two_discs()
    marks = Marks(left, ~left, kind=kind)
    assert understood(features, marks) is marks


def test_the_segmenter_takes_the_region_that_it_shows_unless_it_is_told_not_to(narrow_params, tmp_path):
    image, mask = draw_disc(0, (80, 80))
    click = pj.Points([tuple(float(place) for place in np.argwhere(mask).mean(0)[::-1])])
    drawn = read_marks(click, (80, 80), SIZE, 'the click')
    segmenter = pj.Segmenter(narrow_params, size=SIZE).fit({'disc': [(image, click)]})
    region = segmenter.understood(image, click)
    assert region.shape == (80, 80)
    assert region.sum() > 2 * resize_mask(drawn.foreground, region.shape).sum()
    (reference,) = segmenter.references.references
    assert reference.foreground.count == reference.marks.foreground.sum() > drawn.foreground.sum()
    as_drawn = pj.Segmenter(narrow_params, size=SIZE, understand=False).fit({'disc': [(image, click)]})
    np.testing.assert_array_equal(as_drawn.references.references[0].marks.foreground, drawn.foreground)
    as_drawn.save(tmp_path / 'drawn.safetensors')
    assert not pj.Segmenter.load(tmp_path / 'drawn.safetensors', as_drawn.network).understand


def test_a_picture_shows_the_region_and_the_point_in_it():
    photo = np.full((SIZE, SIZE, 3), 200, np.uint8)
    drawn = marks_of(pj.Points([(20, 20)], background=[(60, 60)]))
    region = np.zeros((SIZE, SIZE), bool)
    region[10:40, 10:40] = True
    picture = reference_picture(photo, drawn, region, 1)
    assert len({tuple(picture[place]) for place in ((20, 20), (35, 35), (60, 60), (5, 5))}) == 4
    np.testing.assert_array_equal(picture[35, 35], picture[12, 38])
