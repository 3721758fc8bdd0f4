"""Answers of a user: what they say of other photographs, the questions of `panet-jax predict --review`, and what they change."""

import io
import json
import shutil
import types
from pathlib import Path

import answers as benchmark
import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image
from scipy import special

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.answers import ask
from panet_jax.method.answers import (
    FOLDER_ABOVE,
    FOLDER_IMAGES,
    LEAST_SHARE,
    UNKNOWN,
    descriptor,
    next_question,
    presence_after,
)
from panet_jax.segmenter.kept_answers import read_answers

COLORS = {'red': (220, 40, 30), 'blue': (20, 60, 240)}


@pytest.fixture
def folder(rng):
    """Of 40 photographs the first 10 show the class, and look alike: presence, descriptors; those of 3 references."""
    centers = np.r_[
        np.tile([[3.0, 1, 1, 1]], (10, 1)), np.tile([[1.0, 1, 1, 3]], (30, 1)), np.tile([[3.0, 1, 1, 1]], (3, 1))
    ]
    vectors = np.maximum(centers + rng.normal(scale=0.5, size=centers.shape), 0)
    presence = rng.uniform(0.02, 0.1, (40, 1))
    return presence, vectors[:40], vectors[40:], np.ones((3, 1), bool)


def after(folder, **answers):
    """[40] probabilities after {yes, no: places} of answers."""
    presence, *more = folder
    known = np.full((40, 1), UNKNOWN)
    known[answers.get('yes', [])] = 1
    known[answers.get('no', [])] = 0
    return presence_after(presence, known, *more)[:, 0]


def test_answers_raise_and_lower_what_looks_alike_and_all(folder):
    none, yes, no = after(folder), after(folder, yes=[0, 1]), after(folder, no=[0, 1])
    assert ((none > 0) & (none < 1)).all()
    gains = special.logit(yes) - special.logit(none)
    assert (gains > 0).all()
    assert gains[2:10].mean() > gains[10:].mean()
    assert (no < none).all()
    many = after(folder, yes=range(0, 6), no=range(10, 20))
    assert many[6:10].min() > many[20:].max()
    assert (after(folder, yes=range(10))[:10] > 0.9).all()  # all of them show it


def test_without_references_or_answers_of_a_class_it_keeps_its_presence():
    presence = np.array([[0.3], [0.1]])
    nothing = presence_after(presence, np.full((2, 1), UNKNOWN), np.eye(2), np.ones((1, 2)), np.zeros((1, 1), bool))
    np.testing.assert_allclose(nothing, presence)
    certain = presence_after(
        np.array([[0.0], [1.0]]), np.array([[1], [0]]), *([np.ones((2, 3))] * 2), np.ones((2, 1), bool)
    )
    assert np.isfinite(certain).all()


def test_probabilities_of_a_class_that_are_all_small_are_raised_alike(folder):
    presence, descriptors, references, shown = folder
    nothing = np.full((40, 2), UNKNOWN)
    small = np.concatenate([presence, special.expit(special.logit(presence) - 4)], 1)
    likely = presence_after(small, nothing, descriptors, references, np.repeat(shown, 2, 1))
    np.testing.assert_allclose(likely[:, 1].mean(), LEAST_SHARE, rtol=1e-6)
    np.testing.assert_allclose(np.ptp(special.logit(likely[:, 0]) - special.logit(likely[:, 1])), 0, atol=1e-9)
    assert likely[:10, 1].min() > LEAST_SHARE > likely[10:, 1].max()


def test_an_image_is_described_by_its_strong_features():
    features = np.zeros((4, 4, 2), np.float32)
    features[0, 0, 0], features[..., 1] = 2, -1
    np.testing.assert_allclose(descriptor(features), [2 / 16 ** (1 / 3), 0], rtol=1e-5)


def test_the_next_question_is_about_the_open_one_nearest_to_the_threshold():
    presence = np.array([0.8, 0.31, 0.28, 0.02])
    assert next_question(presence, np.ones(4, bool), 0.3) == 1
    assert next_question(presence, np.array([True, False, True, True]), 0.3) == 2
    assert next_question(presence, np.array([True, False, False, True]), 0.3) == 0


