"""Objects of label maps, and the files that other programs read: what is read back is what was written."""

import contextlib
import dataclasses
import io
import json

import hypothesis
import hypothesis.extra.numpy
import hypothesis.strategies as st
import numpy as np
import pytest
import yaml
from labeled import CLASSES, draw_labels, labeled_images
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import panet_jax as pj
from panet_jax.datasets.custom import custom_lists, kind_of, open_custom
from panet_jax.datasets.label_studio import decode_brush
from panet_jax.errors import InputError
from panet_jax.export.label_studio import brush_rle
from panet_jax.export.polygons import center_polygons, edge_polygons
from panet_jax.export.records import Records, read_record, write_record
from panet_jax.images.objects import find_objects

FORMATS = ('coco', 'yolo', 'voc', 'label-studio', 'tiff')
MASKS = hypothesis.extra.numpy.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12)))


@pytest.fixture
def exported(tmp_path):
    """A function that exports images and returns the folder, the label maps and the remarks."""

    def export(*formats, **options):
        images, maps = labeled_images(tmp_path / 'in', **options)
        remarks = pj.export_labels(tmp_path / 'out', lambda: images, CLASSES, formats=formats, image_root='../in')
        return tmp_path / 'out', maps, remarks

    return export


def coco(path):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


@hypothesis.given(labels=hypothesis.extra.numpy.arrays(np.uint8, (7, 9), elements=st.integers(0, 3)))
def test_objects_are_the_connected_regions_and_cover_the_classes(labels):
    objects = find_objects(labels, CLASSES)
    painted = np.zeros_like(labels)
    for one in objects:
        assert not painted[one.mask].any()
        painted[one.mask] = one.label
        assert (one.area, one.name) == (one.mask.sum(), CLASSES[one.label - 1])
        left, top, right, bottom = one.box
        assert one.mask[top:bottom, left:right].sum() == one.area
    np.testing.assert_array_equal(painted, labels)
    united = find_objects(labels, CLASSES, split=False)
    assert [one.label for one in united] == np.unique(labels[labels > 0]).tolist()
    assert sum(one.area for one in united) == np.count_nonzero(labels)
    assert [one.area for one in find_objects(labels, CLASSES, min_area=4)] == [o.area for o in objects if o.area >= 4]


def test_holes_are_kept_and_pixels_that_touch_at_a_corner_are_one_object():
    objects = find_objects(draw_labels(0), CLASSES)
    assert [one.has_hole for one in objects if one.name == 'cat'] == [True]
    assert [one.area for one in objects if one.name == 'Kühe'] == [50, 1]
    assert find_objects(np.full((3, 3), 255, np.uint8), CLASSES) == []


def test_a_segmentation_has_objects_with_the_mean_probability_of_their_pixels(rng):
    logits = rng.normal(size=(9, 9, 3)).astype(np.float32) * 4
    result = pj.Segmentation(logits, (50, 70), ('cat', 'dog'), {'cat': 0.1, 'dog': 0.2})
    objects = result.objects()
    assert {one.name for one in objects} == {'cat', 'dog'}
    for one in objects:
        assert one.score == pytest.approx(result.probabilities[one.label][one.mask].mean(), abs=1e-5)
    assert all(one.area >= 100 for one in result.objects(min_area=100))
    assert len(result.objects(split=False)) == 2
    with pytest.raises(InputError, match="min_area must be a whole number of pixels, got '5'"):
        result.objects(min_area='5')


@hypothesis.given(mask=MASKS)
def test_polygons_along_edges_give_every_pixel_back(mask):
    for one in find_objects(mask.astype(np.uint8), ('x',)):
        polygons = [polygon.ravel().tolist() for polygon in edge_polygons(one)]
        assert len(polygons) == 1
        decoded = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *mask.shape)))
        if not one.has_hole:
            np.testing.assert_array_equal(decoded, one.mask)
        assert (decoded >= one.mask).all()


@hypothesis.given(mask=MASKS)
def test_polygons_through_centers_have_three_points_on_the_object(mask):
    for one in find_objects(mask.astype(np.uint8), ('x',)):
        (polygon,) = center_polygons(one)
        assert len(polygon) >= 3
        x, y = polygon.astype(int).T
        assert one.mask[y, x].all()


@hypothesis.given(mask=MASKS)
def test_run_lengths_of_brushes_are_read_back(mask):
    values = decode_brush(brush_rle(mask), 'a brush').reshape(*mask.shape, 4)
    np.testing.assert_array_equal(values, np.repeat(255 * mask[..., None], 4, -1))


