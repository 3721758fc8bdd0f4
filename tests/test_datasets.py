"""The sources: drawn images, VOC's layout and COCO's."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from folders import make_coco, make_voc
from PIL import Image

from panet_jax.datasets import CocoFolder, Shapes, VocFolder
from panet_jax.errors import InputError

REAL = os.environ.get('PANET_TEST_DATA')


def shown(label):
    return set(np.unique(label).tolist()) - {0, 255}


def test_shapes_image_is_a_pure_function_of_its_index():
    one, two = Shapes('train', 65), Shapes('train', 65)
    two[3]
    for a, b in zip(one[7], two[7], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[7].image, one[8].image)
    assert not np.array_equal(one[7].image, Shapes('test', 65)[7].image)


def test_shapes_presence_is_what_the_labels_show():
    source = Shapes('test', 97)
    assert len(source.classes) == 20
    for index in range(60):
        assert shown(source[index].label) == set(np.flatnonzero(source.presence[index]) + 1)


def test_shapes_vary_and_have_void_edges_and_instances():
    source = Shapes('train', 97)
    samples = [source[index] for index in range(40)]
    assert all((sample.label == 255).any() for sample in samples)
    areas = [((sample.label > 0) & (sample.label < 255)).mean() for sample in samples]
    assert max(areas) > 3 * min(areas)
    assert source.presence.sum(1).max() == 3
    assert source.presence.any(0).all()
    for index in range(10):
        label, instances = source[index].label, source.instances(index)
        assert ((instances > 0) == ((label > 0) & (label < 255))).all()
        for number in set(instances.ravel().tolist()) - {0}:
            assert len(set(label[instances == number].tolist())) == 1


def test_shapes_refuses_an_unknown_split():
    with pytest.raises(InputError, match="'train' and 'test'"):
        Shapes('val', 97)


@pytest.mark.parametrize('below', ['', 'VOCdevkit', 'VOCdevkit/VOC2012'])
def test_voc_folder_reads_labels_void_and_instances(tmp_path, below):
    make_voc(tmp_path)
    source = VocFolder(tmp_path / below, 'trainval')
    assert len(source) == 12
    sample = source[1]
    assert sample.image.shape == (30, 40, 3)
    assert set(np.unique(sample.label)) == {0, 2, 255}
    assert (sample.label == 255).sum() == 400 - 324
    assert source.presence.sum() == 12
    assert source.presence[1, 1]
    assert (source.instances(1) > 0).sum() == 324
    assert source.name(1) == '2007_000001'


def test_voc_folder_prefers_augmented_masks(tmp_path):
    folder = make_voc(tmp_path)
    (folder / 'SegmentationClass').rename(folder / 'SegmentationClassAug')
    lines = [f'/JPEGImages/2007_{i:06d}.jpg /SegmentationClassAug/2007_{i:06d}.png' for i in range(3)]
    (folder / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(lines))
    assert len(VocFolder(tmp_path, 'trainaug')) == 3


def break_mask(folder, change):
    path = folder / 'SegmentationClass' / '2007_000002.png'
    change(path)


VOC_MISTAKES = {
    'no such list': (lambda f: (f / 'ImageSets/Segmentation/trainval.txt').rename(f / 'x.txt'), 'no image list'),
    'empty list': (lambda f: (f / 'ImageSets/Segmentation/trainval.txt').write_text(''), 'is empty'),
    'image missing': (lambda f: (f / 'JPEGImages/2007_000002.jpg').unlink(), 'the first is 2007_000002.jpg'),
    'mask missing': (lambda f: (f / 'SegmentationClass/2007_000002.png').unlink(), 'there is no file'),
    'mask truncated': (lambda f: break_mask(f, lambda p: p.write_bytes(p.read_bytes()[:60])), 'cannot be read'),
    'mask in colours': (
        lambda f: break_mask(f, lambda p: Image.open(p).convert('RGB').save(p)),
        'must be a palette or grey PNG',
    ),
    'mask value': (
        lambda f: break_mask(f, lambda p: Image.fromarray(np.full((30, 40), 77, np.uint8)).save(p)),
        'has the value 77',
    ),
}


@pytest.mark.parametrize(('mistake', 'message'), VOC_MISTAKES.values(), ids=VOC_MISTAKES)
def test_voc_mistakes_are_one_sentence(tmp_path, mistake, message):
    mistake(make_voc(tmp_path))
    with pytest.raises(InputError, match=message):
        VocFolder(tmp_path, 'trainval')


def test_voc_mask_of_another_size_is_named(tmp_path):
    folder = make_voc(tmp_path)
    break_mask(folder, lambda p: Image.fromarray(np.zeros((5, 5), np.uint8)).save(p))
    with pytest.raises(InputError, match=r'2007_000002\.jpg is \(40, 30\) pixels but its mask is \(5, 5\)'):
        VocFolder(tmp_path, 'trainval')[2]


def test_coco_folder_paints_polygons_rle_and_crowds(tmp_path):
    make_coco(tmp_path)
    source = CocoFolder(tmp_path, 'train2014')
    assert source.classes == ('a', 'b')
    assert len(source) == 8  # the image without objects is left out
    label = source[0].label
    assert (label[10:20, 10:20] == 2).all()  # later on top
    assert (label[3:9, 3:9] == 1).all()
    assert (label[0:12, 30:40] == 255).all()
    assert set(np.unique(source.instances(0))) == {0, 1, 2}
    assert source.presence.all()
    assert source.name(0) == 'COCO_train2014_000000000000'


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('categories'), 'KeyError'),
        (lambda c: c['images'][0].pop('height'), 'height in images'),
        (lambda c: c['annotations'][0].update(category_id=5), 'names an image or a category'),
        (lambda c: c['images'][0].update(file_name='gone.jpg'), 'the first is gone.jpg'),
    ],
)
def test_coco_mistakes_are_one_sentence(tmp_path, change, message):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        CocoFolder(tmp_path, 'train2014')


@pytest.mark.parametrize('segmentation', [[], [[1, 2]], {'size': [2, 2], 'counts': [4]}, 'text', {'counts': [3]}, None])
def test_coco_segmentation_that_cannot_be_read_is_named(tmp_path, segmentation):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    content['annotations'][0]['segmentation'] = segmentation
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match='annotation 0'):
        CocoFolder(tmp_path, 'train2014')[0]


def test_coco_json_that_is_none_or_elsewhere(tmp_path):
    with pytest.raises(InputError, match="COCO's layout"):
        CocoFolder(tmp_path, 'train2014')
    make_coco(tmp_path).write_text('{')
    with pytest.raises(InputError, match='is not a json'):
        CocoFolder(tmp_path, 'train2014')
    with pytest.raises(InputError, match=r'files there: instances_train2014\.json'):
        CocoFolder(tmp_path, 'val2014')
    (tmp_path / 'train2014').rename(tmp_path / 'pictures')
    make_json = tmp_path / 'annotations' / 'instances_train2014.json'
    make_json.write_text('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "x"}]}')
    with pytest.raises(InputError, match='were looked for in'):
        CocoFolder(tmp_path, 'train2014')


@pytest.mark.skipif(not REAL, reason='PANET_TEST_DATA names no folder with voc_mini and coco_mini')
def test_real_photographs_in_both_layouts():
    voc, coco = VocFolder(Path(REAL) / 'voc_mini', 'trainval'), CocoFolder(Path(REAL) / 'coco_mini', 'instances')
    assert len(coco.classes) == 80
    for source in (voc, coco):
        for index in range(0, len(source), 10):
            sample = source[index]
            assert sample.image.shape[:2] == sample.label.shape == source.instances(index).shape
            assert shown(sample.label) <= set((np.flatnonzero(source.presence[index]) + 1).tolist())