NAMES = 'a', 'b'


def asked(words, out, answers, most=5):
    """The questions that are asked, if these words are typed."""
    questions, typed = [], iter(words)
    rows = {Path(f'{name}.jpg'): {'cat': cat, 'dog': 0.5} for name, cat in zip(NAMES, (0.16, 0.1), strict=True)}
    decision = types.SimpleNamespace(
        out=out,
        stems={path: path.stem for path in rows},
        references=types.SimpleNamespace(classes=('cat', 'dog')),
        above=0.15,
        answers=answers,
        probabilities=lambda _: rows,
    )

    def read(question):
        questions.append(question)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    ask(decision, {}, most=most, read=read)
    return questions


def test_questions_go_on_until_all_is_answered_skipped_or_enough(tmp_path):
    answers = {'b': {'dog': True}}
    questions = asked(['y', 'what?', ' N ', 's'], tmp_path, answers)
    assert [question.split(' (')[0] for question in questions] == [
        *('cat in a.jpg', 'cat in b.jpg', 'y, n, s or q: ', 'dog in a.jpg')
    ]
    assert answers == {'b': {'dog': True, 'cat': False}, 'a': {'cat': True}}
    assert read_answers(tmp_path, ('cat', 'dog'), NAMES) == answers
    answers = {}
    assert len(asked(['y', 'y'], tmp_path, answers, most=1)) == 2
    assert answers == {'a': {'cat': True, 'dog': True}}
    for words in (['n', 'q'], ['n']):  # q, and the end of the file
        answers = {}
        assert len(asked(words, tmp_path, answers)) == 2
        assert json.loads((tmp_path / 'answers.json').read_text()) == answers == {'a': {'cat': False}}


@pytest.mark.parametrize(
    ('text', 'sentence'),
    [
        ('{', r'answers\.json cannot be read'),
        ('{"a": true}', r'answers\.json cannot be read .*; wanted answers such as'),
        ('{"z": {"cat": true}}', "answers for 'z', but no results have that name"),
        ('{"a": {"cow": true}}', "answers for the class 'cow', but there are cat, dog"),
        ('{"a": {"cat": "y"}}', "must have true or false for 'cat' in 'a', got 'y'"),
    ],
)
def test_a_wrong_file_of_answers_is_refused(tmp_path, text, sentence):
    assert read_answers(tmp_path, ('cat', 'dog'), NAMES) == {}
    (tmp_path / 'answers.json').write_text(text)
    with pytest.raises(pj.InputError, match=sentence):
        read_answers(tmp_path, ('cat', 'dog'), NAMES)


@pytest.mark.exhaustive
def test_a_segmenter_takes_what_is_known_before_what_is_probable(narrow_params):
    pairs = {name: [draw_disc(seed, color=color) for seed in range(2)] for name, color in COLORS.items()}
    segmenter = pj.Segmenter(narrow_params, size=33, batch=2).fit(pairs)
    image = draw_disc(7, color=COLORS['red'])[0]
    alone = pj.Segmenter(segmenter.network, size=33).fit({'red': pairs['red']})
    for present_above, answers, taken in (
        (1.0, {'red': True}, {'red'}),
        (0.0, {'red': False}, {'blue'}),
        (None, {'blue': False}, {'red'}),
    ):
        result = segmenter.predict(image, present_above=present_above, answers=answers)
        assert set(result.expected_iou) == taken
        assert all(result.shares[name] == 0 for name in set(pairs) - taken)
        assert (result.presence is None) == (result.descriptor is None) == (present_above is None)
    several = segmenter.predict([image, image], answers=[{}, {'red': False, 'blue': False}])
    np.testing.assert_array_equal(several[0].logits, segmenter.predict(image).logits)
    assert several[1].labels.max() == 0
    assert alone.predict(image, answers={'red': True}).labels.max() == 1
    for answers, sentence in (
        ({'cow': True}, "no class 'cow' to answer for; there are red, blue"),
        ({'red': 'no'}, "an answer must be True or False, got 'no' for 'red'"),
        ({'red': None}, "got None for 'red'; leave out what is not known"),
    ):
        with pytest.raises(pj.InputError, match=sentence):
            segmenter.predict(image, answers=answers)
        with pytest.raises(pj.InputError, match=sentence):  # before the first image
            segmenter.stream([image, image], answers=[{}, answers], on_error='yield')
    for images, answers, sentence in (
        ([image, image], [{}], r'one item for each of 2 image\(s\), got \[\{\}\]'),
        ([image, image], {'red': True, 'blue': True}, r'one item for each of 2 image\(s\), got \{'),
        (image, [{'red': True}], r"such as \{'cat': True\}, got \["),
    ):
        with pytest.raises(pj.InputError, match=sentence):
            segmenter.predict(images, answers=answers)


