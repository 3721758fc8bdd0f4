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
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.review.exporting import export_project
from panet_jax.segmenter.review.label_files import read_labels, write_labels
from panet_jax.segmenter.review.project import STEPS, open_project
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


def test_photographs_and_references_can_be_added_to_a_new_project(drafts, tmp_path):
    project = open_project(tmp_path / 'new')
    segmenter = pj.Segmenter(drafts / 'narrow.safetensors', size=33)
    work = Drafting(project, segmenter)
    project.add_photos([drafts / 'in/a.png', drafts / 'in/b.png'])
    project.add_photos([drafts / 'in/a.png'])
    segmenter.fit({'cat': [(drafts / 'ref.png', drafts / 'mask.png')]})
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
    with pytest.raises(pj.InputError, match='cannot be opened as a project'):
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
