"""Masks of one class as programs paint, resize and index them: none is inverted, none hollow."""

import io

import numpy as np
import pytest
from drawn import draw_disc
from folders import make_own
from PIL import Image
from scipy import ndimage

import panet_jax as pj
from panet_jax.commands.demo_page.uploads import read_mask
from panet_jax.datasets.custom import open_custom
from panet_jax.images.class_masks import class_mask, mask_of_image
from panet_jax.segmenter.references import read_marks

DISC = draw_disc(0, shape=(60, 90), center=(30, 40), radius=20)[1]


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def resized(method, factor, top=255):
    """The disc painted with 0 and `top` and resized, [h, w] uint8, and its truth."""
    size = [round(side * factor) for side in DISC.shape[::-1]]
    soft = np.asarray(Image.fromarray(DISC.astype(np.float32)).resize(size, Image.Resampling[method]))
    return np.round(np.clip(soft, 0, 1) * top).astype(np.uint8), soft >= 0.5


def indexed(numbers, palette):
    """A PNG of numbers with these colors, from number 0, as Pillow opens it."""
    image, file = Image.fromarray(numbers.astype(np.uint8)), io.BytesIO()
    image.putpalette(np.array(palette, np.uint8).tobytes())
    image.save(file, 'PNG')
    return Image.open(file)


@pytest.mark.parametrize('method', ['BOX', 'BILINEAR', 'BICUBIC', 'LANCZOS'])
@pytest.mark.parametrize('factor', [0.5, 1.5, 2, 4, 8])
def test_resized_masks_are_cut_at_the_half_and_not_hollow(method, factor, tmp_path):
    for top in (255, 254, 200):
        painted, truth = resized(method, factor, top)
        Image.fromarray(painted).save(tmp_path / 'mask.png')
        for given in (painted, painted.astype(int), tmp_path / 'mask.png', read_mask(tmp_path / 'mask.png')):
            marks = read_marks(given, truth.shape, 65, 'the mask')
            expected = read_marks(truth, truth.shape, 65, 'the mask')
            assert iou(marks.foreground, expected.foreground) > 0.95
            assert (marks.background == ~marks.foreground).all()


@pytest.mark.parametrize('levels', [1, 2, 3, 6, 14, 30, 62, 254])
def test_edges_of_any_number_of_levels_are_soft(levels):
    soft, truth = resized('BILINEAR', 8)
    painted = np.round(np.round(soft / 255 * (levels + 1)) * 255 / (levels + 1)).astype(np.uint8)
    if levels == 1:  # else a wide gray band, which may be an object
        painted = np.where((painted > 0) & (painted < 255) & (np.arange(painted.shape[1]) % 2 > 0), 128, 255 * truth)
    foreground, void = class_mask(painted, 'mask')
    assert iou(foreground, truth) > 0.95
    assert not void.any()


def test_soft_masks_of_16_bits_are_cut_at_the_half():
    painted, truth = resized('BICUBIC', 3)
    assert iou(class_mask(painted.astype(np.uint16) * 257, 'mask')[0], truth) > 0.99


@pytest.mark.parametrize('grays', [(255, 0), (0, 255), (250, 3), (1, 0)])
def test_the_brightness_of_a_palette_of_grays_decides_not_its_index(grays):
    white = int(grays[1] > grays[0])
    image = indexed(np.where(DISC, white, 1 - white), [[gray] * 3 for gray in grays])
    np.testing.assert_array_equal(mask_of_image(image, 'mask')[0], DISC)


@pytest.mark.parametrize('colors', [2, 4, 8, 16, 200])
def test_quantized_masks_are_what_they_show(colors):
    painted, truth = resized('BILINEAR', 2)
    image = Image.fromarray(painted).quantize(colors)
    assert image.getpalette()[0] > 200  # white first
    assert iou(mask_of_image(image, 'mask')[0], truth) > 0.9