@pytest.fixture
def predict(current_folder, capsys, narrow_params):
    """Runs `panet-jax predict` on four photographs, with two references of each of two classes."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    (current_folder / 'photos').mkdir()
    options = ['--weights=narrow.safetensors', '--size=33', '--batch=1', '--query=photos', '--out=found']
    for name, color in COLORS.items():
        for seed in range(2):
            for array, file in zip(
                draw_disc(seed, color=color), (f'{name}{seed}.jpg', f'{name}{seed}.png'), strict=True
            ):
                Image.fromarray(array).save(file)
            Image.fromarray(draw_disc(5 + seed, color=color)[0]).save(f'photos/{name}-{seed}.png')
            options += ['--support', f'{name}={name}{seed}.jpg:{name}{seed}.png']

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(['predict', *options, *arguments])
        return ended.value.code, *capsys.readouterr()

    return run


@pytest.fixture
def saved(capsys):
    """Runs `panet-jax predict` on the photographs with what was saved as discs.safetensors."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(
                ['predict', '--segmenter=discs.safetensors', '--query=photos', '--batch=1', '--out=found', *arguments]
            )
        return ended.value.code, *capsys.readouterr()

    return run


def test_answers_in_the_folder_change_what_they_decide_and_nothing_else(predict, current_folder):
    found = current_folder / 'found'

    def entries():
        return {entry['labels']: entry for entry in json.loads((found / 'predictions.json').read_text())['images']}

    assert predict('--present-above=0')[0] == 0
    times = {path.name: path.stat().st_mtime_ns for path in found.glob('*.png')}
    before = entries()
    (found / 'answers.json').write_text('{"red-0": {"blue": false, "red": true}}')
    assert predict('--present-above=0')[0] == 0
    after = entries()
    assert after['red-0.png']['answers'] == {'blue': False, 'red': True}
    assert set(after['red-0.png']['expected_iou']) == {'red'}
    assert after['red-0.png']['shares']['blue'] == 0
    changed = {path.name for path in found.glob('*.png') if path.stat().st_mtime_ns != times[path.name]}
    assert changed == {'red-0.png'}
    for name in set(times) - changed:
        assert set(after[name].pop('presence_after')) == set(COLORS)
        assert after[name] == before[name]
    status, out, _ = predict('--present-above=0')
    assert (status, '4 image(s) were done before' in out, 'what is left out changes in' in out) == (0, True, False)
    (found / 'answers.json').unlink()
    assert predict('--present-above=0')[0] == 0
    assert entries() == before


def test_answers_alone_turn_the_decision_on(predict, current_folder):
    found = current_folder / 'found'
    assert predict()[0] == 0
    (found / 'answers.json').write_text(json.dumps({f'{name}-0': {name: True} for name in COLORS}))
    status, out, _ = predict()
    assert (
        status,
        f'with answers, a class is left out of images that show it with a probability below {FOLDER_ABOVE}' in out,
    ) == (0, True)
    results = json.loads((found / 'predictions.json').read_text())
    assert results['runs'][-1]['present_above'] == FOLDER_ABOVE
    for entry in results['images']:
        own = entry.get('answers', {})
        for name, value in entry['presence_after'].items():
            assert (name in entry['expected_iou']) == own.get(name, value >= FOLDER_ABOVE)
    assert any(entry['presence_after'] != entry['presence'] for entry in results['images'])


