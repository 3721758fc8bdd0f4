"""What is exported is read by the programs of others: supervision, Datumaro, Label Studio's converter, tifffile.

pip install -e '.[roundtrip]' has them. Photographs are those of PANET_TEST_DATA, where there are any, else drawn ones.
"""

import contextlib
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from labeled import CLASSES, labeled_images

import panet_jax as pj
from panet_jax.datasets.coco import CocoLayout
from panet_jax.images.objects import find_objects

pytestmark = pytest.mark.exhaustive
REAL = os.environ.get('PANET_TEST_DATA')
MOST_BRUSHES = 4  # of an image; Label Studio's converter takes a second for each


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    """LabeledImages, and the names of their classes: those of COCO's photographs, and drawn ones."""
    drawn, _ = labeled_images(tmp_path_factory.mktemp('in'))
    if not REAL:
        return drawn, CLASSES
    root = Path(REAL) / 'coco_mini'
    layout, found = CocoLayout(root, 'instances'), []
    for number, name in enumerate(layout.names[::4], 1):  # a quarter, for the time
        label = layout.record(name).label
        objects = tuple(find_objects(label, layout.classes))
        photo = Path(layout.where(name))
        found.append(pj.LabeledImage(photo, photo.name, photo.stem, number, label.shape, objects))
    return found, layout.classes


@pytest.fixture(scope='module')
def out(images, tmp_path_factory):
    """The folder with all formats."""
    folder = tmp_path_factory.mktemp('out')
    formats = ('coco', 'yolo', 'voc', 'label-studio', 'tiff')
    pj.export_labels(folder, lambda: images[0], images[1], formats=formats)
    return folder


@contextlib.contextmanager
def _quiet():
    """Lets the packages of others warn."""
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        yield


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def test_supervision_reads_yolo(images, out):
    supervision = pytest.importorskip('supervision', reason="pip install -e '.[roundtrip]'")
    with _quiet():
        data = supervision.DetectionDataset.from_yolo(
            str(out / 'images'), str(out / 'labels'), str(out / 'data.yaml'), force_masks=True
        )
        read = {Path(path).stem: detections for path, _, detections in data}
    assert data.classes == list(images[1])
    least = []
    for image in images[0]:
        masks, labels = read[image.stem].mask, read[image.stem].class_id
        assert len(image.objects) == (0 if masks is None else len(masks))
        for one, mask, label in zip(image.objects, () if masks is None else masks, labels, strict=True):
            assert label == one.label - 1
            if not one.has_hole:
                least.append(iou(one.mask, mask))
    print(f'{len(least)} objects without holes, IoU at least {min(least):.4f}')
    assert min(least) >= 0.98


def test_datumaro_reads_voc(images, out):
    datumaro = pytest.importorskip('datumaro', reason="pip install -e '.[roundtrip]'")
    with _quiet():
        data = datumaro.Dataset.import_from(str(out), 'voc_instance_segmentation')
        names = [label.name for label in data.categories()[datumaro.AnnotationType.label]]
        items = {item.id: item for item in data}
    assert [name for name in names if name in images[1]] == list(images[1])
    assert len(items) == len(images[0])
    for image in images[0]:
        painted = np.zeros(image.shape, np.uint8)
        masks = [one for one in items[image.stem].annotations if one.type == datumaro.AnnotationType.mask]
        for mask in masks:
            painted[mask.image.astype(bool)] = images[1].index(names[mask.label]) + 1
        np.testing.assert_array_equal(painted, image.labels)
        assert len(masks) == len(image.objects)


def test_label_studio_s_converter_reads_its_brushes(images, out):
    brush = pytest.importorskip('label_studio_sdk.converter.brush', reason="pip install -e '.[roundtrip]'")
    tasks = json.loads((out / 'label_studio.json').read_text())
    chosen = [place for place, image in enumerate(images[0]) if len(image.objects) <= MOST_BRUSHES][:12]
    for place in chosen:
        regions = tasks[place]['predictions'][0]['result']
        for one, region in zip(images[0][place].objects, regions, strict=True):
            height, width = region['original_height'], region['original_width']
            mask = brush.decode_rle(region['value']['rle']).reshape(height, width, 4)[..., 3]
            np.testing.assert_array_equal(mask > 0, one.mask)
            assert region['value']['brushlabels'] == [one.name]
    assert chosen


def test_tifffile_reads_label_maps(images, out):
    tifffile = pytest.importorskip('tifffile')
    for image in images[0]:
        np.testing.assert_array_equal(tifffile.imread(out / f'tiff/classes/{image.stem}.tif'), image.labels)
        np.testing.assert_array_equal(tifffile.imread(out / f'tiff/objects/{image.stem}.tif'), image.instances)