def test_run_lengths_of_brushes_are_those_of_their_format():
    """Two pixels, the first one marked: by hand, from the description of rle-pack."""
    bits = (
        f'{8:032b}'
        + '00111'
        + '0010001101111111'
        + ('1' + '00' + '011' + '11111111')
        + ('1' + '00' + '011' + '00000000')
    )
    bits += '0' * (-len(bits) % 8)
    assert brush_rle(np.array([[True, False]])) == [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]
    long = np.zeros((300, 300), bool)  # longer than the longest run
    np.testing.assert_array_equal(decode_brush(brush_rle(long), ''), 0)
    with pytest.raises(InputError, match='a brush has damaged run lengths'):
        decode_brush(brush_rle(long)[:9], 'a brush')


def test_coco_has_every_pixel_score_and_size(exported):
    out, maps, remarks = exported('coco')
    assert remarks == []
    data = coco(out / 'annotations.json')
    assert [category['name'] for category in data.loadCats(data.getCatIds())] == list(CLASSES)
    assert [image['file_name'] for image in data.imgs.values()] == ['photo 1.jpg', 'photo 2.jpg', 'below/photo 3.jpg']
    for number, labels in enumerate(maps, 1):
        assert (data.imgs[number]['height'], data.imgs[number]['width']) == labels.shape
        painted = np.zeros_like(labels)
        for annotation in data.loadAnns(data.getAnnIds(number)):
            mask = data.annToMask(annotation)
            painted[mask > 0] = annotation['category_id']
            assert annotation['area'] == mask.sum()
            assert annotation['bbox'] == coco_mask.toBbox(annotation['segmentation']).tolist()
            assert 0.4 <= annotation['score'] <= 0.9
        np.testing.assert_array_equal(painted, labels)


def test_ids_do_not_depend_on_other_images(tmp_path):
    images, _ = labeled_images(tmp_path / 'in')
    ids = []
    for chosen in (images, images[1:]):
        pj.export_labels(tmp_path, lambda chosen=chosen: chosen, CLASSES)
        data = coco(tmp_path / 'annotations.json')
        ids.append({(one['image_id'], *one['bbox']): key for key, one in data.anns.items() if one['image_id'] > 1})
    assert ids[0] == ids[1]


def test_polygons_in_coco_say_how_many_holes_are_lost(tmp_path):
    images, _ = labeled_images(tmp_path / 'in')
    remarks = pj.export_labels(tmp_path, lambda: images, CLASSES, polygons=True)
    assert remarks == ['annotations.json: 3 object(s) have holes, which polygons fill']
    data = coco(tmp_path / 'annotations.json')
    for annotation in data.anns.values():
        one = images[annotation['image_id'] - 1].objects[annotation['id'] % 100_000 - 1]
        if not one.has_hole:
            np.testing.assert_array_equal(data.annToMask(annotation), one.mask)


def test_no_format_reads_more_than_one_image_at_a_time(tmp_path):
    images, _ = labeled_images(tmp_path / 'in')
    for name in FORMATS:
        given = []

        def one_by_one(given=given):
            for image in images:
                given.append(image.number)
                yield image

        pj.export_labels(tmp_path / name, one_by_one, CLASSES, formats=[name])
        assert given == [1, 2, 3]


@pytest.mark.parametrize('name', ['coco', 'yolo', 'voc', 'label-studio'])
def test_what_is_exported_is_read_as_data_of_ones_own(exported, name, tmp_path):
    out, maps, _ = exported(name, holes=name != 'yolo')
    if name == 'label-studio':  # its photographs are where its server has them
        (tmp_path / 'in/below/photo 3.jpg').rename(tmp_path / 'in/photo 3.jpg')
        (tmp_path / 'in').rename(out / 'images')
    layout = open_custom(out, 'all')
    assert len(layout.names) == 3
    for image_name, labels in zip(sorted(layout.names, key=lambda one: one[-1]), maps, strict=True):
        record = layout.record(image_name)
        number = {place: CLASSES.index(c) + 1 for place, c in enumerate(layout.classes, 1)} | {0: 0}
        read = np.vectorize(number.get)(record.label)
        np.testing.assert_array_equal(read, labels)
        assert len(np.unique(record.instances)) == 1 + len(find_objects(labels, CLASSES))


def test_yolo_has_a_line_for_each_object_and_lists_of_copies(exported):
    out, _, remarks = exported('yolo')
    assert remarks == ['labels/: 3 object(s) have holes, which polygons fill']
    settings = yaml.safe_load((out / 'data.yaml').read_text())
    assert settings['names'] == dict(enumerate(CLASSES))
    lists = [line for name in ('train', 'val') for line in (out / settings[name]).read_text().splitlines()]
    assert set(lists) == {f'./images/photo {number}.jpg' for number in (1, 2, 3)}
    assert all((out / line).is_file() for line in lists)
    for number in (1, 2, 3):
        lines = [line.split() for line in (out / f'labels/photo {number}.txt').read_text().splitlines()]
        assert len(lines) == len(find_objects(draw_labels(number), CLASSES))
        for label, *numbers in lines:
            assert label in '012'
            assert len(numbers) % 2 == 0
            assert all(0 <= float(value) < 1 for value in numbers)
    assert custom_lists(out) == ('train', 'val', 'all')