def test_of_a_folder_classes_are_left_out_of_photographs_unless_all_show_them(predict, current_folder):
    for seed in range(8):
        Image.fromarray(draw_disc(20 + seed, color=COLORS['red'])[0]).save(f'photos/more-{seed}.png')
    status, out, _ = predict()
    assert (status, f'show it with a probability below {FOLDER_ABOVE}; if every image' in out) == (0, True)
    assert '--review asks about a few images' in out
    results = json.loads((current_folder / 'found/predictions.json').read_text())
    assert results['runs'][-1]['present_above'] == FOLDER_ABOVE
    for entry in results['images']:
        assert {name for name, value in entry['presence_after'].items() if value >= FOLDER_ABOVE} == set(
            entry['expected_iou']
        )
    assert any(len(entry['expected_iou']) < 2 for entry in results['images'])
    for few in ('photos/red-0.png', 'photos/blue-0.png'):
        Path(few).rename(Path(few).name)
    Path('photos').rename('all')
    Path('photos').mkdir()
    for few in ('red-0.png', 'blue-0.png'):
        Path(few).rename(Path('photos') / few)
    status, out, _ = predict()
    assert (status, f'fewer than {FOLDER_IMAGES} images were taken to show every class' in out) == (0, True)
    for path in Path('all').iterdir():
        path.rename(Path('photos') / path.name)
    status, out, _ = predict('--all-present')
    assert (status, 'left out' in out) == (0, False)
    results = json.loads((current_folder / 'found/predictions.json').read_text())
    assert all(set(entry['expected_iou']) == set(COLORS) for entry in results['images'])
    assert results['runs'][-1]['present_above'] is None


def test_what_a_comparison_of_all_photographs_changes_is_said_without_answers(predict, monkeypatch):
    for seed in range(8):
        Image.fromarray(draw_disc(20 + seed, color=COLORS['red'])[0]).save(f'photos/more-{seed}.png')
    monkeypatch.setattr('panet_jax.segmenter.comparison.class_probabilities', lambda *_: np.full(2, 0.01))
    _, out, _ = predict()
    assert 'what is left out changes in' in out
    assert 'the answers' not in out


def test_the_segmenter_decides_of_a_folder_as_the_program_does(predict, current_folder, narrow_params):
    for seed in range(8):
        Image.fromarray(draw_disc(20 + seed, color=COLORS['red'])[0]).save(f'photos/more-{seed}.png')
    assert predict()[0] == 0
    entries = json.loads((current_folder / 'found/predictions.json').read_text())['images']
    pairs = {name: [(f'{name}{seed}.jpg', f'{name}{seed}.png') for seed in range(2)] for name in COLORS}
    segmenter = pj.Segmenter(narrow_params, size=33, batch=1).fit(pairs)
    results = segmenter.predict_folder([entry['image'] for entry in entries])
    for entry, result in zip(entries, results, strict=True):
        assert set(result.expected_iou) == set(entry['expected_iou'])
        assert result.presence == pytest.approx(entry['presence_after'], abs=1e-3)
    assert len({frozenset(result.expected_iou) for result in results}) > 1
    told = segmenter.predict_folder(
        [entry['image'] for entry in entries], answers=[dict.fromkeys(COLORS, True)] * len(entries)
    )
    assert all(set(result.expected_iou) == set(COLORS) for result in told)
    assert segmenter.predict_folder([]) == []


def test_a_threshold_of_0_leaves_nothing_out_and_a_class_at_the_threshold_stays(narrow_params, monkeypatch):
    pairs = {name: [draw_disc(seed, color=color) for seed in range(2)] for name, color in COLORS.items()}
    segmenter = pj.Segmenter(narrow_params, size=33, batch=2).fit(pairs)
    images = [draw_disc(7 + seed)[0] for seed in range(3)]
    monkeypatch.setattr('panet_jax.segmenter.comparison.class_probabilities', lambda *_: np.array([0.0, 0.25]))
    for present_above, taken in ((0, {'red', 'blue'}), (0.25, {'blue'}), (0.2501, set())):
        assert all(set(one.expected_iou) == taken for one in segmenter.predict(images, present_above=present_above))
    monkeypatch.setattr(
        'panet_jax.segmenter.segmenter.presence_in_folder', lambda seen, *_: [{'red': 0.0, 'blue': 0.25}] * len(seen)
    )
    for present_above, taken in ((0, {'red', 'blue'}), (0.25, {'blue'}), (0.2501, set())):
        results = segmenter.predict_folder(images, present_above=present_above)
        assert all(set(one.expected_iou) == taken for one in results)
        assert all(one.descriptor.shape == (segmenter.references.channels,) for one in results)


