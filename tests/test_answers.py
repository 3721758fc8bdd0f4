"""Answers of a user: the thresholds they give, the questions of `panet-jax predict --review`, and what they change."""

import io
import json

import answers as benchmark
import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image
from scipy import optimize, special

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.answers import ask, read_answers
from panet_jax.method.answers import UNKNOWN, VARIANCE, next_question, thresholds_of

COLORS = {'red': (220, 40, 30), 'blue': (20, 60, 240)}


def test_a_threshold_is_the_one_that_makes_the_answers_most_probable(rng):
    presence = rng.uniform(0.02, 0.9, (30, 4))
    answers = rng.choice([UNKNOWN, 0, 1], (30, 4))
    answers[:, 3] = UNKNOWN
    found = thresholds_of(presence, answers, 0.4)
    for column in range(4):
        known = answers[:, column] != UNKNOWN
        odds, signs = special.logit(presence[known, column]), 2 * answers[known, column] - 1

        def loss(shift, odds=odds, signs=signs):
            return np.logaddexp(0, -signs * (odds + shift)).sum() + shift**2 / (2 * VARIANCE)

        shift = optimize.minimize_scalar(loss).x
        assert found[column] == pytest.approx(special.expit(special.logit(0.4) - shift), abs=1e-4)
    assert found[3] == pytest.approx(0.4)


def test_yes_lowers_a_threshold_and_no_raises_it_and_0_takes_all():
    presence = np.array([[0.3], [0.1], [0.05]])
    none, yes, no = (thresholds_of(presence, np.array([[UNKNOWN], [one], [UNKNOWN]])) for one in (UNKNOWN, 1, 0))
    assert yes < none < no
    everywhere = thresholds_of(presence, np.ones((3, 1), int), 0.3)
    assert (presence > everywhere).all()  # all of them show it
    assert thresholds_of(presence, np.zeros((3, 1), int), 0.0) == 0
    assert np.isfinite(thresholds_of(np.array([[0.0], [1.0]]), np.array([[1], [0]]))).all()


def test_the_next_question_is_about_the_open_one_nearest_to_the_threshold():
    presence = np.array([0.8, 0.31, 0.28, 0.02])
    assert next_question(presence, np.ones(4, bool), 0.3) == 1
    assert next_question(presence, np.array([True, False, True, True]), 0.3) == 2
    assert next_question(presence, np.array([True, False, False, True]), 0.3) == 0


ENTRIES = {
    name: {'image': f'{name}.jpg', 'presence': {'cat': cat, 'dog': 0.5}} for name, cat in (('a', 0.3), ('b', 0.2))
}


def asked(words, out, answers, **options):
    """The questions that are asked, if these words are typed."""
    questions, typed = [], iter(words)

    def read(question):
        questions.append(question)
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    ask(ENTRIES, answers, ('cat', 'dog'), **{'most': 5, 'above': 0.3, 'out': out, 'read': read, **options})
    return questions


def test_questions_go_on_until_all_is_answered_skipped_or_enough(tmp_path):
    answers = {'b': {'dog': True}}
    questions = asked(['y', 'what?', ' N ', 's'], tmp_path, answers)
    assert [question.split(' (')[0] for question in questions] == [
        *('cat in a.jpg', 'cat in b.jpg', 'y, n, s or q: ', 'dog in a.jpg')
    ]
    assert answers == {'b': {'dog': True, 'cat': False}, 'a': {'cat': True}}
    assert read_answers(tmp_path, ('cat', 'dog'), ENTRIES) == answers
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
    assert read_answers(tmp_path, ('cat', 'dog'), ENTRIES) == {}
    (tmp_path / 'answers.json').write_text(text)
    with pytest.raises(pj.InputError, match=sentence):
        read_answers(tmp_path, ('cat', 'dog'), ENTRIES)