def test_of_a_palette_of_colors_the_index_decides():
    numbers = np.where(DISC, 2, 0)
    rim = ndimage.binary_dilation(DISC, iterations=3) & ~DISC
    numbers[rim] = 255
    palette = np.full((256, 3), (224, 224, 192))
    palette[:3] = (0, 0, 0), (255, 255, 255), (128, 0, 0)
    foreground, void = mask_of_image(indexed(numbers, palette), 'mask')
    np.testing.assert_array_equal(foreground, DISC)
    np.testing.assert_array_equal(void, rim)
    with pytest.raises(pj.InputError, match=r'number 0 has the color \(255, 0, 0\) and number 1 is black'):
        mask_of_image(indexed(DISC, [(255, 0, 0), (0, 0, 0)]), 'mask')


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int64])
@pytest.mark.parametrize('width', [1, 3, 5])
def test_255_in_a_rim_around_objects_is_void(dtype, width):
    rim = ndimage.binary_dilation(DISC, iterations=width) & ~DISC
    for objects in (DISC * 1, DISC * 15, DISC * (1 + np.arange(90) // 10), DISC * 77):
        foreground, void = class_mask(np.where(rim, 255, objects).astype(dtype), 'mask')
        np.testing.assert_array_equal(foreground, DISC)
        np.testing.assert_array_equal(void, rim)


def test_void_elsewhere_leaves_the_objects_alone():
    values = DISC.astype(np.uint8)
    values[:20, :15] = 255
    foreground, void = class_mask(values, 'mask')
    np.testing.assert_array_equal(foreground, DISC)
    assert void.sum() == 300


def test_numbers_of_objects_are_all_the_class():
    for objects in (DISC * (1 + np.arange(90) // 30), DISC * (30 + np.arange(90)), DISC * 70000, DISC * 254):
        foreground, void = class_mask(objects, 'mask')
        np.testing.assert_array_equal(foreground, DISC)
        assert not void.any()


def ambiguous():
    """{what it is: a mask that can be read in two ways}."""
    speck, trimap, areas = DISC * 255, DISC * 255, DISC * 255
    speck[2, 2] = 1
    trimap[ndimage.binary_dilation(DISC, iterations=8) & ~DISC] = 128
    areas[:30, :15] = 120
    return {
        'a speck beside a large 255': speck,
        'a wide gray band': trimap,
        'an area of gray elsewhere': areas,
        '1 in place of 0': np.where(DISC, 255, 1),
        '255 among larger numbers': np.where(DISC, 300, 255 * (np.arange(90) > 80)),
        'no black': np.where(DISC, 200, 90),
        'negative': np.where(DISC, 1, -1),
    }


@pytest.mark.parametrize('mask', ambiguous().values(), ids=ambiguous())
def test_a_mask_that_can_be_read_in_two_ways_is_refused(mask):
    with pytest.raises(
        pj.InputError, match=r'^x\.png has .*(save the class as 255 and all else as 0|no negative number)'
    ):
        class_mask(mask, 'x.png')


def test_transparency_of_a_palette_is_the_background(tmp_path):
    image = Image.fromarray(np.where(DISC, np.arange(90) % 5, 9).astype(np.uint8))
    image.putpalette(np.random.default_rng(0).integers(0, 256, 30, dtype=np.uint8).tobytes())
    image.save(tmp_path / 'mask.png', transparency=9)
    np.testing.assert_array_equal(mask_of_image(Image.open(tmp_path / 'mask.png'), 'mask')[0], DISC)


def test_a_folder_per_class_is_read_as_references_are(tmp_path):
    make_own(tmp_path, by_class=True)
    (tmp_path / 'masks/background').mkdir()
    truth = open_custom(tmp_path, 'all').record('photo 0').label
    white_first = Image.fromarray(np.where(truth == 1, 255, 0).astype(np.uint8)).quantize(2)
    assert white_first.getpalette()[0] == 255
    white_first.save(tmp_path / 'masks/cat/photo 0.png')
    void = np.where(truth == 2, 1, 0).astype(np.uint8)
    void[0] = 255
    Image.fromarray(void).save(tmp_path / 'masks/dog/photo 0.png')
    label = open_custom(tmp_path, 'all').record('photo 0').label
    assert (label[0] == 255).all()
    np.testing.assert_array_equal(label[1:], truth[1:])


def test_a_folder_called_background_is_no_class(tmp_path):
    make_own(tmp_path, by_class=True)
    (tmp_path / 'masks/cat').rename(tmp_path / 'masks/Background')
    layout = open_custom(tmp_path, 'all')
    assert layout.classes == ('dog',)
    assert set(np.unique(layout.record('photo 0').label)) == {0, 1}
    (tmp_path / 'masks/dog').rename(tmp_path / 'masks/__background__')
    with pytest.raises(pj.InputError, match='is no class; wanted a folder per class'):
        open_custom(tmp_path, 'all')


def with_mask(root, image):
    """The label of a folder of class numbers whose first mask is this image."""
    image.save(make_own(root) / 'masks/photo 0.png')
    return open_custom(root, 'all').record('photo 0').label


def test_class_numbers_are_indices_of_colors_and_of_grays_that_are_no_class(tmp_path):
    numbers = np.zeros((30, 40), np.uint8)
    numbers[:9], numbers[20:] = 1, 2
    for name, palette in {
        'colors': [(9, 9, 9), (255, 0, 0), (0, 0, 0)],
        'grays': [(0, 0, 0), (127,) * 3, (254,) * 3],
        'white first': [(254,) * 3, (127,) * 3, (0,) * 3],
    }.items():
        np.testing.assert_array_equal(with_mask(tmp_path / name, indexed(numbers, palette)), numbers)
    brightness = indexed(numbers + 100, [(0, 0, 0)] * 100 + [(0, 0, 0), (1, 1, 1), (2, 2, 2)])
    np.testing.assert_array_equal(with_mask(tmp_path / 'brightness', brightness), numbers)
    with pytest.raises(
        pj.InputError, match='palette of grays in which number 2 is the gray 0, and either may be meant'
    ):
        with_mask(tmp_path / 'either', Image.fromarray(numbers).quantize(3))


def test_of_objects_in_a_palette_of_grays_black_is_none(tmp_path):
    make_own(tmp_path)
    objects = np.zeros((30, 40), np.uint8)
    objects[5:15, 10:18], objects[20:25, 10:14] = 200, 100
    image = Image.fromarray(objects).quantize(3)
    assert image.getpalette()[0] == 200
    (tmp_path / 'instances').mkdir()
    image.save(tmp_path / 'instances/photo 0.png')
    np.testing.assert_array_equal(open_custom(tmp_path, 'all').record('photo 0').instances, objects)


def test_more_classes_than_a_byte_holds_are_refused_with_the_reason(tmp_path):
    make_own(tmp_path)
    (tmp_path / 'classes.txt').write_text('\n'.join(f'class {number}' for number in range(255)))
    with pytest.raises(
        pj.InputError, match='255 classes; wanted 1 to 254 different ones, as a label is stored in one byte'
    ):
        open_custom(tmp_path, 'all')