def test_a_folder_is_a_list_of_images(narrow_params):
    segmenter = pj.Segmenter(narrow_params, size=33).fit({'red': [draw_disc(0)]})
    image = draw_disc(1)[0]
    for images in ('photos', Path('photos'), image):
        with pytest.raises(pj.InputError, match=r"images must be a list, such as sorted\(Path\('folder'\)"):
            segmenter.predict_folder(images)
    with pytest.raises(pj.InputError, match='got None; predict takes None'):
        segmenter.predict_folder([image], present_above=None)
    with pytest.raises(pj.InputError, match='one item for each of 1'):
        segmenter.predict_folder([image], answers={'red': True, 'blue': True})


def test_answers_may_be_written_before_the_first_run(predict, current_folder):
    (current_folder / 'found').mkdir()
    (current_folder / 'found/answers.json').write_text('{"red-0": {"blue": false}}')
    assert predict()[0] == 0
    results = json.loads((current_folder / 'found/predictions.json').read_text())
    assert [entry['answers'] for entry in results['images'] if 'answers' in entry] == [{'blue': False}]


def test_runs_say_what_decided_also_of_photographs_of_an_earlier_run(predict, current_folder):
    def runs():
        results = json.loads((current_folder / 'found/predictions.json').read_text())
        assert {entry['run'] for entry in results['images']} <= {run['id'] for run in results['runs']}
        return [(run['present_above'], run['decided_by']) for run in results['runs']]

    alone = (FOLDER_ABOVE, 'photograph')
    assert predict()[0] == 0
    assert runs() == [(None, None)]
    assert predict(f'--present-above={FOLDER_ABOVE}')[0] == 0
    assert runs() == [alone]
    Path('photos').rename('earlier')
    Path('photos').mkdir()
    for seed in range(FOLDER_IMAGES):
        Image.fromarray(draw_disc(20 + seed, color=COLORS['red'])[0]).save(f'photos/more-{seed}.png')
    assert predict()[0] == 0
    assert runs() == [alone, (FOLDER_ABOVE, 'folder')]
    assert predict(f'--present-above={FOLDER_ABOVE}')[0] == 0
    assert runs() == [alone]


def test_answers_and_all_present_exclude_each_other(predict, current_folder):
    (current_folder / 'found').mkdir()
    (current_folder / 'found/answers.json').write_text('{"red-0": {"blue": false}}')
    status, out, err = predict('--all-present')
    assert (status, 'say which classes are there; leave --all-present out' in err) == (2, True)
    assert 'reading weights' not in out


def test_answers_about_other_photographs_decide_nothing(predict, current_folder):
    assert predict()[0] == 0
    (current_folder / 'found/answers.json').write_text('{"red-0": {"blue": false}}')
    Image.fromarray(draw_disc(9)[0]).save('another.png')
    (current_folder / 'photos').rename(current_folder / 'earlier')
    (current_folder / 'photos').mkdir()
    (current_folder / 'another.png').rename(current_folder / 'photos/another.png')
    assert predict()[0] == 0
    results = json.loads((current_folder / 'found/predictions.json').read_text())
    assert results['runs'][-1]['present_above'] is None
    assert not any('presence_after' in entry for entry in results['images'])


