"""The demonstration page: what a drawing means, a visitor's session, and the real page in a browser."""

import contextlib
import dataclasses
import gc
import importlib.util
import io
import os
import re
import signal
import sys
import time
import types
import urllib.error
import urllib.request
import uuid
import weakref
from pathlib import Path

import numpy as np
import pytest
from browser import MISSING, SECONDS, awaited, serving, visiting
from drawn import color_params, draw_disc
from noting import noting
from PIL import Image

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.demo_page import session as sessions
from panet_jax.commands.demo_page.choices import Choices
from panet_jax.commands.demo_page.drawing import BACKGROUND_COLOR, CLASS_COLOR, annotation
from panet_jax.commands.demo_page.example import example_queries, example_references
from panet_jax.commands.demo_page.folder import PREFIX, remove_leftovers, visitors_folder
from panet_jax.commands.demo_page.session import MOST_IMAGES, Session
from panet_jax.commands.demo_page.uploads import read_mask, shrunk
from panet_jax.images.overlays import outlined, overlay
from panet_jax.method.answers import FOLDER_ABOVE
from panet_jax.segmenter import stream
from panet_jax.segmenter.references import read_marks

SHAPE, RADIUS = (160, 240), 45
RED, BLUISH = (220, 40, 30), (20, 60, 240)
ORANGE, BLUE = (bytes.fromhex(color[1:]) for color in (CLASS_COLOR, BACKGROUND_COLOR))


def drawing(*strokes):
    """A transparent [40, 60, 4] with filled rectangles (color, left, top, right, bottom)."""
    canvas = np.zeros((40, 60, 4), np.uint8)
    for color, left, top, right, bottom in strokes:
        canvas[top:bottom, left:right] = (*color, 255)
    return canvas


def test_strokes_keep_their_places():
    canvas = drawing((ORANGE, 5, 10, 20, 12), (BLUE, 30, 0, 32, 40))
    canvas[30, 10] = (*ORANGE, 90)  # the rim of a brush
    strokes = annotation(canvas, 'scribble').strokes
    expected = np.full((40, 60), 255)
    expected[10:12, 5:20], expected[:, 30:32] = 1, 0
    np.testing.assert_array_equal(strokes, expected)


def test_a_box_is_that_of_all_that_is_drawn():
    assert annotation(drawing((ORANGE, 5, 10, 7, 12), (ORANGE, 50, 3, 52, 4)), 'box') == pj.Box(5, 3, 52, 12)


def test_each_blob_is_a_point():
    points = annotation(drawing((ORANGE, 4, 10, 8, 12), (ORANGE, 20, 20, 21, 21), (BLUE, 50, 30, 52, 34)), 'points')
    assert points == pj.Points([(6, 11), (20.5, 20.5)], [(51, 32)])


def test_an_outline_is_filled():
    outline = drawing((ORANGE, 5, 5, 30, 25))
    outline[8:20, 8:25] = 0
    expected = np.zeros((40, 60), bool)
    expected[5:25, 5:30] = True
    np.testing.assert_array_equal(annotation(outline, 'mask'), expected)


@pytest.mark.parametrize('kind', ['scribble', 'box', 'points', 'mask'])
def test_something_must_be_drawn_on_the_class(kind):
    for canvas in (drawing(), drawing((BLUE, 1, 1, 9, 9))):
        with pytest.raises(pj.InputError, match='Nothing is drawn on the class yet'):
            annotation(canvas, kind)


@pytest.mark.parametrize('kind', ['box', 'mask'])
def test_background_is_not_ignored_silently(kind):
    with pytest.raises(pj.InputError, match=f'A {kind} is drawn in orange alone'):
        annotation(drawing((ORANGE, 1, 1, 9, 9), (BLUE, 20, 20, 29, 29)), kind)


@pytest.fixture
def segmenter_(narrow_params):
    return pj.Segmenter(narrow_params, size=65, batch=2)


@pytest.fixture
def session(segmenter_, tmp_path):
    return Session(segmenter_, tmp_path)


def photo(folder, name='query.png', seed=9):
    path = folder / name
    Image.fromarray(draw_disc(seed)[0]).save(path)
    return path


def label_map(result):
    """[H, W] uint8, the file of a result."""
    with Image.open(result.labels) as image:
        return np.asarray(image)


def test_a_session_finds_what_the_segmenter_finds(session, segmenter_, tmp_path):
    red, mask = draw_disc(0)
    blue, _ = draw_disc(1, color=(20, 60, 240))
    session.add(' cat ', red, mask)
    session.add('dog', blue, pj.Box(20, 10, 40, 30))
    path = photo(tmp_path)
    session.queries = [path]
    assert session.segment() == []
    (result,) = session.results
    expected = (
        pj.Segmenter(segmenter_.network, batch=2)
        .fit({'cat': [(red, mask)], 'dog': [(blue, (20, 10, 40, 30))]})
        .predict(path)
    )
    np.testing.assert_array_equal(label_map(result), expected.labels)
    with Image.open(result.overlay) as picture:
        assert picture.size == (60, 40)
    assert segmenter_.classes == ()


