"""VOC, SBD, COCO and one's own folder: what is read is what is on disk, and mistakes are one sentence."""

import json
import os
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.io
import tensorflow_datasets as tfds
from folders import make_coco, make_official_coco, make_official_voc, make_own, make_sbd, make_voc, prepared
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from panet_jax.datasets.coco import CocoLayout, _unpack_runs, coco_lists
from panet_jax.datasets.custom import custom_lists, open_custom
from panet_jax.datasets.layout import objects_of
from panet_jax.datasets.prepare import fingerprint
from panet_jax.datasets.voc import VocLayout, voc_lists
from panet_jax.errors import InputError
from panet_jax.images.scribbles import NO_SCRIBBLE, draw_scribbles

REAL = os.environ.get('PANET_TEST_DATA')
real = pytest.mark.skipif(not REAL, reason='PANET_TEST_DATA names no folder with voc_mini and coco_mini')


def shown(label):
    return set(np.unique(label).tolist()) - {0, 255}


@pytest.mark.parametrize('below', ['', 'VOCdevkit', 'VOCdevkit/VOC2012'])
def test_voc_labels_void_and_instances_are_the_files(tmp_path, below):
    folder = make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path / below, 'trainval'), tmp_path / 'home')
    assert len(source) == 12
    assert source.name(1) == '2007_000001'
    for index in range(12):
        name = source.name(index)
        sample = source[index]
        np.testing.assert_array_equal(sample.label, Image.open(folder / f'SegmentationClass/{name}.png'))
        np.testing.assert_array_equal(sample.image, Image.open(folder / f'JPEGImages/{name}.jpg'))
        objects = np.array(Image.open(folder / f'SegmentationObject/{name}.png'))
        np.testing.assert_array_equal(source.instances(index), np.where(objects == 255, 0, objects))
    assert source.areas[1].tolist() == [0, 324] + 18 * [0]
    assert source.presence.sum() == 12


def test_voc_archives_are_read_like_the_unpacked_files(tmp_path):
    tree = make_official_voc(tmp_path)
    assert voc_lists(tmp_path) == voc_lists(tree) == ('train', 'trainaug', 'trainval', 'val')
    for split in voc_lists(tree):
        packed, unpacked = VocLayout(tmp_path, split), VocLayout(tree, split)
        assert packed.names == unpacked.names
        for name in packed.names:
            for a, b in zip(packed.record(name), unpacked.record(name), strict=True):
                np.testing.assert_array_equal(a, b)


def test_trainaug_is_train_and_sbd_without_val(tmp_path):
    tree = make_official_voc(tmp_path)
    layout = VocLayout(tmp_path, 'trainaug')
    assert layout.names == [f'2007_{i:06d}' for i in (0, 1, 2, 3, 7, 8)]  # 5 is in val
    # VOC's own mask, with its void outline, is better than SBD's of the same image.
    assert 255 in layout.record('2007_000000').label
    record = layout.record('2007_000007')
    mask = scipy.io.loadmat(tree / 'benchmark_RELEASE/dataset/cls/2007_000007.mat')['GTcls']['Segmentation'][0, 0]
    np.testing.assert_array_equal(record.label, mask)
    np.testing.assert_array_equal(record.instances, mask > 0)


def test_voc_prefers_augmented_masks_and_reads_the_authors_lists(tmp_path):
    folder = make_voc(tmp_path)
    (folder / 'SegmentationClass').rename(folder / 'SegmentationClassAug')
    lines = [f'/JPEGImages/2007_{i:06d}.jpg /SegmentationClassAug/2007_{i:06d}.png' for i in range(3)]
    (folder / 'ImageSets/Segmentation/trainaug.txt').write_text('\n'.join(lines))
    layout = VocLayout(tmp_path, 'trainaug')
    assert layout.names == ['2007_000000', '2007_000001', '2007_000002']
    assert shown(layout.record('2007_000002').label) == {3}


def test_without_instance_maps_connected_regions_are_the_objects(tmp_path):
    folder = make_voc(tmp_path, count=2)
    for path in (folder / 'SegmentationObject').iterdir():
        path.unlink()
    instances = VocLayout(tmp_path, 'trainval').record('2007_000000').instances
    assert instances.max() == 1
    assert (instances > 0).sum() == 324
    label = np.array([[1, 0, 1, 2], [1, 0, 2, 2], [255, 0, 0, 0]], np.uint8)
    assert objects_of(label).tolist() == [[1, 0, 2, 3], [1, 0, 3, 3], [0, 0, 0, 0]]