def test_names_in_lists_of_voc_have_no_spaces(tmp_path):
    (image, *_), _ = labeled_images(tmp_path / 'in')
    stems = ('a b', 'a_b', 'a  b', 'c')
    images = [dataclasses.replace(image, stem=stem, number=number) for number, stem in enumerate(stems)]
    pj.export_labels(tmp_path, lambda: images, CLASSES, formats=['voc'])
    names = (tmp_path / 'ImageSets/Segmentation/default.txt').read_text().split()
    assert len(set(names)) == 4
    assert {path.stem for path in (tmp_path / 'JPEGImages').iterdir()} == set(names)


def test_tiff_has_classes_and_objects(exported):
    out, maps, _ = exported('tiff')
    for number, labels in enumerate(maps, 1):
        with Image.open(out / f'tiff/classes/photo {number}.tif') as image:
            np.testing.assert_array_equal(image, labels)
        with Image.open(out / f'tiff/objects/photo {number}.tif') as image:
            assert np.asarray(image).dtype == np.uint16
            assert np.asarray(image).max() == len(find_objects(labels, CLASSES))
            np.testing.assert_array_equal(np.asarray(image) > 0, labels > 0)


def test_photographs_are_copied_once_and_turned_ones_upright(tmp_path):
    (image, *_), _ = labeled_images(tmp_path / 'in')
    turned = Image.open(image.photo)
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.rotate(90, expand=True).save(tmp_path / 'turned.jpg', exif=exif)
    one = pj.LabeledImage(tmp_path / 'turned.jpg', 'turned.jpg', 'turned', 9, image.shape, image.objects)
    times = []
    for _ in range(2):
        pj.export_labels(tmp_path, lambda: [image, one], CLASSES, formats=['yolo', 'voc'])
        copies = [tmp_path / name for name in ('images/photo 1.jpg', 'images/turned.jpg', 'JPEGImages/photo_1.jpg')]
        times.append([copy.stat().st_ctime_ns for copy in copies])
    assert times[0] == times[1]
    assert copies[0].read_bytes() == copies[2].read_bytes() == image.photo.read_bytes()
    with Image.open(copies[1]) as copy:
        assert copy.size == image.shape[::-1]
        assert copy.getexif().get(0x0112, 1) == 1


def test_a_photograph_that_is_gone_does_not_stop_the_others(tmp_path):
    images, _ = labeled_images(tmp_path / 'in')
    images[1].photo.unlink()
    remarks = pj.export_labels(tmp_path, lambda: images, CLASSES, formats=FORMATS)
    assert len([remark for remark in remarks if 'photo 2.jpg cannot be copied' in remark]) == 2  # YOLO's and VOC's
    assert len(list((tmp_path / 'labels').iterdir())) == len(list((tmp_path / 'SegmentationClass').iterdir())) == 2
    assert len(coco(tmp_path / 'annotations.json').imgs) == 3


def test_mistakes_are_one_sentence(tmp_path):
    images, _ = labeled_images(tmp_path / 'in')
    with pytest.raises(InputError, match="no format 'pascal'; wanted coco, yolo, voc, label-studio, tiff"):
        pj.export_labels(tmp_path, lambda: images, CLASSES, formats=['pascal'])
    with pytest.raises(InputError, match="cannot hold the name 'a:b'"):
        pj.export_labels(tmp_path, lambda: images, ['a:b', 'c', 'd'], formats=['voc'])


def test_records_are_read_as_written_wherever_they_are_moved(tmp_path):
    images, maps = labeled_images(tmp_path / 'before/in')
    for image in images:
        write_record(tmp_path / 'before/out', image, tmp_path / 'before/in', {})
    (tmp_path / 'before').rename(tmp_path / 'after')
    records = Records(tmp_path / 'after/out', ['photo 1', 'photo 2', 'photo 3', 'none'], min_area=2)
    *read, missing = records()
    assert records.image_root == '../in'
    assert [image.file_name for image in read] == ['photo 1.jpg', 'photo 2.jpg', 'below/photo 3.jpg']
    assert all(image.photo.is_file() for image in read)
    assert 'none.json is missing or damaged; segment that image again' in str(missing)
    for image, labels in zip(read, maps, strict=True):
        labels[0, 0] = 0  # an object of one pixel
        np.testing.assert_array_equal(image.labels, labels)
    whole = read_record(tmp_path / 'after/out', 'photo 1', tmp_path)
    assert [one.score for one in whole.objects] == [one.score for one in images[0].objects]


def test_a_json_of_annotations_does_not_make_a_folder_of_label_studio_one_of_coco(tmp_path):
    (tmp_path / 'tasks.json').write_text(json.dumps([{'data': {'image': 'a.jpg'}, 'annotations': []}]))
    assert kind_of(tmp_path).heading == "Label Studio's json"