def colored(color, way):
    """What a pixel of a color is in an overlay where it has a way's label: [3] uint8."""
    return overlay(np.array([[color]], np.uint8), np.array([[way]]))[0, 0]


def test_removing_references_leaves_the_others(session):
    for name, seed in (('cat', 0), ('dog', 1), ('cat', 2)):
        session.add(name, *draw_disc(seed))
    session.remove(0)
    assert session.classes == ('dog', 'cat')
    pictures, names = zip(*session.thumbnails(), strict=True)
    assert names == ('dog', 'cat')
    for way, picture in enumerate(pictures, 1):
        assert picture.shape == (40, 60, 3)
        np.testing.assert_allclose(picture[20, 30], colored((220, 40, 30), way), atol=2)
    session.remove_all()
    assert (session.classes, session.references) == ((), [])


def test_a_picture_without_any_of_the_classes_is_learned_from(session, segmenter_, tmp_path):
    session.add('cat', *draw_disc(0))
    path = photo(tmp_path)
    session.queries = [path]
    session.segment()
    session.try_out(('dog', *draw_disc(1)))  # what is tried out is no class yet
    session.add_negative(0)
    expected = segmenter_.without_references().add('cat', *draw_disc(0)).add_negative(path)
    np.testing.assert_array_equal(session.reference_set.prototypes(), expected.references.prototypes())
    session.segment()
    assert session.results[0].names_off == {'cat'}
    assert not label_map(session.results[0]).any()
    (_, name), (picture, caption) = session.thumbnails()
    assert (name, caption, picture.shape) == ('cat', 'none of these', (40, 60, 3))
    with pytest.raises(pj.InputError, match=r'query\.png is taken for a picture without these classes already'):
        session.add_negative(0)
    with pytest.raises(pj.InputError, match="query\\.png is 'none of these' among the references; remove that first"):
        session.switch(0, 'cat', on=True)
    session.add('dog', *draw_disc(1, color=BLUISH))
    session.segment()
    assert not label_map(session.results[0]).any()  # nor a class that was added later
    session.remove(1)
    assert [caption for _, caption in session.thumbnails()] == ['cat', 'none of these']
    session.remove(1)
    assert (session.negatives, session.reference_set.negatives) == ([], ())
    session.segment()
    assert label_map(session.results[0]).any()
    session.add_negative(0)
    session.remove_all()
    assert (session.negatives, session.thumbnails(), session.reference_set.images) == ([], [], {})


@pytest.mark.parametrize('shape', [(40, 60), (1000, 1500)])
def test_a_reference_is_no_picture_without_its_class(session, tmp_path, shape):
    image, _ = draw_disc(9, shape)
    Image.fromarray(image).save(tmp_path / 'query.png')
    session.queries = [tmp_path / 'query.png']
    drawn = shrunk(image)  # as the page takes it
    session.try_out(('cat', drawn, pj.Box(15, 5, 45, 35)))
    session.segment()
    with pytest.raises(pj.InputError, match='Add what you drew as a reference first'):
        session.add_negative(0)
    session.add('cat', drawn, pj.Box(15, 5, 45, 35))
    session.segment()
    with pytest.raises(pj.InputError, match=r"query\.png is a reference of 'cat'; remove that first"):
        session.add_negative(0)
    assert (session.negatives, session.choices.switched) == ([], {})


def test_what_is_tried_out_counts_until_something_is_added(session, tmp_path):
    session.add('cat', *draw_disc(0))
    assert session.try_out(('dog', *draw_disc(1, color=BLUISH)))
    assert session.classes == ('cat', 'dog')
    session.queries = [photo(tmp_path)]
    session.segment()
    assert session.results[0].segmentation.classes == ('cat', 'dog')
    assert session.try_out(None)
    assert not session.try_out(None)
    assert session.classes == ('cat',)
    session.try_out(('dog', *draw_disc(1, color=BLUISH)))
    session.add('cow', *draw_disc(2))
    assert (session.classes, len(session.references)) == (('cat', 'cow'), 2)


def test_a_click_is_shown_as_the_region_that_it_is_understood_as(session):
    image, mask = draw_disc(0, (40, 60))
    center = pj.Points([np.argwhere(mask).mean(0)[::-1]])
    picture = session.preview('cat', image, center)
    assert picture.shape == (40, 60, 3)
    assert session.classes == ()
    session.add('cat', image, center)
    ((thumbnail, _),) = session.thumbnails()
    np.testing.assert_array_equal(thumbnail, picture)
    (reference,) = session.references
    assert reference.region.sum() > 3 * reference.marks.foreground.sum()


def test_a_mistake_changes_nothing(session):
    image, mask = draw_disc(0)
    session.add('cat', image, mask)
    for name, wrong, sentence in (
        (' ', mask, 'Say what it is'),
        ('dog', mask[:-1], "annotation of 'dog' must be as large"),
        ('dog', np.zeros_like(mask), "annotation of 'dog' is empty"),
    ):
        with pytest.raises(pj.InputError, match=sentence):
            session.add(name, image, wrong)
    assert session.classes == ('cat',)


