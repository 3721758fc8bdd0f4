"""Annotations of YOLO, Label Studio, labelme and CVAT are read as they are, as data and as references."""

import base64
import io
import json

import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image

import panet_jax as pj
from panet_jax.datasets.custom import custom_lists, open_custom
from panet_jax.errors import InputError
from panet_jax.export.label_studio import brush_rle
from panet_jax.images.overlays import voc_color

SHAPE = (40, 60)
SQUARE = [[10, 5], [30, 5], [30, 25], [10, 25]]  # x, y along the edges of pixels
MASK = np.zeros(SHAPE, bool)
MASK[5:25, 10:30] = True


def save_photo(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(draw_disc(0, SHAPE)[0]).save(path)


POLYGON = '1 ' + ' '.join(f'{x / 60} {y / 40}' for x, y in [[10, 5], [29, 5], [29, 24], [10, 24]])


def yolo(root, line=POLYGON):
    for part in ('train', 'valid'):  # as Roboflow writes it
        save_photo(root / f'{part}/images/{part}.jpg')
        save_photo(root / f'{part}/images/empty-{part}.jpg')
        (root / f'{part}/labels').mkdir()
        (root / f'{part}/labels/{part}.txt').write_text(f'{line}\n\n')
        (root / f'{part}/labels/empty-{part}.txt').touch()
    (root / 'data.yaml').write_text('train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [cat, dog]\n')


def labelme(root, shape=None):
    save_photo(root / 'a.jpg')
    cropped = io.BytesIO()
    Image.fromarray(np.full((20, 20), 255, np.uint8)).save(cropped, 'png')
    pasted = {
        **{'label': 'dog', 'shape_type': 'mask', 'points': [[10, 5], [29, 24]]},
        'mask': base64.b64encode(cropped.getvalue()).decode(),
    }
    ignored = {'label': '__ignore__', 'shape_type': 'polygon', 'points': [[1, 1], [9, 1], [9, 9]]}
    outlined = {'label': 'dog', 'shape_type': 'polygon', 'points': SQUARE}
    for name, one in (('a', shape or outlined), ('b', pasted)):
        (root / f'{name}.json').write_text(json.dumps({'shapes': [one, ignored], 'imagePath': '..\\a.jpg'}))


def label_studio(root, value=None):
    save_photo(root / 'images/a.jpg')
    save_photo(root / 'images/b c.jpg')
    size = {'original_width': 60, 'original_height': 40}
    percent = [[100 * x / 60, 100 * y / 40] for x, y in SQUARE]
    brush = {'type': 'brushlabels', **size, 'value': {'format': 'rle', 'rle': brush_rle(MASK), 'brushlabels': ['dog']}}
    polygon = {'type': 'polygonlabels', **size, 'value': value or {'points': percent, 'polygonlabels': ['dog']}}
    relation = {'type': 'relation', 'direction': 'right'}
    tasks = [
        {
            'data': {'text': 'a cat', 'image': '/data/upload/3/0a1b2c3d-a.jpg'},
            'annotations': [{'was_cancelled': True, 'result': []}, {'result': [polygon, relation]}],
            'predictions': [{'result': []}],
        },
        {'data': {'image': '/data/local-files/?d=b%20c.jpg'}, 'annotations': [], 'predictions': [{'result': [brush]}]},
        {'data': {'image': 's3://bucket/nothing.jpg'}, 'annotations': [{'result': []}]},
    ]
    (root / 'export.json').write_text(json.dumps(tasks))


def cvat(root, colors=((128, 0, 0), (0, 128, 0))):
    for name, mode in (('a', 'RGB'), ('b c', 'P')):
        save_photo(root / f'JPEGImages/{name}.png')
        label = np.where(MASK, 2, 0).astype(np.uint8)
        label[0] = 255
        palette = np.array([(0, 0, 0), *colors, *[(7, 7, 7)] * 252, (224, 224, 192)], np.uint8)
        mask = Image.fromarray(palette[label]) if mode == 'RGB' else Image.fromarray(label)
        if mode == 'P':
            mask.putpalette(palette.tobytes())
        (root / 'SegmentationClass').mkdir(exist_ok=True)
        mask.save(root / f'SegmentationClass/{name}.png')
    (root / 'ImageSets/Segmentation').mkdir(parents=True)
    (root / 'ImageSets/Segmentation/train.txt').write_text('a\n')
    (root / 'ImageSets/Segmentation/val.txt').write_text('"b c"\n')
    (root / 'labelmap.txt').write_text('# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:::\ndog:0,128,0::\n')


PROGRAMS = {'yolo': yolo, 'labelme': labelme, 'label_studio': label_studio, 'cvat': cvat}


@pytest.mark.parametrize('write', PROGRAMS.values(), ids=PROGRAMS)
def test_objects_are_where_they_were_outlined(tmp_path, write):
    write(tmp_path)
    layout = open_custom(tmp_path, 'all')
    assert len(layout.names) == 2
    for name in layout.names:
        record = layout.record(name)
        np.testing.assert_array_equal(record.label == layout.classes.index('dog') + 1, MASK)
        np.testing.assert_array_equal(record.instances > 0, MASK)
        assert layout.where(name).endswith(('.jpg', '.png'))
    assert layout.stamps()


def test_lists_are_those_of_the_program(tmp_path):
    yolo(tmp_path / 'yolo')
    cvat(tmp_path / 'cvat')
    assert custom_lists(tmp_path / 'yolo') == ('train', 'val', 'all')
    assert custom_lists(tmp_path / 'cvat') == ('train', 'val')
    assert [open_custom(tmp_path / name, 'val').names for name in ('yolo', 'cvat')] == [['valid/valid'], ['b c']]
    with pytest.raises(InputError, match=r"no list 'test' in .*; lists there: train, val, all"):
        open_custom(tmp_path / 'yolo', 'test')


@pytest.mark.parametrize('write', PROGRAMS.values(), ids=PROGRAMS)
def test_a_folder_is_taken_as_references(tmp_path, narrow_params, write):
    write(tmp_path)
    folder = pj.Segmenter(narrow_params, size=33).fit_folder(tmp_path)
    assert folder.classes == ('dog',)
    assert len(folder.references.references) == 2
    photo = draw_disc(0, SHAPE)[0]
    with_void = MASK.astype(np.uint8)
    with_void[0] = 255
    mask = pj.Scribble(with_void) if write is cvat else MASK
    np.testing.assert_array_equal(folder.references.references[-1].marks.foreground, marks(narrow_params, photo, mask))


def marks(params, photo, mask):
    return pj.Segmenter(params, size=33).add('dog', photo, mask).references.references[0].marks.foreground


@pytest.mark.parametrize(
    ('write', 'options', 'message'),
    [
        (yolo, {'line': '0 0.5 0.5 0.1 0.1'}, r'line 1 of .*train\.txt is a box, not the polygon of an object'),
        (yolo, {'line': '2 0 0 1 0 1 1'}, 'has the class 2, but there are 2, counted from 0'),
        (yolo, {'line': '0 0 0 10 0 10 20'}, 'is no polygon; wanted three points or more, x and y from 0 to 1'),
        (yolo, {'line': '0 0 0 1 0 1 x'}, 'is no class with x and y of points'),
        (
            labelme,
            {'shape': {'label': 'a', 'shape_type': 'rectangle', 'points': [[1, 1], [9, 9]]}},
            'is a rectangle; wanted',
        ),
        (labelme, {'shape': {'label': 'a', 'points': [[1, 1], [9, 9]]}}, r'has 2 point\(s\); wanted three or more'),
        (labelme, {'shape': {'label': 'a', 'points': 5}}, 'is no file of labelme'),
        (label_studio, {'value': {'x': 1, 'rectanglelabels': ['a']}}, 'is a rectangle; wanted a brush or a polygon'),
        (label_studio, {'value': {'rle': [1, 2], 'brushlabels': ['a']}}, 'has damaged run lengths'),
        (cvat, {'colors': ((128, 0, 0), (1, 2, 3))}, r'has the color \(1, 2, 3\), which is not in labelmap\.txt'),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, write, options, message):
    write(tmp_path, **options)
    with pytest.raises(InputError, match=message):
        [layout.record(name) for layout in [open_custom(tmp_path, 'all')] for name in layout.names]


def test_missing_files_are_one_sentence(tmp_path):
    for write in (yolo, labelme, label_studio):
        write(tmp_path / write.__name__)
    (tmp_path / 'yolo/data.yaml').write_text('train: nowhere\nnames: [cat]')
    (tmp_path / 'labelme/a.jpg').unlink()
    (tmp_path / 'label_studio/images/a.jpg').unlink()
    for name, message in (
        ('yolo', r'data\.yaml names nowhere, which is not in'),
        ('labelme', r'the photograph \.\./a\.jpg of .*a\.json is not beside it'),
        ('label_studio', r'0a1b2c3d-a\.jpg of a task of Label Studio is neither beside the json nor in images/'),
    ):
        with pytest.raises(InputError, match=message):
            open_custom(tmp_path / name, 'all')
    (tmp_path / 'yolo/data.yaml').write_text('train: train/images')
    with pytest.raises(InputError, match=r"data\.yaml cannot be read \(KeyError: 'names'\); wanted names:"):
        open_custom(tmp_path / 'yolo', 'all')


def test_a_folder_without_annotations_is_told(tmp_path, narrow_params):
    segmenter = pj.Segmenter(narrow_params, size=33)
    with pytest.raises(InputError, match='there is no folder'):
        segmenter.fit_folder(tmp_path / 'none')
    with pytest.raises(InputError, match='has none of: images/ and masks/'):
        segmenter.fit_folder(tmp_path)


def test_the_colors_of_voc_are_its_own():
    assert [tuple(voc_color(number).tolist()) for number in (0, 1, 3, 15, 255)] == [
        *((0, 0, 0), (128, 0, 0), (128, 128, 0), (192, 128, 128)),
        (224, 224, 192),
    ]
