"""Which classes the drafts of a review have: those that `panet-jax predict` decided, and what a person said since."""

import contextlib
import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from drawn import color_params, draw_disc
from PIL import Image

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.demo_page.review.desk import Desk
from panet_jax.commands.demo_page.session import Session
from panet_jax.method.answers import FOLDER_ABOVE
from panet_jax.segmenter.review.deciding import decide
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.review.open import open_project

COLORS = {'cat': (220, 40, 30), 'dog': (20, 60, 240)}
COUNT = 10  # photographs: the even ones show a cat, the odd ones a dog


@pytest.fixture(scope='module')
def photos(tmp_path_factory, narrow_params):
    """A folder with in/, references of a cat and a dog, and out/, for which `panet-jax predict` decided."""
    folder = tmp_path_factory.mktemp('photos')
    pj.save_encoder_params(folder / 'color.safetensors', color_params(narrow_params))
    for name, color in COLORS.items():
        for seed in range(2):
            image, mask = draw_disc(seed, color=color)
            Image.fromarray(image).save(folder / f'{name}{seed}.png')
            Image.fromarray(mask).save(folder / f'{name}{seed}-mask.png')
    (folder / 'in').mkdir()
    for number in range(COUNT):
        image, _ = draw_disc(20 + number, color=list(COLORS.values())[number % 2])
        Image.fromarray(image).save(folder / 'in' / f'{number}.png')
    predict(folder)
    return folder


def predict(folder, *more):
    supports = [f'--support={name}={name}{seed}.png:{name}{seed}-mask.png' for name in COLORS for seed in range(2)]
    words = ['--weights=color.safetensors', '--size=65', *supports, '--query=in', '--out=out', *more]
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as ended:
        cli.run(['predict', *words])
    assert ended.value.code == 0


def replace_photos(folder):
    """Puts a single photograph, more.png, in place of those that `predict` takes."""
    (folder / 'in').rename(folder / 'first')
    (folder / 'in').mkdir()
    Image.fromarray(draw_disc(90, color=COLORS['cat'])[0]).save(folder / 'in' / 'more.png')


@pytest.fixture
def folder(photos, tmp_path):
    shutil.copytree(photos, tmp_path / 'copy')
    return tmp_path / 'copy' / 'out'


def drafting(folder):
    weights = folder.parent / 'color.safetensors'
    return Drafting(open_project(folder), pj.Segmenter.load(folder / 'references.safetensors', weights=weights))


def classes_of(project):
    """{name: classes that the draft has}."""
    return {stem: set(image.entry['expected_iou']) for stem, image in project.images.items()}


def entries_of(folder):
    results = json.loads((folder / 'predictions.json').read_text())
    return {Path(entry['labels']).stem: entry for entry in results['images']}, results['runs']


def last_run(project):
    return project.results['runs'][-1]


def test_drafts_that_are_made_anew_have_the_classes_that_predict_decided(folder):
    work = drafting(folder)
    project, before = work.project, classes_of(work.project)
    assert before == {str(number): {('cat', 'dog')[number % 2]} for number in range(COUNT)}
    for stem in ('0', '1'):
        project.use_as_reference(stem, project.labels(stem))
        assert {error for _, error in work.segment()} == {None}
        assert classes_of(project) == before
        assert not (project.labels('4') == 2).any()
    entries, runs = entries_of(folder)
    assert (runs[-1]['present_above'], runs[-1]['decided_by']) == (FOLDER_ABOVE, 'folder')
    assert {run['id'] for run in runs} == {entry['run'] for entry in entries.values()}
    assert all(entry.keys() >= {'presence', 'presence_after'} for entry in entries.values())
    again = drafting(folder)
    assert again.outdated() == []
    assert again.project.images == project.images


def test_a_run_that_took_every_class_everywhere_stays_so(folder):
    predict(folder.parent, '--all-present')
    work = drafting(folder)
    work.project.use_as_reference('0', work.project.labels('0'))
    list(work.segment())
    assert set(map(frozenset, classes_of(work.project).values())) == {frozenset(COLORS)}
    assert entries_of(folder)[1][-1]['decided_by'] is None


def test_a_threshold_of_photographs_alone_is_kept_until_something_is_known(folder):
    predict(folder.parent, '--present-above=0.5')
    work = drafting(folder)
    decided = decide(work.project, work.segmenter.references, last_run(work.project))
    assert not decided.by_folder
    for stem, image in work.project.images.items():
        assert decided.classes[stem] == {name: value >= 0.5 for name, value in image.entry['presence'].items()}
    work.project.accept('0', work.project.labels('0'))
    assert decide(work.project, work.segmenter.references, last_run(work.project)).by_folder


def test_without_the_reference_drafts_are_decided_as_before(folder):
    predict(folder.parent, '--present-above=0.3')
    work = drafting(folder)
    before = {stem: work.project.labels(stem).tobytes() for stem in work.project.images}
    labels = np.zeros_like(work.project.labels('0'))
    labels[:20] = 1
    work.project.use_as_reference('0', labels)
    list(work.segment())
    assert entries_of(folder)[1][-1]['decided_by'] == 'folder'
    work.project.undo()
    list(work.segment())
    assert {stem: work.project.labels(stem).tobytes() for stem in work.project.images} == before
    assert entries_of(folder)[1][-1]['decided_by'] == 'photograph'