def test_an_image_that_cannot_be_read_is_told_without_the_servers_folders(session, tmp_path):
    session.add('cat', *draw_disc(0))
    (tmp_path / 'torn.png').write_bytes(b'torn')
    session.queries = [tmp_path / 'torn.png', photo(tmp_path)]
    complaints = session.segment()
    assert [result.path.name for result in session.results] == ['query.png']
    assert complaints == ['torn.png is no image that Pillow knows; replace it or leave it out.']


def test_a_large_image_and_its_mask_become_smaller_alike(session, tmp_path):
    image, mask = draw_disc(0, (900, 1803), center=(400, 900), radius=200)
    Image.fromarray(mask).save(tmp_path / 'mask.png')
    photo_ = shrunk(image)
    assert photo_.shape == (599, 1200, 3)
    session.add('cat', photo_, read_mask(tmp_path / 'mask.png'))
    (marks,) = (reference.marks for reference in session.references)
    expected = read_marks(mask, mask.shape, 65, 'the mask')
    assert (marks.foreground != expected.foreground).mean() < 0.01
    np.testing.assert_array_equal(shrunk(photo_), photo_)


def test_a_jpeg_is_no_mask(session, tmp_path):
    image, mask = draw_disc(0)
    Image.fromarray(mask).convert('L').save(tmp_path / 'mask.jpg')
    with pytest.raises(pj.InputError, match='is a JPEG'):
        session.add('cat', image, read_mask(tmp_path / 'mask.jpg'))