def test_a_saved_segmenter_learns_from_answers_and_asks_as_its_references_do(
    predict, saved, current_folder, monkeypatch
):
    for seed in range(8):
        Image.fromarray(draw_disc(20 + seed, color=COLORS['red'])[0]).save(f'photos/more-{seed}.png')
    found = current_folder / 'found'
    assert predict('--save-segmenter=discs.safetensors')[0] == 0
    own = json.loads((found / 'predictions.json').read_text())
    status, out, _ = saved()
    assert (status, '12 image(s) were done before' in out, 'if every image shows every class' in out) == (0, True, True)
    shutil.rmtree(found)
    assert saved()[0] == 0
    results = json.loads((found / 'predictions.json').read_text())
    assert results['images'] == own['images']
    assert any(len(entry['expected_iou']) < 2 for entry in results['images'])
    typed = io.StringIO('n\nn\n')
    typed.isatty = lambda: True
    monkeypatch.setattr('sys.stdin', typed)
    assert saved('--review=1')[0] == 0
    answers, after = ((found / name).read_text() for name in ('answers.json', 'predictions.json'))
    assert sum(map(len, json.loads(answers).values())) == 2
    shutil.rmtree(found)
    found.mkdir()
    (found / 'answers.json').write_text(answers)
    assert predict()[0] == 0
    assert json.loads((found / 'predictions.json').read_text())['images'] == json.loads(after)['images']


def test_a_saved_segmenter_that_cannot_decide_learns_nothing_from_answers(predict, saved, current_folder):
    assert predict('--save-segmenter=discs.safetensors')[0] == 0
    (current_folder / 'found/answers.json').write_text('{"red-0": {"blue": false}}')
    sentence = 'found/answers.json decide nothing: discs.safetensors cannot decide which classes are present, because'
    status, out, err = saved('--support=red=red0.jpg:red0.png')
    assert (status, sentence in err, 'reading weights' in out) == (2, True, False)


def test_a_record_without_a_descriptor_is_made_again(predict, current_folder):
    assert predict('--present-above=0.15')[0] == 0
    for path in (current_folder / 'found/objects').glob('*.json'):
        record = json.loads(path.read_text())
        del record['descriptor']
        path.write_text(json.dumps(record))
    (current_folder / 'found/answers.json').write_text('{"red-0": {"blue": false}}')
    status, out, _ = predict('--present-above=0.15')
    assert (status, 'were done before' in out) == (0, False)


def test_a_review_asks_on_the_terminal_and_goes_on_where_it_ended(predict, current_folder, monkeypatch):
    def typed(text):
        terminal = io.StringIO(text)
        terminal.isatty = lambda: True
        monkeypatch.setattr('sys.stdin', terminal)
        status, out, _ = predict('--review=2')
        assert status == 0
        return out, json.loads((current_folder / 'found/answers.json').read_text())

    out, first = typed('y\ny\nq\n')
    assert out.count('-overlay.jpg)? ') == 3
    assert [answer for of_photo in first.values() for answer in of_photo.values()] == [True, True]
    out, second = typed('n\nn\nn\nn\n')
    assert '4 image(s) were done before' in out
    assert sum(map(len, second.values())) == 2 + 4
    assert all(second[photo][name] for photo, own in first.items() for name in own)


def test_a_review_wants_a_terminal_and_references(predict, current_folder):
    status, _, err = predict('--review')
    assert (status, 'this is none; write answers such as' in err) == (2, True)
    assert not (current_folder / 'found').exists()
    with pytest.raises(SystemExit) as ended:
        cli.run(['predict', '--support=red=red0.jpg:red0.png', '--review', '--save-segmenter=discs.safetensors'])
    assert ended.value.code == 2
    status, _, err = predict('--review=0')
    assert (status, 'wants a whole number from 1' in err) == (2, True)


@pytest.mark.exhaustive
def test_answers_are_measured_on_a_folder(run_on_folder):
    status, out, _ = run_on_folder(benchmark.main, '--root=own', '--draws=1')
    assert status == 0
    rows = {line[:18].strip(): [float(word) for word in line[18:].split()] for line in out.splitlines()[1:]}
    assert list(rows)[2:-1] == [str(count) for count in benchmark.COUNTS]
    assert all(0 <= value <= 1 for row in rows.values() for value in row)
    assert rows['20'][1:3] == rows['known'][1:3]  # there are fewer photographs
    assert rows['0'][0] <= rows['known'][0]