def test_what_is_accepted_or_cleared_counts_as_answers_do(folder):
    work = drafting(folder)
    project, references = work.project, work.segmenter.references
    project.accept('0', np.zeros_like(project.labels('0')))
    project.accept('1', project.labels('1'))
    project.correct('2', np.zeros_like(project.labels('2')))  # the cat is cleared; of the dog nothing is said
    project.accept('3', project.labels('3'))
    project.reject('3')
    answers = {'0': {'cat': False, 'dog': False}, '1': {'cat': False, 'dog': True}, '2': {'cat': False}}
    decided = decide(project, references, last_run(project))
    assert {stem: decided.classes[stem] | own for stem, own in answers.items()} == {
        stem: decided.classes[stem] for stem in answers
    }
    before, _ = entries_of(folder)
    (folder / 'answers.json').write_text(json.dumps(answers))
    predict(folder.parent)
    after, _ = entries_of(folder)
    for stem, entry in after.items():
        assert decided.entries[stem]['presence_after'] == pytest.approx(entry['presence_after'], abs=1e-3)
    assert any(after[stem]['presence_after'] != before[stem]['presence_after'] for stem in after)


def test_answers_of_predict_are_known_in_the_review(folder):
    (folder / 'answers.json').write_text('{"4": {"cat": false, "dog": true}}')
    predict(folder.parent)
    work = drafting(folder)
    work.project.use_as_reference('0', work.project.labels('0'))
    list(work.segment())
    assert classes_of(work.project)['4'] == {'dog'}
    assert entries_of(folder)[0]['4']['answers'] == {'cat': False, 'dog': True}


def test_references_that_cannot_decide_keep_the_classes_of_the_drafts(folder):
    work = drafting(folder)
    references = dataclasses.replace(work.segmenter.references, evidence=None)
    work.project.accept('0', work.project.labels('0'))
    decided = decide(work.project, references, last_run(work.project))
    assert not decided.by_folder
    assert decided.classes['3'] == {'cat': False, 'dog': True}


@pytest.mark.exhaustive
def test_pictures_without_any_class_and_switches_move_into_the_review(photos, tmp_path):
    pytest.importorskip('gradio')
    from panet_jax.commands.demo_page.review import actions

    segmenter = pj.Segmenter(photos / 'color.safetensors', size=65)
    session = Session(segmenter, tmp_path)
    for name in COLORS:
        picture, mask = (np.asarray(Image.open(photos / f'{name}0{part}.png')) for part in ('', '-mask'))
        session.add(name, picture, mask)
    session.queries = [photos / f'in/{number}.png' for number in range(3)]
    session.segment()
    session.add_negative(1)
    session.switch(2, 'dog', on=False)
    work = Drafting(open_project(tmp_path / 'new'), segmenter)
    desk = Desk(work, tmp_path)
    actions.take_over(desk, session)
    assert sorted(work.segment()) == [('0', None), ('1', None), ('2', None)]
    assert classes_of(work.project) == {'0': set(COLORS), '1': set(), '2': {'cat'}}
    assert not work.project.labels('1').any()
    again = open_project(tmp_path / 'new')
    assert again.answers() == {'1': {'cat': False, 'dog': False}, '2': {'dog': False}}


def test_a_run_of_which_there_are_results_stays_after_a_review_and_another_run(folder):
    predict(folder.parent, '--present-above=0.3')
    work = drafting(folder)
    work.project.accept('0', work.project.labels('0'))
    image, _ = draw_disc(91, color=COLORS['dog'])
    Image.fromarray(image).save(folder.parent / 'new.png')
    work.project.add_photos([folder.parent / 'new.png'])
    list(work.segment())  # compares the photographs with each other, and leaves the drafts of the others
    before, _ = entries_of(folder)
    replace_photos(folder.parent)
    predict(folder.parent, '--present-above=0.3')
    entries, runs = entries_of(folder)
    assert {*before, 'more'} == set(entries)
    assert {entry['run'] for entry in entries.values()} <= {run['id'] for run in runs}


def test_a_run_of_an_earlier_version_stays_as_long_as_it_has_results(folder):
    predict(folder.parent, '--present-above=0.3')
    results = json.loads((folder / 'predictions.json').read_text())
    for run in results['runs']:
        del run['decided_by']
    (folder / 'predictions.json').write_text(json.dumps(results))
    replace_photos(folder.parent)
    predict(folder.parent, '--present-above=0.4')
    entries, runs = entries_of(folder)
    assert {entry['run'] for entry in entries.values()} <= {run['id'] for run in runs}


def test_what_a_correction_decided_goes_with_it(folder):
    predict(folder.parent, '--present-above=0.3')
    work = drafting(folder)
    labels = np.zeros_like(work.project.labels('0'))
    labels[:20] = 1
    work.project.use_as_reference('0', labels)
    list(work.segment())
    assert any('presence_after' in entry for entry in entries_of(folder)[0].values())
    work.project.undo()
    list(work.segment())
    assert not any('presence_after' in entry for entry in entries_of(folder)[0].values())


def test_answers_for_results_without_a_record_are_no_mistake(folder):
    (folder / 'answers.json').write_text('{"3": {"dog": true}}')
    (folder / 'objects' / '3.json').unlink()
    project = open_project(folder)
    assert '3' not in project.images
    assert project.answers() == {'3': {'dog': True}}