def test_results_go_with_their_references_and_files_with_the_session(session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.queries = [photo(tmp_path)]
    session.segment()
    session.queries = [photo(tmp_path, 'other.png')]
    session.segment()
    assert {path.name for path in session.folder.iterdir()} == {'other.png', 'other-overlay.jpg'}
    session.close()
    assert not session.folder.exists()


def test_a_class_can_be_switched_off_in_one_picture(session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.add('dog', *draw_disc(1, color=BLUISH))
    session.queries = [photo(tmp_path, 'one.png'), photo(tmp_path, 'two.png')]
    session.segment()
    before = [label_map(result) for result in session.results]
    overlay_before = session.results[0].overlay.read_bytes()
    assert {1, 2} <= set(np.unique(before[0]))
    session.switch(0, 'cat', on=False)
    without_cat, unchanged = (label_map(result) for result in session.results)
    logits = session.results[0].full.logits[..., [0, 2]]  # the cat's pixels go to the likeliest other
    expected = dataclasses.replace(session.results[0].full, logits=logits, classes=('dog',)).labels
    np.testing.assert_array_equal(without_cat, 2 * expected)
    np.testing.assert_array_equal(unchanged, before[1])
    assert session.results[0].overlay.read_bytes() != overlay_before
    assert session.results[0].segmentation.shares['cat'] == 0
    session.segment()
    np.testing.assert_array_equal(label_map(session.results[0]), without_cat)
    session.switch(0, 'cat', on=True)
    np.testing.assert_array_equal(label_map(session.results[0]), before[0])


IMAGE, OTHER = Path('a.png'), Path('b.png')


def test_what_the_visitor_says_of_an_image_counts_before_what_is_decided():
    choices, classes = Choices(), ('cat', 'dog')
    assert choices.names_off(IMAGE, classes) == set()
    choices.presence = {IMAGE: {'cat': FOLDER_ABOVE, 'dog': 0.0}}
    assert choices.names_off(IMAGE, classes) == choices.left_out(IMAGE, classes) == {'dog'}
    choices.switch(IMAGE, 'dog', on=True)
    choices.switch(IMAGE, 'cat', on=False)
    assert choices.names_off(IMAGE, classes) == {'cat'}
    assert choices.left_out(IMAGE, classes) == choices.names_off(OTHER, classes) == set()
    assert choices.known(IMAGE, ('cat',)) == {'cat': False}
    choices.every_class = True
    assert (choices.names_off(IMAGE, classes), choices.probabilities(IMAGE)) == ({'cat'}, {})


def test_an_image_without_any_class_has_none_of_those_that_come_later_either():
    choices = Choices()
    choices.switch(IMAGE, 'cat', on=True)
    choices.without = {IMAGE}
    assert choices.names_off(IMAGE, ('cat', 'dog')) == {'cat', 'dog'}
    assert choices.left_out(IMAGE, ('cat', 'dog')) == set()
    with pytest.raises(pj.InputError, match="a\\.png is 'none of these' among the references"):
        choices.switch(IMAGE, 'cat', on=True)


@pytest.fixture
def of_two_colors(narrow_params, tmp_path):
    """A session with ten images, of which the even ones show a cat, which is red, and the odd ones a dog, which is blue."""
    session = Session(pj.Segmenter(color_params(narrow_params), size=65, batch=2), tmp_path)
    for name, color in (('cat', RED), ('dog', BLUISH)):
        for seed in range(2):
            session.add(name, *draw_disc(seed, color=color))
    session.queries = [tmp_path / f'{number}.png' for number in range(10)]
    for number, path in enumerate(session.queries):
        Image.fromarray(draw_disc(20 + number, color=(RED, BLUISH)[number % 2])[0]).save(path)
    return session


def all_off(session):
    """What is switched off in each result, by its label map and by the session."""
    for result in session.results:
        assert result.names_off == session.choices.names_off(result.path, result.full.classes)
        np.testing.assert_array_equal(label_map(result), result.full.without(result.names_off).labels)
    return [result.names_off for result in session.results]


def test_of_ten_images_a_class_is_left_out_where_it_probably_is_not(of_two_colors):
    session = of_two_colors
    assert session.segment() == []
    assert all_off(session) == 5 * [{'dog'}, {'cat'}]
    assert session.left_out == {'cat': 5, 'dog': 5}
    session.queries = session.queries[:9]
    session.segment()
    assert all_off(session) == 9 * [set()]
    assert (session.left_out, session.choices.can_decide) == ({}, False)
    assert session.results[0].full.presence is None


def test_what_is_decided_is_what_the_segmenter_decides(of_two_colors):
    session = of_two_colors
    session.queries[4].write_bytes(b'torn')
    assert len(session.segment()) == 1
    paths = [result.path for result in session.results]
    segmenter = pj.Segmenter(session._segmenter.network, batch=2)
    segmenter.references = session.reference_set
    for path, expected in zip(paths, segmenter.predict_folder(paths), strict=True):
        assert session.choices.probabilities(path) == pytest.approx(expected.presence, abs=1e-3)


def test_what_the_visitor_switches_overrides_what_is_decided(of_two_colors):
    session = of_two_colors
    session.segment()
    session.switch(0, 'dog', on=True)
    session.switch(2, 'cat', on=False)
    session.switch(3, 'cat', on=False)  # as it is
    expected = [set(), {'cat'}, {'cat', 'dog'}, {'cat'}, *3 * [{'dog'}, {'cat'}]]
    assert all_off(session) == expected
    assert session.left_out == {'cat': 4, 'dog': 4}
    session.segment()
    off = all_off(session)
    assert 'dog' not in off[0]
    assert 'cat' in off[2] & off[3]
    session.take_every_class(True)
    assert all_off(session) == [set(), set(), {'cat'}, {'cat'}, *6 * [set()]]


def test_other_images_learn_from_a_picture_without_any_of_the_classes(of_two_colors):
    session = of_two_colors
    session.segment()
    before = session.choices.probabilities(session.queries[2])['cat']
    session.add_negative(0)
    session.segment()
    assert all_off(session)[0] == {'cat', 'dog'}
    assert session.choices.probabilities(session.queries[2])['cat'] < before
    assert session.left_out['dog'] <= 4


def test_every_picture_may_show_every_class_without_a_new_search(of_two_colors, monkeypatch):
    session = of_two_colors
    session.segment()
    monkeypatch.delattr(pj.Segmenter, 'stream_photos')
    session.take_every_class(True)
    assert all_off(session) == 10 * [set()]
    assert (session.left_out, session.choices.probabilities(session.queries[0]), session.choices.can_decide) == (
        {},
        {},
        True,
    )
    monkeypatch.undo()
    session.segment()
    assert all_off(session) == 10 * [set()]
    session.take_every_class(False)
    assert all_off(session) == 5 * [{'dog'}, {'cat'}]


def test_a_class_that_is_impossible_can_be_switched_on(of_two_colors, monkeypatch):
    session = of_two_colors
    monkeypatch.setattr('panet_jax.segmenter.comparison.class_probabilities', lambda *_: np.zeros(2))
    session.segment()
    session.switch(0, 'dog', on=True)
    assert all(set(result.full.expected_iou) == {'cat', 'dog'} for result in session.results)
    assert (session.results[0].full.logits > -100).all()


def test_references_of_a_file_decide_if_it_has_what_that_takes(of_two_colors, tmp_path):
    session = of_two_colors
    session._segmenter.save(tmp_path / 'saved.safetensors')
    loaded = pj.Segmenter.load(tmp_path / 'saved.safetensors', session._segmenter.network).references
    session._keep(loaded, session.references, [])
    assert session.segment() == []
    assert all_off(session) == 5 * [{'dog'}, {'cat'}]
    session._keep(dataclasses.replace(loaded, evidence=None), session.references, [])
    assert session.segment() == []
    assert all_off(session) == 10 * [set()]
    assert not session.choices.can_decide


def test_classes_that_are_gone_need_not_be_switched_on(session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.add('dog', *draw_disc(1, color=BLUISH))
    session.queries = [photo(tmp_path)]
    session.segment()
    session.switch(0, 'cat', on=False)
    session.remove(0)
    assert session.segment() == []
    assert session.results[0].segmentation.classes == ('dog',)


def test_the_pages_overlays_are_as_large_as_the_photograph_and_without_legend(session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.queries = [photo(tmp_path)]
    session.segment()
    (result,) = session.results
    file = io.BytesIO()
    labels = result.segmentation.labels
    picture = outlined(overlay(np.asarray(Image.open(result.path)), labels, rest=1), labels)
    Image.fromarray(picture).save(file, 'jpeg', quality=90)
    np.testing.assert_array_equal(Image.open(result.overlay), Image.open(file))


def test_the_page_decodes_each_image_once_for_a_search_and_keeps_none(session, tmp_path, monkeypatch):
    photos, read_photo = [], stream.read_photo

    def read_and_note(*image):
        pixels = read_photo(*image)
        photos.append(weakref.ref(pixels))
        return pixels

    session.add('cat', *draw_disc(0))
    for module in (stream, sessions):
        monkeypatch.setattr(module, 'read_photo', read_and_note)
    session.queries = [photo(tmp_path, f'{number}.png') for number in range(3)]
    session.segment()
    assert len(photos) == 3
    gc.collect()
    assert [reference() for reference in photos] == [None] * 3


@pytest.fixture
def huge(tmp_path):
    """A small file that would take 270 MB once it is decoded."""
    path = tmp_path / 'huge.png'
    Image.new('1', (10_000, 9_000)).save(path)
    assert path.stat().st_size < 50_000
    return path


def test_an_image_of_too_many_pixels_is_told_before_it_is_decoded(session, huge, tmp_path):
    huge.write_bytes(huge.read_bytes()[:1000])  # whoever decodes it complains that it is torn
    session.add('cat', *draw_disc(0))
    session.queries = [huge, photo(tmp_path)]
    complaint = 'huge.png has more than 64 million pixels; make it smaller.'
    assert session.check() == session.segment() == [complaint]
    assert [result.path.name for result in session.results] == ['query.png']
    with pytest.raises(pj.InputError, match=complaint):
        read_mask(huge)


def test_there_are_so_many_images_and_references_at_most(session, tmp_path):
    session.queries = [photo(tmp_path)] * (MOST_IMAGES + 1)
    assert session.check() == [f'The page searches {MOST_IMAGES} images at once; the last 1 are left out.']
    for _ in range(MOST_IMAGES):
        session.add('cat', *draw_disc(0))
    with pytest.raises(pj.InputError, match=f'There are {MOST_IMAGES} references, and the page takes no more'):
        session.add('cat', *draw_disc(0))
    assert len(session.references) == MOST_IMAGES


def test_torn_images_are_told_before_anything_is_searched(session, tmp_path):
    content = photo(tmp_path).read_bytes()
    (tmp_path / 'torn.png').write_bytes(content[: len(content) // 2])
    session.queries = [tmp_path / 'torn.png', tmp_path / 'query.png']
    (complaint,) = session.check()
    assert complaint.startswith('torn.png cannot be read as an image')


@pytest.fixture
def on_page():
    """The modules of what happens on the page: `marking_actions`, `result_actions`, `result_view`."""
    pytest.importorskip('gradio')
    names = 'marking_actions', 'result_actions', 'result_view'
    modules = {name: importlib.import_module(f'panet_jax.commands.demo_page.{name}') for name in names}
    return types.SimpleNamespace(**modules)


def test_presence_is_told_in_words(on_page):
    view = on_page.result_view
    values = (0, view.LIKELY, view.LIKELY + 0.01, view.UNSURE, view.UNSURE + 0.01, 1)
    words = ['likely', 'likely', 'unsure', 'unsure', 'unlikely', 'unlikely']
    assert [view.presence_word(absent) for absent in values] == words


def test_a_heat_map_has_the_shape_of_its_photograph(on_page, session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.queries = [photo(tmp_path)]
    session.segment()
    assert on_page.result_view.class_heat_map(session.results[0], 'cat').shape == (40, 60, 3)


def test_a_tab_that_outlived_its_session_is_told_to_reload(on_page):
    import gradio as gr

    for action in (on_page.marking_actions.remove_all, on_page.result_actions.segment, on_page.result_actions.switch):
        with pytest.raises(gr.Error, match='Reload the page'):
            list(action(None))


def test_the_page_says_that_it_searches_before_it_does(on_page, session, tmp_path):
    image, mask = draw_disc(0)
    drawing_ = {'background': image, 'layers': [np.dstack([np.full_like(image, tuple(ORANGE)), 255 * mask])]}
    session.queries = [photo(tmp_path, f'{number}.png') for number in range(2)]
    steps = on_page.marking_actions.try_out(session, True, 'mask', drawing_, None, 'cat')
    assert next(steps)[0] == 'Searching 2 images …'
    assert session.classes == (), 'the drawing has been encoded already'
    *_, last = steps
    assert last[0] == ''
    assert [result.path.name for result in session.results] == ['0.png', '1.png']


def test_the_page_tells_of_torn_images_while_nothing_is_marked(on_page, session, tmp_path):
    (tmp_path / 'torn.png').write_bytes(b'torn')
    ((status, *_),) = on_page.result_actions.search(
        session, [(str(tmp_path / 'torn.png'), None), (str(photo(tmp_path)), None)]
    )
    assert status.startswith('Nothing to look for yet')
    assert 'torn.png is no image' in status


def test_the_legend_says_how_sure_each_class_is(on_page, session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.add('d<g', *draw_disc(1, color=BLUISH))
    session.queries = [photo(tmp_path)]
    session.segment()
    session.heat_class = 'cat'
    session.switch(0, 'd<g', on=False)
    _, legend, classes = on_page.result_view.view(session)
    absent, word = session.results[0].full.absent, on_page.result_view.presence_word
    assert classes['choices'] == [(f'{name}: {word(absent[name])}', name) for name in ('cat', 'd<g')]
    assert classes['value'] == ['cat']
    share = f'{session.results[0].segmentation.shares["cat"]:.1%}'
    rows = [re.findall('<td>(.*?)</td>', row) for row in legend.split('<tr>')[2:]]
    words = [[share, word(absent['cat'])], ['switched off', word(absent['d<g'])]]
    expected = [f'{value:.2f}' for value in session.results[0].full.expected_iou.values()]
    assert [row[1:] for row in rows] == [[*row, iou] for row, iou in zip(words, expected, strict=True)]
    assert 'd&lt;g' in rows[1][0]
    assert 'fitted' not in legend
    legend = on_page.result_view._legend(session.results[0], (), 'dinov2-small')
    assert 'Expected IoU was fitted with VGG-16; with dinov2-small its values mean little.' in legend


def test_the_page_tells_what_it_left_out_and_how_probable_classes_are(on_page, of_two_colors):
    from panet_jax.commands.demo_page.page import ResultPart

    session = of_two_colors
    session.queries[8].write_bytes(b'torn')
    *_, values = on_page.result_actions.segment(session)
    shown = ResultPart(*values)
    torn, sentence = shown.status.split('\n\n')
    assert sentence == 'cat was left out of 5 of 9 pictures, dog of 4: they are probably not there.'
    assert shown.every_class['visible']
    percent = {
        name: f'{100 * value:.0f} %' for name, value in session.choices.probabilities(session.queries[0]).items()
    }
    assert shown.classes['choices'] == [(f'{name}: {text}', name) for name, text in percent.items()]
    assert shown.classes['value'] == ['cat']
    assert all(f'<td>{text}</td>' in shown.legend for text in percent.values())
    assert 'below 15 % the class is off' in shown.legend
    session.chosen = 0
    status, *_ = on_page.result_actions.switch(session, types.SimpleNamespace(value='dog', selected=True, index=1))
    assert status.split('\n\n') == [torn, sentence.replace('dog of 4', 'dog of 3')]
    shown = ResultPart(*on_page.result_actions.take_every_class(session, True))
    assert (shown.status, shown.every_class['visible'], shown.classes['value']) == (torn, True, ['cat', 'dog'])
    assert 'unsure' in shown.legend
    session.take_every_class(False)
    session.queries = session.queries[:3]
    *_, values = on_page.result_actions.segment(session)
    shown = ResultPart(*values)
    assert (shown.status, shown.every_class['visible']) == ('', False)


def test_actions_give_a_value_for_each_component_of_the_result(on_page, session, tmp_path):
    from panet_jax.commands.demo_page.page import ReferencePart, ResultPart

    session.queries = [photo(tmp_path)]
    (nothing,) = on_page.result_actions.segment(session)
    session.add('cat', *draw_disc(0))
    busy, results = on_page.result_actions.segment(session)
    assert {len(values) for values in (nothing, busy, results)} == {len(ResultPart._fields)}
    assert results[ResultPart._fields.index('files')] == on_page.result_view.files(session)
    assert len(on_page.marking_actions.add_negative(session)) == len(ReferencePart._fields)
    event = types.SimpleNamespace(index=1)
    index, button = on_page.marking_actions.pick(session, event)
    assert (index, button['value']) == (1, 'Remove number 2, none of these')
    assert len(on_page.marking_actions.remove(session, 0)) == len(ReferencePart._fields)


def test_a_class_of_an_image_that_is_searched_anew_is_not_switched(on_page, session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.queries = [photo(tmp_path)]
    event = types.SimpleNamespace(value='cat', selected=False, index=0)
    assert on_page.result_actions.switch(session, event) == [on_page.result_view.gr.skip()] * 6
    session.segment()
    *_, files = on_page.result_actions.switch(session, event)
    assert files == on_page.result_view.files(session)
    assert session.results[0].segmentation.shares['cat'] == 0
    event.value = 'dog'
    assert on_page.result_actions.switch(session, event) == [on_page.result_view.gr.skip()] * 6


def demo_folder(folder, age=1000):
    home = folder / f'{PREFIX}{uuid.uuid4().hex}'
    (home / 'uploads').mkdir(parents=True)
    (home / 'uploads' / 'private.jpg').write_bytes(b'')
    os.utime(home, 2 * (time.time() - age,))
    return home


def test_what_a_killed_page_left_is_removed_at_the_next_start(tmp_path):
    killed, young = demo_folder(tmp_path), demo_folder(tmp_path, age=1)
    other = tmp_path / 'panet_jax-other'
    other.mkdir()
    link = tmp_path / f'{PREFIX}link'
    link.symlink_to(other)
    with visitors_folder(tmp_path) as home:
        os.utime(home, (1, 1))
        remove_leftovers(tmp_path)
        assert set(tmp_path.iterdir()) == {young, other, link, home}, 'the page that is served keeps its own'
    assert not killed.exists()
    assert not home.exists()


def test_a_search_writes_nothing_once_the_page_has_ended(narrow_params, tmp_path):
    def end(_):
        if session.queries:
            session.close()

    network = pj.load_network(narrow_params, size=33)
    network = dataclasses.replace(network, encoder=noting(network.encoder, end))
    session = Session(pj.Segmenter(network), tmp_path)
    session.add('cat', *draw_disc(0))
    session.queries = [photo(tmp_path, 'one.png'), photo(tmp_path, 'two.png')]
    session.segment()
    assert not session.folder.exists()
    assert session.results == []


def test_the_example_shows_two_classes(tmp_path):
    references = example_references()
    assert [name for name, *_ in references] == ['heart', 'gear']
    assert len(example_queries(tmp_path)) == len(list(tmp_path.iterdir())) == 3


def test_without_gradio_there_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    with pytest.raises(SystemExit) as ended:
        cli.run(['demo'])
    assert ended.value.code == 2
    assert (
        capsys.readouterr().err == "panet_jax: the page needs Gradio; install it with: pip install 'panet-jax[demo]'\n"
    )


def served(folder, narrow_params):
    """The command, run in a process whose temporary files go to a folder: the process, and the page's address."""
    pj.save_encoder_params(folder / 'color.safetensors', color_params(narrow_params))
    return serving(folder, f'--weights={folder}/color.safetensors')


@pytest.fixture
def address(tmp_path, narrow_params):
    """The page as the command serves it, with a network that sees colors alone."""
    with served(tmp_path, narrow_params) as (server, address):
        yield address
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=SECONDS)
        assert (server.returncode, rest) == (0, '')
        assert not list(tmp_path.glob('panet_jax-demo-*')), 'files of visitors are left'


def upload_over_http(address, name, content):
    """The server's answer to a file that is uploaded to it."""
    body = (
        b'--part\r\nContent-Disposition: form-data; name="files"; filename="%b"\r\n'
        b'Content-Type: image/png\r\n\r\n%b\r\n--part--\r\n' % (name.encode(), content)
    )
    kind = {'Content-Type': 'multipart/form-data; boundary=part'}
    request = urllib.request.Request(f'{address}gradio_api/upload', body, kind)
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.exhaustive
@pytest.mark.skipif(importlib.util.find_spec('gradio') is None, reason='the page needs Gradio')
def test_a_terminal_that_is_closed_leaves_no_upload_and_large_files_are_refused(tmp_path, narrow_params):
    with served(tmp_path, narrow_params) as (server, address):
        assert upload_over_http(address, 'huge.png', bytes(65 * 2**20)) == 413
        assert upload_over_http(address, 'small.png', bytes(2**20)) == 200
        assert [path.name for path in tmp_path.glob('panet_jax-demo-*/**/*.png')] == ['small.png']
        server.send_signal(signal.SIGHUP)
        server.send_signal(signal.SIGHUP)  # from the shell, and from the terminal
        rest, _ = server.communicate(timeout=SECONDS)
    assert (server.returncode, rest) == (0, '')
    assert not list(tmp_path.glob('panet_jax-demo-*'))


@pytest.fixture
def visitor(address):
    """The page, open in a browser that reaches nothing else."""
    with visiting(address) as page:
        yield page


def upload(page, where, text, file):
    with page.expect_file_chooser() as chooser:
        page.locator(where).get_by_text(text).click()
    chooser.value.set_files(file)


def on_screen(page, color, within):
    """Where a color is, within a box (left, top, right, bottom) of the screen: its box, None if it is nowhere."""
    left, top, right, bottom = map(int, within)
    shot = page.screenshot(clip={'x': left, 'y': top, 'width': right - left, 'height': bottom - top})
    pixels = np.asarray(Image.open(io.BytesIO(shot)).convert('RGB')).astype(int)
    rows, columns = np.nonzero((np.abs(pixels - color) < 12).all(-1))
    if not rows.size:
        return None
    return tuple(map(int, (left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1)))


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=8)
    page.mouse.up()


def disc_on_screen(page, color, within):
    """Where a disc is, as `on_screen`; None while the editor shows no image, where a button may have its color."""
    box = on_screen(page, color, within)
    return box if box and min(box[2] - box[0], box[3] - box[1]) > RADIUS else None


def stroke(page, start, end, within):
    """Drags, again if the editor was not ready, until orange is seen within a box of the screen."""
    for _ in range(SECONDS // 10):
        drag(page, start, end)
        with contextlib.suppress(AssertionError):
            return awaited(lambda: on_screen(page, tuple(ORANGE), within), seconds=10)
    raise AssertionError('nothing is drawn')


def downloaded(page, name):
    """The image that a link of the list of files gives, [H, W] or [H, W, 3]."""
    with page.expect_download() as download:
        page.locator(f'#files a[download="{name}"]').click()
    with Image.open(download.value.path()) as image:
        return np.asarray(image)


def two_discs(seed, red, blue):
    """An image with a red and a blue disc around two centers (y, x), and where they are."""
    image, red_mask = draw_disc(seed, SHAPE, RED, red, RADIUS)
    blue_image, blue_mask = draw_disc(seed, SHAPE, BLUISH, blue, RADIUS)
    image[blue_mask] = blue_image[blue_mask]
    return image, red_mask, blue_mask


def iou(mask, expected):
    return (mask & expected).sum() / (mask | expected).sum()


@pytest.mark.exhaustive
@pytest.mark.skipif(bool(MISSING), reason=f'the real page needs {", ".join(MISSING)}')
def test_what_is_drawn_on_the_real_page_is_found(visitor, tmp_path):
    from playwright.sync_api import expect

    expect.set_options(timeout=1000 * SECONDS)
    page = visitor
    support, *_ = two_discs(0, (80, 60), (80, 180))
    query, red, blue = two_discs(1, (70, 170), (90, 60))
    Image.fromarray(support).save(tmp_path / 'support.png')
    Image.fromarray(query).save(tmp_path / 'query.png')
    add = page.get_by_role('button', name='Add this reference')

    add.click()
    expect(page.get_by_text('There is no image to draw on yet')).to_be_visible()
    upload(page, '#queries', 'Click to Upload', tmp_path / 'query.png')
    expect(page.get_by_text('Nothing to look for yet')).to_be_visible()
    (tmp_path / 'torn.jpg').write_bytes((tmp_path / 'support.png').read_bytes()[:200])
    upload(page, '#editor', 'Upload an image', tmp_path / 'torn.jpg')
    expect(page.get_by_text('torn.jpg is no image that your browser can show')).to_be_visible()
    upload(page, '#editor', 'Upload an image', tmp_path / 'support.png')
    box = page.locator('#editor').bounding_box()
    editor = box['x'], box['y'], box['x'] + box['width'], box['y'] + box['height']
    disc = left, top, right, bottom = awaited(lambda: disc_on_screen(page, RED, editor))
    page.get_by_label('What it is').fill('red')
    expect(page.locator('#refused')).to_be_empty()
    add.click()
    expect(page.get_by_text('Nothing is drawn')).to_be_visible()

    # A stroke through the middle of the disc.
    middle = (top + bottom) / 2
    stroke(page, (0.7 * left + 0.3 * right, middle), (0.3 * left + 0.7 * right, middle), disc)
    rows = page.locator('#legend tr')
    expect(rows.filter(has_text='red')).to_be_visible()
    labels = downloaded(page, 'query.png')
    assert labels.shape == SHAPE
    assert iou(labels == 1, red) > 0.65  # all of the image would have 0.17
    share = rows.filter(has_text='red').locator('td').nth(1).inner_text()
    assert float(share.rstrip('%')) == pytest.approx(100 * (labels == 1).mean(), abs=0.06)

    # Once it is added the strokes are gone; a line from corner to corner is a box around the other disc.
    add.click()
    awaited(lambda: on_screen(page, tuple(ORANGE), disc) is None or None)
    disc = left, top, right, bottom = awaited(lambda: disc_on_screen(page, BLUISH, editor))
    page.get_by_label('box').click()
    page.get_by_label('What it is').fill('blue')
    stroke(page, (left, top), (right, bottom), disc)
    add.click()
    expect(rows.filter(has_text='blue')).to_be_visible()
    labels = downloaded(page, 'query.png')
    assert iou(labels == 1, red) > 0.65
    assert iou(labels == 2, blue) > 0.65
    picture = downloaded(page, 'query-overlay.jpg')
    for way, (color, mask) in enumerate(((RED, red), (BLUISH, blue)), 1):
        np.testing.assert_allclose(np.median(picture[mask], 0), colored(color, way), atol=8)

    page.locator('#classes').get_by_text('red').click()
    expect(rows.filter(has_text='switched off')).to_be_visible()
    labels = downloaded(page, 'query.png')
    assert set(np.unique(labels)) == {0, 2}

    page.get_by_role('tab', name='Heat map').click()
    before = page.locator('#heat img').get_attribute('src')
    page.locator('#heat-class').get_by_text('blue').click()
    expect(page.locator('#heat img')).not_to_have_attribute('src', before)

    page.locator('#none-here').click()
    expect(page.locator('#references').get_by_text('none of these')).to_be_visible()
    expect(rows.filter(has_text='switched off')).to_have_count(2)

    page.locator('#clear').click()
    expect(page.get_by_text('Nothing to look for yet')).to_be_visible()
