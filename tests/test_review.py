"""The review of drafts: the steps of an image, the folder that keeps them, and what is made of it."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from drawn import draw_disc
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools.coco import COCO

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.demo_page.review.desk import Desk
from panet_jax.commands.demo_page.review.pictures import thumbnail
from panet_jax.commands.demo_page.review.strokes import Stroke, changed_labels, drawn_region, points_in, read_stroke
from panet_jax.disk.locks import holding
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.review.exporting import export_project
from panet_jax.segmenter.review.label_files import read_labels, write_labels
from panet_jax.segmenter.review.open import open_project
from panet_jax.segmenter.review.project import LOCK, STEPS
from panet_jax.segmenter.review.steps import MOST_STEPS, Review, least_iou

STEMS = ['a', 'b', 'c', 'd']
METHODS = [Review.accept, Review.reject, Review.correct, Review.use_as_reference]


def after(*methods):
    review = Review()
    for number, method in enumerate(methods, 1):
        review = method(review, number)
    return review


def test_an_accepted_draft_has_its_labels_from_then_on():
    now = after(Review.accept).now
    assert (now.decision, now.labels, now.corrected) == ('accepted', 1, False)
    assert after(Review.accept, Review.accept).now.labels == 1


def test_a_correction_keeps_the_decision_but_a_rejected_image_is_to_do_again():
    assert after(Review.correct).now.decision == 'to do'
    assert after(Review.accept, Review.correct).now.decision == 'accepted'
    assert after(Review.reject, Review.correct).now.decision == 'to do'
    now = after(Review.correct, Review.accept).now
    assert (now.labels, now.corrected) == (1, True)


def test_a_reference_keeps_the_labels_it_was_made_of_and_can_be_given_up():
    assert after(Review.use_as_reference).now.reference == 1
    assert after(Review.use_as_reference, Review.correct).now.reference == 1
    assert after(Review.use_as_reference, Review.correct, Review.use_as_reference).now.reference == 2
    assert after(Review.use_as_reference, Review.use_as_reference).now.reference is None
    assert after(Review.use_as_reference, Review.reject).now.reference is None


@given(st.lists(st.sampled_from(METHODS), max_size=MOST_STEPS - 1))
def test_undo_goes_back_step_by_step(methods):
    reviews = [after(*methods[:count]) for count in range(len(methods) + 1)]
    review = reviews[-1]
    for earlier in reversed(reviews[:-1]):
        review = review.undo()
        assert review == earlier
    assert review.undo() == Review()
    assert reviews[-1].label_maps <= set(range(1, 1 + len(methods)))


def test_few_steps_are_kept():
    review = after(*[Review.correct] * (2 * MOST_STEPS))
    assert len(review.steps) == len(review.label_maps) == MOST_STEPS


def test_the_doubt_of_an_image_is_about_the_classes_it_shows():
    entry = {'expected_iou': {'cat': 0.8, 'dog': 0.3}, 'shares': {'cat': 0.2, 'dog': 0.0}}
    assert least_iou(entry) == 0.8
    assert least_iou({'shares': {'cat': 0.5}}) is None
    assert least_iou({**entry, 'shares': {'cat': 0, 'dog': 0}}) is None


def test_labels_keep_their_meaning_when_classes_come_in_another_order(tmp_path, rng):
    labels = rng.integers(0, 3, (9, 7), np.uint8)
    write_labels(tmp_path / 'a.png', labels, ['cat', 'dög'])
    np.testing.assert_array_equal(read_labels(tmp_path / 'a.png', ['cat', 'dög']), labels)
    swapped = read_labels(tmp_path / 'a.png', ['dög', 'cow', 'cat'])
    np.testing.assert_array_equal(swapped, np.array([0, 3, 1])[labels])
    (tmp_path / 'torn.png').write_bytes((tmp_path / 'a.png').read_bytes()[:60])
    with pytest.raises(pj.InputError, match=r'torn\.png is missing or damaged'):
        read_labels(tmp_path / 'torn.png', ['cat', 'dög'])


@pytest.fixture(scope='module')
def drafts(tmp_path_factory, narrow_params):
    """A folder with out/, which `panet-jax predict` wrote of four photographs in in/."""
    folder = tmp_path_factory.mktemp('drafts')
    pj.save_encoder_params(folder / 'narrow.safetensors', narrow_params)
    image, mask = draw_disc(9, (40, 60))
    Image.fromarray(image).save(folder / 'ref.png')
    Image.fromarray(mask).save(folder / 'mask.png')
    (folder / 'in').mkdir()
    for seed, stem in enumerate(STEMS):
        Image.fromarray(draw_disc(seed, (40, 60 + seed))[0]).save(folder / 'in' / f'{stem}.png')
    predict(folder, 'cat')
    return folder


def predict(folder, name):
    """Labels the photographs of a folder with its reference, which shows a class of this name."""
    words = f'--weights=narrow.safetensors --size=33 --support {name}=ref.png:mask.png --query in --out out'.split()
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as ended:
        cli.run(['predict', *words])
    assert ended.value.code == 0


@pytest.fixture
def folder(drafts, tmp_path):
    shutil.copytree(drafts, tmp_path / 'copy')
    return tmp_path / 'copy' / 'out'


def drafting(project):
    weights = project.folder.parent / 'narrow.safetensors'
    return Drafting(project, pj.Segmenter.load(project.folder / 'references.safetensors', weights=weights))


def half(project, stem):
    """Labels of an image: its upper half is a cat."""
    labels = np.zeros(project.images[stem].shape, np.uint8)
    labels[:20] = 1
    return labels


def state(project):
    return dict(project.reviews), {stem: project.labels(stem).tobytes() for stem in project.images}


def test_every_step_is_on_disk_at_once(folder):
    project = open_project(folder)
    assert list(project.images) == STEMS
    project.accept('a', project.labels('a'))
    project.reject('b')
    project.correct('c', half(project, 'c'))
    project.accept('c', project.labels('c'))
    project.use_as_reference('a', project.labels('a'))
    assert state(open_project(folder)) == state(project)
    assert [project.count(name) for name in ('to do', 'accepted', 'rejected')] == [1, 2, 1]
    assert project.ordered()[0] == 'd'
    assert project.ordered('rejected') == ['b']
    assert project.references == [('a', 1)]


def test_undo_of_all_steps_of_all_images_leaves_the_drafts_alone(folder):
    project = open_project(folder)
    before = state(project)
    for stem in ('a', 'b', 'a'):
        project.correct(stem, half(project, stem))
    project.reject('c')
    again = open_project(folder)
    assert [again.undo() for _ in range(5)] == ['c', 'a', 'b', 'a', None]
    assert state(again) == before == state(open_project(folder))
    assert not list(folder.glob('review/*/*.png'))


def test_a_number_that_was_taken_back_has_no_old_thumbnail(folder):
    project = open_project(folder)
    project.correct('a', half(project, 'a'))
    thumbnail = project.thumbnail_file('a')
    thumbnail.write_bytes(b'old')
    project.undo()
    assert project.thumbnail_file('a') != thumbnail
    project.correct('a', 1 - half(project, 'a'))
    assert project.thumbnail_file('a') == thumbnail
    assert not thumbnail.exists()


def test_the_most_doubtful_come_first(folder):
    project = open_project(folder)
    doubts = [least_iou(project.images[stem].entry) for stem in project.ordered()]
    assert doubts == sorted(doubts)
    project.reject(project.ordered()[0])
    assert project.reviews[project.ordered()[-1]].now.decision == 'rejected'


def test_a_folder_can_be_moved_with_its_photographs(folder, tmp_path):
    project = open_project(folder)
    project.correct('a', half(project, 'a'))
    expected = state(project)
    shutil.move(folder.parent, tmp_path / 'moved')
    moved = open_project(tmp_path / 'moved' / 'out')
    assert state(moved) == expected
    assert moved.images['a'].path == tmp_path / 'moved' / 'in' / 'a.png'


def test_a_reference_of_the_review_changes_the_drafts_to_do_and_no_others(folder):
    project = open_project(folder)
    work = drafting(project)
    assert work.outdated() == []
    project.accept('a', project.labels('a'))
    project.correct('b', half(project, 'b'))
    project.use_as_reference('c', half(project, 'c'))
    kept = {stem: project.labels(stem) for stem in 'abc'}
    assert list(work.segment()) == [('d', None)]
    for stem, labels in kept.items():
        np.testing.assert_array_equal(project.labels(stem), labels)
    segmenter = pj.Segmenter.load(folder / 'references.safetensors', weights=folder.parent / 'narrow.safetensors')
    segmenter.add('cat', folder.parent / 'in/c.png', half(project, 'c') == 1)
    np.testing.assert_array_equal(project.labels('d'), segmenter.predict(folder.parent / 'in/d.png').labels)
    assert open_project(folder).images == project.images
    assert drafting(open_project(folder)).outdated() == []


def test_a_reference_that_is_taken_back_changes_the_drafts_back(folder):
    project = open_project(folder)
    work, before = drafting(project), state(project)
    project.use_as_reference('c', half(project, 'c'))
    assert {stem for stem, _ in work.segment()} == set('abd')
    project.undo()
    assert set(work.outdated()) == set('abd')
    list(work.segment())
    assert state(project) == before


def test_what_was_not_segmented_when_the_server_ended_is_segmented_later(folder):
    project = open_project(folder)
    project.use_as_reference('c', half(project, 'c'))
    steps = drafting(project).segment()
    first, _ = next(steps)
    steps.close()
    later = drafting(open_project(folder))
    assert set(later.outdated()) == set('abd') - {first}


def test_a_draft_that_was_decided_meanwhile_is_not_replaced(folder):
    project = open_project(folder)
    project.use_as_reference('c', half(project, 'c'))
    steps = drafting(project).segment()
    first, _ = next(steps)
    stem = next(stem for stem in 'abd' if stem != first)
    seen = project.labels(stem)
    project.accept(stem, seen)
    list(steps)
    np.testing.assert_array_equal(project.labels(stem), seen)


def test_segmenting_ends_when_the_references_change_again(folder):
    project = open_project(folder)
    project.use_as_reference('c', half(project, 'c'))
    work = drafting(project)
    steps = work.segment()
    first, _ = next(steps)
    other = next(stem for stem in 'abd' if stem != first)
    project.use_as_reference(other, half(project, other))
    assert list(steps) == []
    assert {stem for stem, _ in work.segment()} == set('abd') - {other}
    assert work.outdated() == []


def test_photographs_and_references_can_be_added_to_a_new_project(drafts, tmp_path):
    project = open_project(tmp_path / 'new')
    segmenter = pj.Segmenter(drafts / 'narrow.safetensors', size=33)
    work = Drafting(project, segmenter)
    project.add_photos([drafts / 'in/a.png', drafts / 'in/b.png'])
    project.add_photos([drafts / 'in/a.png'])
    segmenter.fit({'cat': [(drafts / 'ref.png', drafts / 'mask.png')]}).add_negative(drafts / 'in/b.png')
    work.add_references(segmenter.references)
    assert sorted(work.segment()) == [('a', None), ('a-2', None), ('b', None)]
    np.testing.assert_array_equal(project.labels('b'), segmenter.predict(drafts / 'in/b.png').labels)
    again = open_project(tmp_path / 'new')
    assert (state(again), again.classes) == (state(project), ('cat',))
    assert drafting_of_new(again, drafts).outdated() == []


def drafting_of_new(project, drafts):
    references = project.folder / 'references.safetensors'
    return Drafting(project, pj.Segmenter.load(references, weights=drafts / 'narrow.safetensors'))


def test_the_same_predict_command_leaves_decisions_alone(folder):
    project = open_project(folder)
    project.correct('a', half(project, 'a'))
    predict(folder.parent, 'dog')
    again = open_project(folder)
    assert again.classes == ('dog', 'cat')
    np.testing.assert_array_equal(again.labels('a'), 2 * half(project, 'a'))


def test_an_export_has_the_accepted_images_pixel_by_pixel(folder):
    project = open_project(folder)
    project.correct('a', half(project, 'a'))
    project.accept('a', project.labels('a'))
    project.accept('b', project.labels('b'))
    project.reject('c')
    assert export_project(project, folder / 'export', ['coco', 'yolo', 'voc', 'label-studio', 'tiff']) == []
    for to_do, names in ((False, 'ab'), (True, 'abd')):
        export_project(project, folder / 'export', ['coco'], to_do=to_do)
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(folder / 'export/annotations.json')
        assert [image['file_name'] for image in coco.imgs.values()] == [f'{name}.png' for name in names]
        for number, image in coco.imgs.items():
            labels = np.zeros((image['height'], image['width']), np.uint8)
            for one in coco.imgToAnns[number]:
                labels[coco.annToMask(one) == 1] = one['category_id']
            np.testing.assert_array_equal(labels, project.labels(image['file_name'][0]))


def test_an_export_of_nothing_says_so(folder):
    project = open_project(folder)
    with pytest.raises(pj.InputError, match='No image is accepted yet'):
        export_project(project, folder / 'export', ['coco'])
    project.accept('a', project.labels('a'))
    with pytest.raises(pj.InputError, match='Choose a format'):
        export_project(project, folder / 'export', [])


def test_mistakes_are_told_in_a_sentence(folder, tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/letter.txt').write_text('dear')
    with pytest.raises(pj.InputError, match=r'holds letter\.txt, but no results of panet-jax predict'):
        open_project(tmp_path / 'other')
    with pytest.raises(pj.InputError, match='is a file, and no folder'):
        open_project(tmp_path / 'other/letter.txt')
    project = open_project(folder)
    with pytest.raises(pj.InputError, match='without any class'):
        project.use_as_reference('a', np.zeros(project.images['a'].shape, np.uint8))
    project.reject('a')
    (folder / 'review/a' / STEPS).write_text(json.dumps({'steps': [{'colour': 1}]}))
    with pytest.raises(pj.InputError, match=r'steps\.json cannot be read'):
        open_project(folder)


def test_a_folder_without_its_references_says_what_to_type(folder):
    (folder / 'references.safetensors').unlink()
    project = open_project(folder)
    work = Drafting(project, pj.Segmenter(folder.parent / 'narrow.safetensors', size=33))
    project.use_as_reference('a', half(project, 'a'))
    with pytest.raises(pj.InputError, match='type the command that wrote it once more'):
        list(work.segment())


def stroke(tool='brush', points=((0.5, 0.5),), **more):
    return {'number': 1, 'stem': 'a', 'tool': tool, 'mode': 'add', 'points': points, 'width': 0.1} | more


def region(shape, **about):
    return drawn_region(Stroke(**stroke(**about)), shape, lambda points: np.full(shape, len(points) == 2))


def test_a_brush_is_a_disc_or_a_line_of_its_width():
    disc = region((40, 60), points=[(0.5, 0.5)], width=0.2)
    distance = np.hypot(*(np.indices((40, 60)) + 0.5 - np.array([20, 30])[:, None, None]))
    assert disc[distance < 5.5].all()
    assert not disc[distance > 7].any()
    line = region((40, 60), points=[(0.2, 0.5), (0.8, 0.5)])
    assert line[20, 12:48].all()
    assert 6 <= line[:, 30].sum() <= 8


def test_an_outline_is_the_polygon_of_its_points():
    square = [(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)]
    mask = region((40, 80), tool='outline', points=square)
    expected = np.zeros((40, 80), bool)
    expected[10:30, 20:60] = True
    assert (mask != expected).sum() <= 2 * (20 + 40)  # its rim
    assert not region((40, 80), tool='outline', points=square[:2]).any()


def test_clicks_are_understood_and_lie_in_the_image():
    assert region((4, 6), tool='click', points=[(0, 0), (1, 1)]).all()
    assert points_in((40, 60), [(-1, 0.5), (2, 1)]) == pj.Points([(0, 19.5), (59, 39)])


def test_a_class_takes_from_others_and_gives_to_the_background():
    labels = np.array([[0, 1, 2, 2]], np.uint8)
    everywhere = np.ones((1, 4), bool)
    np.testing.assert_array_equal(changed_labels(labels, everywhere, 1, 'add'), [[1, 1, 1, 1]])
    np.testing.assert_array_equal(changed_labels(labels, everywhere, 2, 'remove'), [[0, 1, 0, 0]])


@pytest.mark.parametrize(
    'wrong',
    [{'tool': 'saw'}, {'mode': 'keep'}, {'points': []}, {'points': [[1, None]]}, {'width': 'wide'}, {'more': 1}],
)
def test_what_is_no_stroke_is_refused(wrong):
    assert read_stroke(json.dumps(stroke())).points == [(0.5, 0.5)]
    with pytest.raises(pj.InputError, match='could not be read'):
        read_stroke(json.dumps(stroke() | wrong))
    with pytest.raises(pj.InputError, match='could not be read'):
        read_stroke(None)


@pytest.fixture
def desk(folder):
    return Desk(drafting(open_project(folder)), folder.parent)


def test_accepting_and_rejecting_go_to_the_next_image_to_do(desk):
    first, second, _, fourth = desk.stems
    desk.accept()
    assert desk.stem == second
    desk.go_on()
    desk.reject()
    assert desk.stem == fourth
    desk.accept()
    assert desk.stem == second, 'the one that was passed over'
    desk.accept()
    assert desk.stem == second, 'nothing is left to do'
    assert desk.undo()
    assert desk.stem == second
    desk.go(-9)
    assert desk.stem == first
    assert desk.project.count('to do') == 1


def test_what_is_drawn_is_in_the_labels_at_once(desk, folder):
    stem = desk.stem
    desk.correct(Stroke(**stroke(stem=stem, mode='remove', width=9)), 'cat')
    assert not desk.labels.any()
    desk.correct(Stroke(**stroke('outline', [(0, 0), (1, 0), (1, 0.5), (0, 0.5)], stem=stem)), 'cat')
    assert desk.labels[:19].all()
    assert not desk.labels[22:].any()
    np.testing.assert_array_equal(open_project(folder).labels(stem), desk.labels)
    with pytest.raises(pj.InputError, match='there is no cat here'):
        desk.correct(Stroke(**stroke(points=[(0.5, 0.9)], stem=stem, mode='remove', width=0.01)), 'cat')
    with pytest.raises(pj.InputError, match='Choose a class'):
        desk.correct(Stroke(**stroke(stem=stem)), None)


def test_a_class_is_cleared_from_an_image_and_comes_back(desk, folder):
    stem, before = desk.stem, desk.labels.copy()
    assert before.any()
    desk.clear('cat')
    assert not desk.labels.any()
    assert not open_project(folder).labels(stem).any()
    for name, sentence in (('cat', 'Nothing has changed: there is no cat'), (None, 'Choose a class')):
        with pytest.raises(pj.InputError, match=sentence):
            desk.clear(name)
    assert desk.undo()
    np.testing.assert_array_equal(desk.labels, before)


def test_a_stroke_that_comes_late_belongs_to_the_image_it_was_drawn_on(desk):
    first = desk.stem
    desk.accept()
    shown = desk.labels.copy()
    desk.correct(Stroke(**stroke(stem=first, mode='remove', width=9)), 'cat')
    assert not desk.project.labels(first).any()
    assert desk.project.reviews[first].now.decision == 'accepted'
    np.testing.assert_array_equal(desk.labels, shown)


def test_a_click_gives_the_region_that_the_segmenter_understands(desk, folder):
    image = desk.project.images[desk.stem]
    desk.correct(Stroke(**stroke(stem=desk.stem, mode='remove', width=9)), 'cat')
    desk.correct(Stroke(**stroke('click', stem=desk.stem)), 'cat')
    height, width = image.shape
    points = pj.Points([((width - 1) / 2, (height - 1) / 2)])
    expected = desk.drafting.segmenter.understood(image.path, points)
    np.testing.assert_array_equal(desk.labels == 1, expected)


def test_a_reference_is_reviewed_and_the_next_one_shown(desk):
    first, second, *_ = desk.stems
    desk.use_as_reference()
    assert (desk.stem, desk.project.references) == (second, [(first, 1)])
    desk.show(first)
    desk.use_as_reference()
    assert (desk.stem, desk.project.references) == (first, [])


def test_the_newest_page_goes_on_and_the_other_says_so(desk):
    newer = Desk(desk.drafting, desk.folder)
    for action in (desk.accept, desk.reject, desk.undo, desk.use_as_reference):
        with pytest.raises(pj.InputError, match='opened in another tab'):
            action()
    newer.accept()


def test_a_photograph_that_is_gone_is_told_and_its_labels_stay(desk, folder):
    shutil.rmtree(folder.parent / 'in')
    gone = Desk(desk.drafting, folder)
    assert 'a.png' in gone.complaint or gone.stem != 'a'
    assert gone.picture().startswith(b'\xff\xd8')
    gone.accept()
    assert thumbnail(gone.project, gone.stem).exists()


def test_the_list_may_hold_only_what_is_to_do(desk):
    first = desk.stem
    desk.accept()
    desk.sort('accepted')
    assert desk.stems == [desk.stem] == [first]
    desk.sort('rejected')
    assert (desk.stems, desk.stem) == ([], None)
    with pytest.raises(pj.InputError, match='no image here'):
        desk.accept()
    desk.sort()
    assert desk.stems[-1] == first


def test_a_long_list_is_shown_in_pages(desk):
    shown, names = desk.stem, [f'z{number}' for number in range(250)]
    desk.stems = [*names[:149], shown, *names[149:]]
    assert desk.stems[desk.page] == [*names[100:149], shown, *names[149:199]]
    desk.stems = [*names[:248], shown]
    assert desk.stems[desk.page] == [*names[200:248], shown]
    desk.stems = [shown]
    assert desk.stems[desk.page] == [shown]


def test_a_thumbnail_is_made_once_for_each_version(desk):
    stem = desk.stem
    path = thumbnail(desk.project, stem)
    time = path.stat().st_mtime_ns
    desk.accept()
    desk.show(stem)
    assert thumbnail(desk.project, stem) != path
    desk.undo()
    assert thumbnail(desk.project, stem) == path
    assert path.stat().st_mtime_ns != time, 'only the newest is kept'
    with Image.open(path) as picture:
        assert max(picture.size) <= 160


def test_another_program_cannot_open_the_project_meanwhile(folder, capsys):
    pytest.importorskip('gradio')
    with holding(folder / LOCK), pytest.raises(SystemExit) as ended:
        cli.run(['demo', f'--project={folder}'])
    assert ended.value.code == 2
    assert f'another panet-jax demo has {folder} open' in capsys.readouterr().err


def test_a_new_project_is_told(tmp_path, capsys):
    pytest.importorskip('gradio')
    with holding(tmp_path / 'labled' / LOCK), pytest.raises(SystemExit):
        cli.run(['demo', f'--project={tmp_path / "labled"}'])
    assert f'{tmp_path / "labled"} is a new project' in capsys.readouterr().out
