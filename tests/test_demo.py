"""The demonstration page: what a drawing means, a visitor's session, and the real page in a browser."""

import copy
import importlib.util
import io
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image

import panet_jax as pj
from panet_jax import cli
from panet_jax.demo_example import example_queries, example_references
from panet_jax.demo_session import Session, class_heat_map
from panet_jax.drawing import BACKGROUND_COLOUR, CLASS_COLOUR, annotation
from panet_jax.pictures import way_colour

SHAPE = (160, 240)
CENTRE, RADIUS = (70, 120), 40
ORANGE, BLUE = (bytes.fromhex(colour[1:]) for colour in (CLASS_COLOUR, BACKGROUND_COLOUR))


def drawing(*strokes):
    """A transparent [40, 60, 4] with filled rectangles (colour, left, top, right, bottom)."""
    drawn = np.zeros((40, 60, 4), np.uint8)
    for colour, left, top, right, bottom in strokes:
        drawn[top:bottom, left:right] = (*colour, 255)
    return drawn


def test_strokes_keep_their_places():
    drawn = drawing((ORANGE, 5, 10, 20, 12), (BLUE, 30, 0, 32, 40))
    drawn[30, 10] = (*ORANGE, 90)  # the rim of a brush
    strokes = annotation(drawn, 'scribble').strokes
    wanted = np.full((40, 60), 255)
    wanted[10:12, 5:20], wanted[:, 30:32] = 1, 0
    np.testing.assert_array_equal(strokes, wanted)


def test_a_box_is_that_of_all_that_is_drawn():
    assert annotation(drawing((ORANGE, 5, 10, 7, 12), (ORANGE, 50, 3, 52, 4)), 'box') == pj.Box(5, 3, 52, 12)


def test_each_blob_is_a_point():
    points = annotation(drawing((ORANGE, 4, 10, 8, 12), (ORANGE, 20, 20, 21, 21), (BLUE, 50, 30, 52, 34)), 'points')
    assert points == pj.Points([(6, 11), (20.5, 20.5)], [(51, 32)])


def test_an_outline_is_filled():
    outline = drawing((ORANGE, 5, 5, 30, 25))
    outline[8:20, 8:25] = 0
    wanted = np.zeros((40, 60), bool)
    wanted[5:25, 5:30] = True
    np.testing.assert_array_equal(annotation(outline, 'mask'), wanted)


@pytest.mark.parametrize('kind', ['scribble', 'box', 'points', 'mask'])
def test_something_must_be_drawn_on_the_class(kind):
    for drawn in (drawing(), drawing((BLUE, 1, 1, 9, 9))):
        with pytest.raises(pj.InputError, match='Nothing is drawn on the class yet'):
            annotation(drawn, kind)


@pytest.mark.parametrize('kind', ['box', 'mask'])
def test_background_is_not_ignored_silently(kind):
    with pytest.raises(pj.InputError, match=f'A {kind} is drawn in orange alone'):
        annotation(drawing((ORANGE, 1, 1, 9, 9), (BLUE, 20, 20, 29, 29)), kind)


@pytest.fixture
def without(narrow_params):
    return pj.Segmenter(narrow_params, size=65, batch=2)


@pytest.fixture
def session(without, tmp_path):
    return Session(without, tmp_path)


def photo(folder, name='query.png', seed=9):
    path = folder / name
    Image.fromarray(draw_disc(seed)[0]).save(path)
    return path


def test_a_session_finds_what_the_segmenter_finds(session, without, tmp_path):
    red, mask = draw_disc(0)
    blue, _ = draw_disc(1, colour=(20, 60, 240))
    session.add(' cat ', red, mask)
    session.add('dog', blue, pj.Box(20, 10, 40, 30))
    path = photo(tmp_path)
    assert session.segment([path]) == []
    (found,) = session.found
    wanted = copy.copy(without).fit({'cat': [(red, mask)], 'dog': [(blue, (20, 10, 40, 30))]}).predict(path)
    np.testing.assert_array_equal(Image.open(found.labels), wanted.labels)
    with Image.open(found.overlay) as overlay:
        assert overlay.size == (60, 40)
    assert class_heat_map(found, 'dog').shape == (40, 60, 3)
    assert without.classes == ()


def test_removing_references_leaves_the_others(session):
    for name, seed in (('cat', 0), ('dog', 1), ('cat', 2)):
        session.add(name, *draw_disc(seed))
    session.remove(0)
    assert session.classes == ('dog', 'cat')
    pictures, names = zip(*session.thumbnails(), strict=True)
    assert names == ('dog', 'cat')
    for way, picture in enumerate(pictures, 1):
        assert picture.shape == (40, 60, 3)
        reddish = np.abs(picture[20, 30] - (0.35 * np.array([220, 40, 30]) + 0.65 * way_colour(way)))
        assert reddish.max() < 2
    session.remove_all()
    assert (session.classes, session.references) == ((), [])


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
    complaints = session.segment([tmp_path / 'torn.png', photo(tmp_path)])
    assert [found.path.name for found in session.found] == ['query.png']
    assert complaints == ['torn.png is no image that Pillow knows; replace it or leave it out.']


def test_results_go_with_their_references_and_files_with_the_session(session, tmp_path):
    session.add('cat', *draw_disc(0))
    session.segment([photo(tmp_path)])
    session.segment([photo(tmp_path, 'other.png')])
    assert {path.name for path in session.folder.iterdir()} == {'other.png', 'other-overlay.jpg'}
    session.close()
    assert not session.folder.exists()


def test_the_example_shows_two_classes(tmp_path):
    references = example_references()
    assert [name for name, *_ in references] == ['heart', 'gear']
    assert len(example_queries(tmp_path)) == len(list(tmp_path.iterdir())) == 3


def test_without_gradio_there_is_one_sentence(monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name, *rest: None if name == 'gradio' else find(name, *rest))
    monkeypatch.setattr('sys.argv', ['panet-jax', 'demo'])
    with pytest.raises(SystemExit) as ended:
        cli.run()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "panet_jax: the page needs Gradio; install it with: pip install 'panet-jax[demo]'\n"