def break_mask(folder, change):
    change(folder / 'SegmentationClass' / '2007_000002.png')


def save(array):
    return lambda path: Image.fromarray(array).save(path)


VOC_MISTAKES = {
    'no such list': (lambda f: (f / 'ImageSets/Segmentation/trainval.txt').rename(f / 'x.txt'), 'no image list'),
    'empty list': (lambda f: (f / 'ImageSets/Segmentation/trainval.txt').write_text(''), 'is empty'),
    'binary list': (lambda f: (f / 'ImageSets/Segmentation/trainval.txt').write_bytes(b'\xff\xfe\x00'), 'not a text'),
    'image missing': (lambda f: (f / 'JPEGImages/2007_000002.jpg').unlink(), r'the first is .*2007_000002\.jpg'),
    'mask missing': (lambda f: (f / 'SegmentationClass/2007_000002.png').unlink(), 'have no mask, the first is'),
    'mask truncated': (lambda f: break_mask(f, lambda p: p.write_bytes(p.read_bytes()[:60])), 'cannot be read'),
    'mask empty': (lambda f: break_mask(f, lambda p: p.write_bytes(b'')), 'is empty'),
    'mask in colors': (
        lambda f: break_mask(f, save(np.random.default_rng(0).integers(0, 9, (30, 40, 3), dtype=np.uint8))),
        'painted in colors',
    ),
    'mask value': (lambda f: break_mask(f, save(np.full((30, 40), 77, np.uint8))), 'has the value 77'),
    'mask size': (
        lambda f: [
            break_mask(f, save(np.zeros((5, 5), np.uint8))),
            (f / 'SegmentationObject/2007_000002.png').unlink(),
        ],
        r'2007_000002\.jpg is \(40, 30\) pixels but its mask is \(5, 5\)',
    ),
    'objects of another size': (
        lambda f: save(np.zeros((5, 5), np.uint8))(f / 'SegmentationObject/2007_000002.png'),
        r'SegmentationObject/2007_000002\.png is \(5, 5\) pixels',
    ),
    'image truncated': (
        lambda f: (f / 'JPEGImages/2007_000002.jpg').write_bytes((f / 'JPEGImages/2007_000002.jpg').read_bytes()[:300]),
        r'2007_000002\.jpg cannot be read',
    ),
    'image is a folder': (
        lambda f: [(f / 'JPEGImages/2007_000002.jpg').unlink(), (f / 'JPEGImages/2007_000002.jpg').mkdir()],
        r'cannot be read \(Is a directory\)',
    ),
}


@pytest.mark.parametrize(('mistake', 'message'), VOC_MISTAKES.values(), ids=VOC_MISTAKES)
def test_voc_mistakes_are_one_sentence(tmp_path, mistake, message):
    mistake(make_voc(tmp_path))
    with pytest.raises(InputError, match=message):
        prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')


def test_sbd_mask_that_is_none_is_named(tmp_path):
    make_voc(tmp_path, count=1)
    (make_sbd(tmp_path, ['2007_000000']) / 'cls/2007_000000.mat').write_bytes(b'nothing')
    (tmp_path / 'VOCdevkit/VOC2012/SegmentationClass/2007_000000.png').unlink()
    with pytest.raises(InputError, match=r'2007_000000\.mat cannot be read as a mask of SBD'):
        VocLayout(tmp_path, 'trainval').record('2007_000000')


