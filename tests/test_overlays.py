"""What is drawn on photographs: colors, outlines, legends."""

import numpy as np
import pytest
from PIL import Image

from panet_jax.images.legend import LEAST_WIDTH, with_legend
from panet_jax.images.overlays import OPACITY, VOID_COLOR, outlined, overlay, way_color
from panet_jax.method.episode import IGNORE


def disc(shape, radius, way=1):
    rows, columns = np.indices(shape)
    return way * (np.hypot(rows - shape[0] / 2, columns - shape[1] / 2) < radius).astype(np.uint8)


def test_an_overlay_is_a_mixture_of_photograph_and_color():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    label = rng.choice(np.array([0, 1, 9, IGNORE], np.uint8), (20, 30))
    for rest in (1, 0.75):
        wanted = image * rest
        for way in (1, 9):
            wanted[label == way] = (1 - OPACITY) * image[label == way] + OPACITY * way_color(way)
        wanted[label == IGNORE] = VOID_COLOR
        np.testing.assert_array_equal(overlay(image, label, rest=rest), wanted.astype(np.uint8))


@pytest.mark.parametrize('shade', ['color of the class', 'black', 'white'])
@pytest.mark.parametrize('shape', [(40, 60), (1200, 900)])
def test_a_mask_is_seen_on_a_photograph_of_any_color(shade, shape):
    way = 1
    color = {'color of the class': way_color(way), 'black': 0, 'white': 255}[shade]
    photo = np.broadcast_to(np.uint8(color), (*shape, 3))
    label = disc(shape, 0.3 * min(shape), way)
    picture = outlined(overlay(photo, label, rest=1), label).astype(int)
    # Along the row through the middle, at both edges of the disc, light stands beside dark.
    middle = picture[shape[0] // 2].mean(-1)
    first, last = np.flatnonzero(label[shape[0] // 2])[[0, -1]]
    assert (middle[first], middle[first - 1], middle[last], middle[last + 1]) == (255, 0, 255, 0)


def test_only_the_edges_of_classes_are_drawn():
    label = np.zeros((50, 80), np.uint8)
    label[10:40, 10:30], label[10:40, 30:50], label[:, 70:] = 1, 2, IGNORE
    picture = outlined(np.full((50, 80, 3), 99, np.uint8), label)
    changed = (picture != 99).any(-1)
    assert not changed[12:38, 12:28].any()  # inside a class
    assert not changed[12:38, 32:48].any()
    assert not changed[:, 52:].any()  # the background, and void
    assert (picture[11:39, 29:31] == 255).all()  # two classes that touch: a line, and no black between them
    assert (outlined(picture, np.zeros_like(label)) == picture).all()


def test_the_lines_are_wider_on_larger_photographs_and_hold_on_tiny_ones():
    for side, width in ((6, 1), (400, 1), (2000, 4)):
        label = np.zeros((side, side), np.uint8)
        label[:, side // 2 :] = 1
        picture = outlined(np.full((side, side, 3), 99, np.uint8), label)
        assert (picture[0, :, 0] == 255).sum() == (picture[0, :, 0] == 0).sum() == width


def lines_of_text(legend):
    """The heights of the lines of white letters in a legend; the dots of i and of % may stand alone."""
    rows = np.flatnonzero((np.asarray(legend).min(-1) > 200).any(1))
    parts = [len(part) for part in np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)]
    return [height for height in parts if height > 2]


@pytest.mark.parametrize('size', [(8, 8), (40, 30), (100, 90), (30, 900), (500, 375)])
def test_a_legend_can_be_read_below_any_photograph(size):
    texts = ['cat 12.3%', 'a dog with a rather long name 33.1%', 'supercalifragilisticexpialidocious 5.0%']
    rows = [(tuple(way_color(way).tolist()), text) for way, text in enumerate(texts, 1)]
    picture = with_legend(Image.new('RGB', size, 'teal'), rows)
    assert picture.width == max(size[0], LEAST_WIDTH)
    np.testing.assert_array_equal(np.asarray(picture)[: size[1], : size[0]], np.asarray(Image.new('RGB', size, 'teal')))
    legend = np.asarray(picture)[size[1] :]
    assert min(lines_of_text(legend)) >= 9  # pixels from the top of a letter
    assert (legend[:, -1] < 60).all(), 'a text is cut off'
    assert (legend[-1] < 60).all(), 'a line is cut off'
    for color, _ in rows:
        assert (legend == color).all(-1).any()


def test_a_part_or_a_gap_that_is_narrower_than_the_line_is_drawn_where_it_is():
    label = np.zeros((1350, 1350), np.uint8)  # lines of 3 pixels
    label[100:200, 100:200] = label[100:200, 202:300] = 1
    label[400, 400] = 1
    lines = outlined(np.full((*label.shape, 3), 128, np.uint8), label)[..., 0]
    assert (lines[110:190, 200:202] == 0).all()
    assert (lines[110:190, 197:200] == 255).all()
    assert (lines[110:190, 202:205] == 255).all()
    assert lines[400, 400] == 128
    assert (lines[400, 397:400] == 0).all()
    assert (lines[400, 390:397] == 128).all()


@pytest.mark.parametrize('neighbor', [0, 2])
def test_a_part_that_the_line_would_fill_keeps_its_color(neighbor):
    label = np.zeros((1350, 1350), np.uint8)  # lines of 3 pixels
    label[100:200, 100:200], label[100:200, 200:300] = 1, neighbor
    label[150:156, 200:300] = 1  # as thick as two lines
    label[170:177, 200:300] = 1  # thicker
    lines = outlined(np.full((*label.shape, 3), 128, np.uint8), label)[..., 0]
    assert (lines[150:156, 203:300] == 128).all()
    assert (lines[170:173, 210:290] == 255).all()
    assert (lines[173, 210:290] == 128).all()
    assert (lines[174:177, 210:290] == 255).all()
    assert (lines[100:103, 100:190] == 255).all()  # with the corner
    around = {0: 0, 2: 255}[neighbor]
    assert (lines[147:150, 210:290] == lines[156:159, 210:290]).all()
    assert (lines[147:150, 210:290] == around).all()