def test_a_segmenter_takes_what_is_known_before_what_is_probable(narrow_params):
    pairs = {name: [draw_disc(seed, color=color) for seed in range(2)] for name, color in COLORS.items()}
    segmenter = pj.Segmenter(narrow_params, size=33, batch=2).fit(pairs)
    image = draw_disc(7, color=COLORS['red'])[0]
    alone = pj.Segmenter(segmenter.network, size=33).fit({'red': pairs['red']})
    for present_above, answers, taken in (
        (1.0, {'red': True}, {'red'}),
        (0.0, {'red': False}, {'blue'}),
        (None, {'blue': False}, {'red'}),
        ({'red': 1.0, 'blue': 0.0}, None, {'blue'}),
    ):
        result = segmenter.predict(image, present_above=present_above, answers=answers)
        assert set(result.expected_iou) == taken
        assert all(result.shares[name] == 0 for name in set(pairs) - taken)
        assert (result.presence is None) == (present_above is None)
    several = segmenter.predict([image, image], answers=[{}, {'red': False, 'blue': False}])
    np.testing.assert_array_equal(several[0].logits, segmenter.predict(image).logits)
    assert several[1].labels.max() == 0
    assert alone.predict(image, answers={'red': True}).labels.max() == 1
    for arguments, sentence in (
        ({'answers': {'cow': True}}, "no class 'cow' to answer for; there are red, blue"),
        ({'present_above': {'red': 0.1}}, 'a threshold for each of red, blue, got those of red'),
        ({'present_above': {'red': 0.1, 'blue': 2}}, 'from 0 to 1 such as 0.1, got 2'),
    ):
        with pytest.raises(pj.InputError, match=sentence):
            segmenter.predict(image, **arguments)
    with pytest.raises(pj.InputError, match='one item for each of 2 images, got 1'):
        segmenter.predict([image, image], answers=[{}])


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
    assert {name: after[name] for name in times if name not in changed} == {
        name: before[name] for name in times if name not in changed
    }
    status, out, _ = predict('--present-above=0')
    assert (status, '4 image(s) were done before' in out, 'the answers change' in out) == (0, True, False)
    (found / 'answers.json').unlink()
    assert predict('--present-above=0')[0] == 0
    assert entries() == before


def test_answers_alone_turn_the_decision_on(predict, current_folder):
    found = current_folder / 'found'
    assert predict()[0] == 0
    (found / 'answers.json').write_text(json.dumps({f'{name}-0': {name: True} for name in COLORS}))
    assert predict()[0] == 0
    results = json.loads((found / 'predictions.json').read_text())
    run = results['runs'][-1]
    assert set(run['thresholds']) == set(COLORS)
    assert all(limit < 0.3 for limit in run['thresholds'].values())
    for entry in results['images']:
        own = entry.get('answers', {})
        for name, limit in run['thresholds'].items():
            assert (name in entry['expected_iou']) == own.get(name, entry['presence'][name] > limit)


def test_a_review_asks_on_the_terminal_and_goes_on_where_it_ended(predict, current_folder, monkeypatch):
    def typed(text):
        terminal = io.StringIO(text)
        terminal.isatty = lambda: True
        monkeypatch.setattr('sys.stdin', terminal)
        status, out, _ = predict('--review=2')
        assert status == 0
        return out, json.loads((current_folder / 'found/answers.json').read_text())

    out, first = typed('y\ny\nq\n')
    assert out.count('(presence') == 3
    assert [answer for of_photo in first.values() for answer in of_photo.values()] == [True, True]
    out, second = typed('n\nn\nn\nn\n')
    assert '4 image(s) were done before' in out
    assert sum(map(len, second.values())) == 2 + 4
    assert all(second[photo][name] for photo, own in first.items() for name in own)


def test_a_review_wants_a_terminal_and_references(predict, current_folder):
    status, _, err = predict('--review')
    assert (status, 'this is none; write answers such as' in err) == (2, True)
    assert not (current_folder / 'found').exists()
    status, _, err = predict('--review', '--segmenter=pets.safetensors')
    assert (status, 'a saved segmenter cannot decide' in err) == (2, True)
    status, _, err = predict('--review=0')
    assert (status, 'wants a whole number from 1' in err) == (2, True)


def test_answers_are_measured_on_a_folder(run_on_folder):
    status, out, _ = run_on_folder(benchmark.main, '--root=own', '--draws=1')
    assert status == 0
    rows = {line[:18].strip(): [float(word) for word in line[18:].split()] for line in out.splitlines()[1:]}
    assert list(rows)[1:-1] == [str(count) for count in benchmark.COUNTS]
    assert all(0 <= value <= 1 for row in rows.values() for value in row)
    assert rows['20'][1:3] == rows['known'][1:3]  # there are fewer photographs
    assert rows['0'][0] <= rows['known'][0]