@pytest.mark.parametrize('archive', ['VOCtrainval_11-May-2012.tar', 'benchmark.tgz'])
def test_an_archive_that_is_cut_off_is_named(tmp_path, archive):
    make_official_voc(tmp_path)
    whole, names = (tmp_path / archive).read_bytes(), VocLayout(tmp_path, 'trainaug').names
    end = len(whole.rstrip(b'\0')) + 1024 if archive.endswith('tar') else len(whole)
    for keep in (0, 200, 512, *range(1024, end - 1, end // 20 // 512 * 512 or 100)):
        (tmp_path / archive).write_bytes(whole[:keep])
        with pytest.raises(InputError, match=f'{archive} is cut off or damaged'):
            _ = VocLayout(tmp_path, 'trainaug').names
    (tmp_path / archive).write_bytes(whole)
    assert VocLayout(tmp_path, 'trainaug').names == names


def test_coco_paints_polygons_rle_and_crowds(tmp_path):
    make_coco(tmp_path)
    source = prepared(CocoLayout(tmp_path, 'train2014'), tmp_path / 'home')
    assert source.classes == ('a', 'b')
    assert len(source) == 8  # the image without objects is left out
    label = source[0].label
    assert (label[10:20, 10:20] == 2).all()  # the smaller on top
    assert (label[3:9, 3:9] == 1).all()
    assert (label[0:12, 30:40] == 255).all()
    assert set(np.unique(source.instances(0))) == {0, 1, 2}
    assert source.presence.all()
    assert source.name(0) == 'COCO_train2014_000000000000'


def test_of_two_coco_instances_the_smaller_is_seen_whatever_their_order(tmp_path):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    content['annotations'] = content['annotations'][::-1]
    label = CocoLayout(tmp_path, 'train2014').record('COCO_train2014_000000000000').label
    path.write_text(json.dumps(content))
    np.testing.assert_array_equal(CocoLayout(tmp_path, 'train2014').record('COCO_train2014_000000000000').label, label)


def test_coco_archives_are_read_like_the_unpacked_files(tmp_path):
    tree = make_official_coco(tmp_path)
    assert coco_lists(tmp_path) == coco_lists(tree) == ('train2014',)
    packed, unpacked = CocoLayout(tmp_path, 'train2014'), CocoLayout(tree, 'train2014')
    assert packed.names == unpacked.names
    for name in packed.names:
        for a, b in zip(packed.record(name), unpacked.record(name), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_nested_coco_photograph_that_changed_is_noticed(tmp_path):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    (tmp_path / 'train2014/sub').mkdir()
    first = content['images'][0]
    (tmp_path / 'train2014' / first['file_name']).rename(tmp_path / 'train2014/sub/a.jpg')
    first['file_name'] = 'sub/a.jpg'
    path.write_text(json.dumps(content))
    before = fingerprint(CocoLayout(tmp_path, 'train2014'))
    assert fingerprint(CocoLayout(tmp_path, 'train2014')) == before
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(tmp_path / 'train2014/sub/a.jpg')
    assert fingerprint(CocoLayout(tmp_path, 'train2014')) != before


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda c: c.pop('categories'), 'KeyError'),
        (lambda c: c['images'][0].pop('height'), "KeyError: 'height'"),
        (lambda c: c['images'][0].update(height='30'), 'height of images'),
        (lambda c: c['images'][0].update(height=-30), '1 to 65535'),
        (lambda c: c['annotations'][0].update(category_id=5), 'names an image or a category'),
        (lambda c: c['images'][0].update(file_name='gone.jpg'), 'the first is gone.jpg'),
        (lambda c: c['images'][0].update(file_name=c['images'][1]['file_name']), 'two images'),
        (lambda c: c['images'].append(c['images'][0] | {'file_name': 'x.jpg'}), 'two images'),
        (lambda c: c.update(annotations=[]), 'no image with an annotation'),
        (lambda c: c['categories'][0].update(name='a'), 'two categories with the same name'),
        (lambda c: c['categories'].extend({'id': 1000 + i, 'name': str(i)} for i in range(300)), 'wanted 1 to 254'),
    ],
)
def test_coco_mistakes_are_one_sentence(tmp_path, change, message):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        prepared(CocoLayout(tmp_path, 'train2014'), tmp_path / 'home')


SEGMENTATIONS = {
    'no polygon': [],
    'two numbers': [[1, 2]],
    'odd numbers': [[1, 2, 3, 4, 5, 6, 7]],
    'a box': [[1, 2, 3, 4]],
    'far outside': [[0, 0, 1e9, 0, 1e9, 1e9]],
    'nan': [[0, 0, float('nan'), 0, 9, 9]],
    'letters': [['a', 'b', 'c', 'd', 'e', 'f']],
    'other size': {'size': [2, 2], 'counts': [4]},
    'no size': {'counts': [3]},
    'too long': {'size': [30, 40], 'counts': [5, 10**9]},
    'garbage': {'size': [30, 40], 'counts': 'zzzzzzzzzzzzzz'},
    'too short': {'size': [30, 40], 'counts': '52203'},
    'text': 'text',
    'nothing': None,
}


@pytest.mark.parametrize('segmentation', SEGMENTATIONS.values(), ids=SEGMENTATIONS)
def test_coco_segmentation_that_cannot_be_read_is_named(tmp_path, segmentation):
    path = make_coco(tmp_path)
    content = json.loads(path.read_text())
    content['annotations'][0]['segmentation'] = segmentation
    path.write_text(json.dumps(content))
    layout = CocoLayout(tmp_path, 'train2014')
    with pytest.raises(InputError, match='annotation 0'):
        layout.record(layout.names[0])


@hypothesis.given(st.integers(0, 10**6))
def test_compressed_runs_are_those_that_pycocotools_packed(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((rng.integers(1, 40), rng.integers(1, 40)), np.uint8)
    for _ in range(rng.integers(0, 6)):
        top, left = rng.integers(0, mask.shape[0]), rng.integers(0, mask.shape[1])
        mask[top : top + rng.integers(1, 20), left : left + rng.integers(1, 20)] = rng.integers(0, 2)
    packed = coco_mask.encode(np.asfortranarray(mask))
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(np.diff(np.concatenate([[0], flat]))).tolist()
    assert _unpack_runs(packed['counts'].decode()) == np.diff([0, *changes, flat.size]).tolist()


def test_coco_json_that_is_none_or_elsewhere(tmp_path):
    with pytest.raises(InputError, match=r'wanted COCO.*lists there: none'):
        CocoLayout(tmp_path, 'train2014')
    make_coco(tmp_path).write_text('{')
    with pytest.raises(InputError, match='is not a json'):
        _ = CocoLayout(tmp_path, 'train2014').names
    with pytest.raises(InputError, match='lists there: train2014'):
        CocoLayout(tmp_path, 'val2014')


@pytest.mark.parametrize('by_class', [False, True])
def test_own_folder_with_masks(tmp_path, by_class):
    make_own(tmp_path, by_class)
    layout = open_custom(tmp_path, 'all')
    assert layout.classes == ('cat', 'dog')
    assert layout.names == [f'photo {i}' for i in range(6)]
    record = layout.record('photo 1')
    assert shown(record.label) == ({1, 2} if by_class else {2})
    assert (record.label == 2).sum() == 80 + 20
    assert record.instances.max() == (4 if by_class else 2)  # connected regions
    source = prepared(layout, tmp_path / 'home')
    assert source.areas[1].tolist() == [100 if by_class else 0, 100]
    np.testing.assert_array_equal(source[1].label, record.label)


def test_own_folder_lists_instances_overlaps_and_images_without_masks(tmp_path):
    make_own(tmp_path, by_class=True)
    (tmp_path / 'few.txt').write_text('photo 3.jpg\nphoto 1\n')
    Image.fromarray(np.full((30, 40), 7, np.uint8)).save(tmp_path / 'masks/cat/photo 3.png')
    (tmp_path / 'instances').mkdir()
    numbers = np.arange(1200, dtype=np.uint16).reshape(30, 40)
    Image.fromarray(numbers).save(tmp_path / 'instances/photo 3.png')
    (tmp_path / 'README.txt').write_text('hello')
    (tmp_path / 'masks/.ipynb_checkpoints').mkdir()
    assert custom_lists(tmp_path) == ('all', 'few')
    layout = open_custom(tmp_path, 'few')
    assert layout.names == ['photo 3', 'photo 1']
    record = layout.record('photo 3')
    assert (record.label == 255).sum() == 100  # claimed by both
    np.testing.assert_array_equal(record.instances, numbers)
    for name in ('cat', 'dog'):
        (tmp_path / 'masks' / name / 'photo 0.png').unlink()
    assert 'photo 0' not in open_custom(tmp_path, 'all').names
    assert open_custom(tmp_path, 'all').without_masks() == ['photo 0']


def test_own_folder_with_a_json(tmp_path):
    make_coco(tmp_path)
    assert len(open_custom(tmp_path, 'all').names) == 8
    assert len(open_custom(tmp_path, 'train2014').names) == 8


def unlink(root, pattern):
    for path in root.glob(pattern):
        path.unlink()


OWN_MISTAKES = {
    'no classes.txt': (lambda f: (f / 'classes.txt').unlink(), 'classes.txt must name the classes'),
    'empty classes.txt': (lambda f: (f / 'classes.txt').write_text('\n'), 'names 0 classes'),
    'a class twice': (lambda f: (f / 'classes.txt').write_text('cat\ncat'), 'different ones'),
    'a class too few': (lambda f: (f / 'classes.txt').write_text('cat'), 'has the value 2, but classes.txt names 1'),
    'no images': (lambda f: unlink(f, 'images/*'), 'has no image'),
    'no masks': (lambda f: unlink(f, 'masks/*'), 'has a mask in masks/'),
    'hole in classes.txt': (lambda f: (f / 'classes.txt').write_text('cat\n\ndog'), r'line 2 of .* is empty'),
    'mask.PNG': (lambda f: (f / 'masks/photo 3.png').rename(f / 'masks/photo 3.PNG'), r'3\.PNG belongs to no image'),
    'files and folders': (lambda f: (f / 'masks/cat').mkdir(), 'has both files and folders'),
    'stray mask': (lambda f: (f / 'images/photo 3.jpg').unlink(), r'photo 3\.png belongs to no image'),
    'two images': (lambda f: (f / 'images/photo 3.png').write_bytes(b''), 'two images called photo 3'),
    'no list': (lambda f: (f / 'masks/photo 3.png').unlink(), 'there is no list', 'few'),
    'list of nothing': (
        lambda f: (f / 'few.txt').write_text('photo 9'),
        'photo 9, named in .*few.txt, has no image',
        'few',
    ),
    'mask is a JPEG': (
        lambda f: Image.fromarray(np.zeros((30, 40), np.uint8)).save(f / 'masks/photo 3.png', 'JPEG'),
        'is a JPEG',
    ),
}


@pytest.mark.parametrize('mistake', OWN_MISTAKES.values(), ids=OWN_MISTAKES)
def test_mistakes_in_an_own_folder_are_one_sentence(tmp_path, mistake):
    change, message, split = (*mistake, 'all')[:3]
    change(make_own(tmp_path))
    with pytest.raises(InputError, match=message):
        prepared(open_custom(tmp_path, split), tmp_path / 'home')


def test_mistakes_in_folders_per_class(tmp_path):
    make_own(tmp_path, by_class=True)
    (tmp_path / 'classes.txt').write_text('cat\nhorse')
    with pytest.raises(InputError, match='the folders dog of'):
        open_custom(tmp_path, 'all')
    (tmp_path / 'classes.txt').unlink()
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(tmp_path / 'masks/dog/photo 3.png')
    with pytest.raises(InputError, match=r'dog/photo 3\.png is \(3, 3\) pixels but the other masks'):
        open_custom(tmp_path, 'all').record('photo 3')
    with pytest.raises(InputError, match='has none of: images/ and masks/'):
        open_custom(tmp_path / 'images', 'all')


@real
def test_real_voc_photographs_are_prepared_byte_for_byte(tmp_path):
    root = Path(REAL) / 'voc_mini'
    source = prepared(VocLayout(root, 'trainval'), tmp_path)
    folder = root / 'VOCdevkit/VOC2012'
    raw = tfds.builder_from_directory(str(source.folder)).as_data_source(
        'images', decoders={'image': tfds.decode.SkipDecoding()}
    )
    for index in range(0, len(source), 5):
        name = source.name(index)
        assert raw[index]['image'] == (folder / f'JPEGImages/{name}.jpg').read_bytes()
        label = np.array(Image.open(folder / f'SegmentationClass/{name}.png'))
        np.testing.assert_array_equal(source[index].label, label)


@pytest.mark.exhaustive
@real
def test_real_coco_masks_are_those_of_pycocotools(tmp_path, capsys):
    root = Path(REAL) / 'coco_mini'
    source, theirs = prepared(CocoLayout(root, 'instances'), tmp_path), COCO(root / 'annotations/instances.json')
    numbers = {category: number for number, category in enumerate(sorted(theirs.getCatIds()), 1)}
    ids = {Path(image['file_name']).stem: image['id'] for image in theirs.dataset['images']}
    for index in range(0, len(source), 5):
        shape = source[index].label.shape
        label, instances, crowd = np.zeros(shape, np.uint8), np.zeros(shape, int), np.zeros(shape, bool)
        covered = np.full(shape, label.size)  # pixels of the instance on top
        for place, annotation in enumerate(theirs.imgToAnns[ids[source.name(index)]], 1):
            mask = coco_mask.decode(theirs.annToRLE(annotation)) > 0
            if annotation['iscrowd']:
                crowd |= mask
                continue
            on_top = mask & (mask.sum() <= covered)
            covered[on_top] = mask.sum()
            label[on_top], instances[on_top] = numbers[annotation['category_id']], place
        label[crowd & (label == 0)] = 255
        np.testing.assert_array_equal(source[index].label, label)
        np.testing.assert_array_equal(source.instances(index), instances)


def test_scribbles_that_a_data_set_has_are_used_and_others_are_made_once(tmp_path, monkeypatch):
    folder = make_voc(tmp_path, count=4)
    drawn = np.full((30, 40), 255)
    drawn[2, 3:20], drawn[10, 10:15], drawn[12, 12] = 0, 5, 6
    (folder / 'ScribbleAugAuto').mkdir()
    image = Image.fromarray(drawn.astype(np.uint8)).convert('P')
    image.putpalette(list(range(256)) * 3)
    image.save(folder / 'ScribbleAugAuto/2007_000002.png')
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    np.testing.assert_array_equal(source.scribbles(2), np.where(drawn == 255, NO_SCRIBBLE, drawn))
    assert not (source.folder / 'scribbles-v1-0').exists()
    sample = source[1]
    made = source.scribbles(1)
    np.testing.assert_array_equal(made, draw_scribbles(sample.label, source.instances(1)))
    assert set(np.unique(made)) == {0, 1, NO_SCRIBBLE}
    written = (source.folder / 'scribbles-v1-0/1.png').stat()
    np.testing.assert_array_equal(source.scribbles(1), made)
    assert (source.folder / 'scribbles-v1-0/1.png').stat().st_mtime_ns == written.st_mtime_ns
    assert [path.name for path in (source.folder / 'scribbles-v1-0').iterdir()] == ['1.png']
    (source.folder / 'scribbles-v1-0/1.png').write_bytes(b'')
    with pytest.raises(InputError, match=r'scribbles-v1-0/1\.png is empty'):
        source.scribbles(1)


def test_own_scribbles_are_read_and_must_fit(tmp_path):
    make_own(tmp_path)
    layout = open_custom(tmp_path, 'all')
    name, before = layout.names[0], fingerprint(layout)
    shape = layout.record(name).label.shape
    (tmp_path / 'scribbles').mkdir()
    Image.fromarray(np.full(shape, 7, np.uint8)).save(tmp_path / f'scribbles/{name}.png')
    layout = open_custom(tmp_path, 'all')
    assert fingerprint(layout) != before
    assert (layout.record(name).scribbles == 7).all()
    assert layout.record(layout.names[1]).scribbles is None
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(tmp_path / f'scribbles/{name}.png')
    with pytest.raises(InputError, match=rf'scribbles/{name}\.png is \(4, 3\) pixels but the class mask is'):
        layout.record(name)


def test_the_authors_lists_of_classes_give_the_order_of_their_images(tmp_path):
    folder = make_voc(tmp_path, count=8, classes=2)
    lists = folder / 'ImageSets/Segmentation/trainval'
    lists.mkdir()
    (lists / 'class1.txt').write_text('2007_000006\n2007_000000\n2007_000004\n')
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    assert {c: images.tolist() for c, images in source.class_lists.items()} == {1: [6, 0, 4]}


def test_coco_lists_of_classes_are_in_the_order_of_pycocotools(tmp_path, capsys):
    path = make_coco(tmp_path, count=8)
    content = json.loads(path.read_text())
    for image in content['images'][:8]:  # ids whose order in a set is not theirs
        old, image['id'] = image['id'], 8 * (image['id'] * 37 % 23) + 5000
        for annotation in content['annotations']:
            if annotation['image_id'] == old:
                annotation['image_id'] = -image['id']
    for annotation in content['annotations']:
        annotation['image_id'] = -annotation['image_id']
    path.write_text(json.dumps(content))
    source = prepared(CocoLayout(tmp_path, 'train2014'), tmp_path / 'home')
    coco = COCO(str(path))
    for number, category in enumerate(coco.getCatIds(), 1):
        expected = [Path(image['file_name']).stem for image in coco.loadImgs(coco.getImgIds(catIds=[category]))]
        assert [source.name(index) for index in source.class_lists[number]] == expected
    capsys.readouterr()
