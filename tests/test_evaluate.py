"""Evaluation: the same counts as episode by episode, results, pictures, and what it refuses."""

import json
import re
import shutil

import jax
import numpy as np
import pytest
from folders import make_voc
from PIL import Image
from random_episodes import random_episode
from tiny import tiny_config

import panet_jax as pj
from panet_jax.datasets.shapes import Shapes
from panet_jax.episodes.annotations import KINDS
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.authors import authors_draws
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.evaluation import evaluate as evaluation
from panet_jax.evaluation import plain
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.runs import evaluation_draws, evaluation_runs
from panet_jax.evaluation.scores import scores as scores_of
from panet_jax.images.overlays import annotated, heat_map, overlay
from panet_jax.method.metrics import class_counts, iou
from panet_jax.results.sheets import Row, episode_panels, pictured_episodes, save_sheet
from panet_jax.results.tables import comparable_results, format_table, results_table
from panet_jax.training.train import train

REQUIRED = [
    'dataset',
    'fold',
    'ways',
    'shots',
    'queries',
    'runs',
    'episodes',
    'seeds',
    'protocol',
    'class_iou',
    'mean_iou',
    'mean_iou_std',
    'binary_iou',
    'binary_iou_std',
    'background_iou',
    'foreground_iou',
    'checkpoint_step',
    'seconds',
]


@pytest.fixture(scope='module')
def workdir(tmp_path_factory):
    path = tmp_path_factory.mktemp('evaluated')
    train(tiny_config(), path)
    evaluation.evaluate(tiny_config(checkpoint=''), path)
    evaluation.evaluate(tiny_config(), path)
    return path


def test_results_have_what_others_scripts_rely_on(workdir):
    results = json.loads((workdir / 'results.json').read_text())
    assert not set(REQUIRED) - set(results)
    assert list(results['class_iou']) == ['disc', 'arrow', 'star', 'house', 'crescent']
    assert results['checkpoint_step'] == 6
    assert results['seeds'] == [1234, 1235]
    assert results['protocol'] == 'panet2019'
    assert 0 <= results['mean_iou'] <= 1
    np.testing.assert_allclose(results['binary_iou'], (results['background_iou'] + results['foreground_iou']) / 2)


@pytest.mark.parametrize('counts', [pytest.param((1, 1, 1), marks=pytest.mark.exhaustive), (2, 2, 2)])
def test_evaluation_equals_one_episode_at_a_time(tmp_path, counts):
    settings = dict(zip(('episode.ways', 'episode.shots', 'episode.queries'), counts, strict=True))
    config = tiny_config(checkpoint='', **settings)
    results = evaluation.evaluate(config, tmp_path)
    network = network_to_evaluate(config, tmp_path)
    by_run = []
    for seed in (1234, 1235):
        source, task = Shapes('test', 33), Task(**config.episode)
        episodes = Episodes(source, Draws(images_by_class(source, [1, 2, 3, 4, 5], task), task, seed), size=33)
        sums = np.zeros((3, 21), int)
        for index in range(5):
            draw = episodes.draw(index)
            labels = plain.query_labels(episodes, draw, own_size=False)
            confusions = plain.episode_confusions(network, episodes[index], labels, dtype='float32')
            sums += class_counts(confusions[None], draw.classes[None], 20, absent_false_positives=False)
        by_run.append(np.nanmean(iou(sums)[1:6]))
    np.testing.assert_allclose(results['mean_iou_by_run'], by_run, rtol=1e-6)
    assert results['mean_iou'] == pytest.approx(np.mean(by_run))
    assert results['mean_iou_std'] == pytest.approx(np.std(by_run))


def test_untrained_network_is_the_one_that_training_begins_with(tmp_path):
    network = network_to_evaluate(tiny_config(checkpoint=''), tmp_path)
    assert (network.step, network.origin) == (0, None)
    wanted = pj.load_encoder_params('random', key=jax.random.key(1234), width=1 / 32)
    np.testing.assert_array_equal(network.params['conv3_2']['kernel'], wanted['conv3_2']['kernel'])


def test_checkpoints_are_named_in_three_ways(workdir, tmp_path):
    latest = network_to_evaluate(tiny_config(), workdir)
    assert latest.step == 6
    early = network_to_evaluate(tiny_config(checkpoint='3'), workdir)
    assert early.step == 3
    assert (early.params['conv5_3']['kernel'] != latest.params['conv5_3']['kernel']).any()
    elsewhere = network_to_evaluate(tiny_config(checkpoint=str(workdir)), tmp_path)
    assert (elsewhere.step, elsewhere.origin) == (6, str(workdir.resolve()))
    np.testing.assert_array_equal(elsewhere.params['conv5_3']['kernel'], latest.params['conv5_3']['kernel'])


@pytest.mark.exhaustive
def test_what_cannot_be_evaluated_is_one_sentence(workdir, tmp_path):
    with pytest.raises(pj.InputError, match='no workdir'):
        evaluation.evaluate(tiny_config(), tmp_path / 'none')
    with pytest.raises(pj.InputError, match='is not a workdir'):
        evaluation.evaluate(tiny_config(), tmp_path)
    with pytest.raises(pj.InputError, match=r'data.fold is 0 there and 3 here'):
        evaluation.evaluate(tiny_config(**{'data.fold': 3}), workdir)
    with pytest.raises(pj.InputError, match=r'seed is 1234 there and 7 here'):
        evaluation.evaluate(tiny_config(checkpoint='', seed=7), workdir)
    with pytest.raises(pj.InputError, match='steps there: 3, 6'):
        evaluation.evaluate(tiny_config(checkpoint='5'), workdir)


def test_classes_seen_in_training_are_not_evaluated_as_unseen(workdir, tmp_path):
    shutil.copytree(workdir, tmp_path / 'copy')
    assert json.loads((workdir / 'classes.json').read_text())['seen'][0] == 'square'
    (tmp_path / 'copy/classes.json').write_text('{"seen": ["disc", "arrow"]}')
    with pytest.raises(pj.InputError, match=r'was trained on disc, arrow, so it cannot be evaluated on them'):
        evaluation.evaluate(tiny_config(), tmp_path / 'copy')
    with pytest.raises(pj.InputError, match=r'was trained on the classes disc, arrow, but the data now give square'):
        train(tiny_config(steps=8), tmp_path / 'copy')


def test_rows_of_other_classes_do_not_share_a_table(workdir, tmp_path):
    results = json.loads((workdir / 'results.json').read_text())
    renamed = results | {'class_iou': {'other': 0.5}}
    (tmp_path / 'results.jsonl').write_text(json.dumps(renamed) + '\n' + json.dumps(results) + '\n')
    assert comparable_results(tmp_path, results) == [results]


def test_table_shows_untrained_and_trained_and_says_what_was_run(workdir):
    results = json.loads((workdir / 'results.json').read_text())
    rows = comparable_results(workdir, results)
    assert [row['checkpoint_step'] for row in rows] == [0, 6]
    table = format_table(results_table(rows, 'elsewhere'))
    for text in (
        'shapes test',
        'fold 0',
        '1-way 1-shot',
        '2 run(s) x 5 episodes',
        'panet2019',
        'disc',
        'untrained',
        'step 6',
    ):
        assert text in table
    assert f'{100 * results["mean_iou"]:.1f} +- {100 * results["mean_iou_std"]:.1f}' in table
    other = results | {'protocol': 'standard'}
    assert comparable_results(workdir, other) == []


def test_a_class_that_no_query_showed_is_left_out_and_named():
    counts = np.array([[[90, 8, 0], [5, 1, 0], [5, 1, 0]]])
    scores = scores_of(counts, {'cat': 1, 'dog': 2})
    assert scores['class_iou'] == {'cat': 0.8, 'dog': None}
    assert scores['mean_iou'] == 0.8
    settings = {'dataset': 'd', 'split': 's', 'fold': 0, 'fold_rule': 'contiguous', 'ways': 1, 'shots': 1, 'queries': 1}
    settings |= {
        'unseen': [],
        'skipped_images': 0,
        'checkpoint': '',
        'size': 9,
        'runs': 1,
        'episodes': 1,
        'seeds': [1],
        'protocol': 'p',
        'checkpoint_step': 0,
        'annotation': 'box',
        'draw': 'panet2019',
        'authors_order': False,
        'empty_supports': 1,
        'left_out_classes': ['cow'],
        'trained_on': 'coco20i',
        'unknown_training': '30000.pth',
        'weights': 'imagenet',
    }
    table = format_table(results_table([settings | scores], 'elsewhere'))
    assert 'no query showed dog' in table
    assert (
        'the network was trained on coco20i; that it saw none of these classes is checked by their names only' in table
    )
    assert 'it is unknown what 30000.pth was trained on, and so whether it saw these classes' in table
    assert 'left out because they have too few images: cow' in table
    assert 'but not exactly their episodes' in table
    assert '1 of 1 supports are empty: no annotated pixel is left at 9 px; an empty support finds nothing' in table


def test_sheet_has_a_row_an_episode_and_shows_masks(workdir, tmp_path):
    with Image.open(workdir / 'pictures' / 'untrained-1way-1shot-dense-protocol-panet2019.png') as image:
        sheet = np.asarray(image)
    assert (workdir / 'pictures' / 'step-6-1way-1shot-dense-protocol-panet2019.png').exists()
    assert sheet.shape[0] > 300
    image = np.full((4, 4, 3), 100, np.uint8)
    label = np.array([[0, 1, 2, 255]] * 4)
    colours = overlay(image, label)[0]
    assert len({tuple(colour) for colour in colours}) == 4
    assert (colours[3] == 255).all()


def row_of_noise(rng, ways, shots):
    episode = random_episode(rng, ways, shots, 1, size=17)
    episode = episode.replace(
        support_images=np.zeros(episode.support_images.shape, np.uint8),
        query_images=np.zeros(episode.query_images.shape, np.uint8),
        support_foreground=episode.support_foreground > 0,
        support_background=episode.support_background > 0,
    )
    probabilities = np.full((17, 17, 1 + ways), 1 / (1 + ways), np.float32)
    return Row('episode 7', ['a', 'b', 'c'][:ways], episode, probabilities, np.ones((1 + ways, 1 + ways), int))


def test_sheet_of_many_supports_shows_one_shot_a_way(rng, tmp_path):
    widths = []
    for ways, shots in ((3, 4), (2, 2)):
        save_sheet(tmp_path / 'sheet.png', [row_of_noise(rng, ways, shots)], 'dense')
        with Image.open(tmp_path / 'sheet.png') as sheet:
            widths.append(sheet.size[0])
    assert widths == [220 * (3 + 4), 220 * (4 + 4)]


def test_a_prediction_says_which_class_has_which_iou(rng):
    row = row_of_noise(rng, 2, 1)._replace(names=['cat', 'dog'], confusion=np.array([[9, 1, 0], [3, 0, 0], [0, 0, 0]]))
    titles = [title.replace('\n', ' ') for title, _ in episode_panels(row, 'dense')]
    assert 'prediction, IoU: cat 0 %, dog neither there nor found' in titles
    row = row_of_noise(rng, 1, 1)._replace(confusion=np.array([[9, 1], [1, 2]]))
    assert 'prediction, IoU: 50 %' in [title for title, _ in episode_panels(row, 'dense')]


@pytest.mark.parametrize('kind', KINDS)
def test_annotations_are_drawn_in_the_colour_of_their_way(kind):
    image = np.full((200, 200, 3), 100, np.uint8)
    foreground, background = np.zeros((2, 200, 200), bool)
    foreground[50:100, 50:150] = True
    background[:20] = True
    first, second = (annotated(image, foreground, background, way, kind) for way in (1, 2))
    differ = (first != second).any(-1)
    assert differ.any()
    assert not differ[:40].any()
    assert not differ[110:].any()
    assert differ[75, 100] == (kind != 'box')  # of a box only the outline is drawn
    assert differ[50, 100]
    assert ((first == 255).all(-1).any()) == (kind != 'dense')  # the background's scribble; the other boxes


def test_heat_is_brighter_where_the_foreground_is_likelier():
    image = np.full((2, 2, 3), 100, np.uint8)
    probabilities = np.array([[[1.0, 0.0], [0.7, 0.3]], [[0.4, 0.6], [0.0, 1.0]]])
    brightness = heat_map(image, probabilities).mean(-1).ravel()
    assert (np.diff(brightness) > 0).all()


def test_pictured_episodes_are_the_first_random_worst_or_chosen_ones():
    perfect, bad, absent, nothing = [[5, 0], [0, 5]], [[5, 4], [4, 1]], [[5, 5], [0, 0]], [[9, 0], [0, 0]]
    confusions = np.array([nothing, bad, perfect, absent, perfect])[:, None]
    assert pictured_episodes(confusions, 2, 'worst', 0) == [3, 1]
    assert pictured_episodes(confusions, 2, 'first', 0) == [0, 1]
    assert pictured_episodes(confusions, 9, 'first', 0) == [0, 1, 2, 3, 4]
    assert pictured_episodes(confusions, 9, 'worst', 0) == [3, 1, 2, 4, 0]
    assert pictured_episodes(confusions, 2, '4, 1', 0) == [4, 1]
    drawn = {tuple(pictured_episodes(confusions, 2, 'random', seed)) for seed in range(20)}
    assert len(drawn) > 5
    assert all(one < other for one, other in drawn)


def test_report_is_one_page_that_needs_nothing_else(workdir):
    page = (workdir / 'report.html').read_text()
    assert page.count('src="data:image/webp;base64,') == 2  # untrained and trained
    assert not [part for part in page.split('"') if part.startswith(('http', '//'))]
    for text in ('untrained', 'step 6', 'crescent', 'shapes test, fold 0', '&#34;fold_rule&#34;: &#34;contiguous&#34;'):
        assert text in page


@pytest.mark.parametrize('kind', KINDS)
def test_rows_say_what_was_run(tmp_path, kind):
    settings = {'evaluation.annotation': kind, 'evaluation.protocol': 'standard', 'evaluation.pictures': 0}
    results = evaluation.evaluate(tiny_config(checkpoint='', **settings), tmp_path)
    wanted = {'annotation': kind, 'protocol': 'standard', 'dataset': 'shapes', 'split': 'test', 'fold': 0}
    wanted |= {'ways': 1, 'shots': 1, 'seeds': [1234, 1235], 'draw': 'seeded', 'empty_supports': 0}
    assert wanted.items() <= results.items()
    again = evaluation.evaluate(tiny_config(checkpoint='', **settings | {'evaluation.seed': 7}), tmp_path)
    assert len(results['episodes_hash']) == 12
    assert again['episodes_hash'] != results['episodes_hash']
    assert again['network_hash'] == results['network_hash']
    for name in ('class_iou', 'class_iou_std'):
        assert list(results[name]) == ['disc', 'arrow', 'star', 'house', 'crescent']


def test_classes_with_too_few_images_are_left_out_when_asked(tmp_path):
    images = Shapes('test', 33).presence.sum(0)[:5]
    shots = int(sorted(images)[1])  # with a query image too many for two classes
    settings = {'episode.shots': shots, 'evaluation.pictures': 0, 'evaluation.runs': 1, 'evaluation.episodes': 2}
    with pytest.raises(
        pj.InputError, match=r'has \d+ images in .test.*skip_small_classes=True leaves such classes out'
    ):
        evaluation.evaluate(tiny_config(checkpoint='', **settings), tmp_path)
    settings['evaluation.skip_small_classes'] = True
    results = evaluation.evaluate(tiny_config(checkpoint='', **settings), tmp_path)
    assert len(results['left_out_classes']) == (images <= shots).sum() >= 2
    assert set(results['class_iou']).isdisjoint(results['left_out_classes'])
    with pytest.raises(pj.InputError, match=r'no class is large enough: class 1 .* needs 9999 support'):
        evaluation.evaluate(tiny_config(checkpoint='', **settings | {'episode.shots': 9999}), tmp_path)


def test_a_run_without_any_foreground_has_no_score_and_still_a_file(tmp_path):
    counts = np.zeros((2, 3, 3), int)
    counts[:, 0, 0] = 9  # background only
    scores = scores_of(counts, {'cat': 1, 'dog': 2})
    assert scores['mean_iou'] is scores['binary_iou'] is scores['foreground_iou'] is None
    json.dumps(scores, allow_nan=False)


AUTHORS = {'data.name': 'pascal5i', 'data.test_split': 'trainval', 'data.unseen': ('aeroplane', 'bicycle')}


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ({}, ''),
        ({'data.smallest_object': 300}, 'images with less than 300 pixels of a class are left out'),
        ({'data.skip_unreadable': True}, r'1 unreadable image\(s\) are left out'),
        ({'data.unseen': ('aeroplane', 'cow'), 'evaluation.skip_small_classes': True}, 'classes are left out'),
        ({'data.unseen': ('aeroplane', 'bird')}, 'or images that they name are missing'),
    ],
    ids=['theirs', 'small objects', 'skipped images', 'left out class', 'another list'],
)
def test_the_order_is_the_authors_only_if_nothing_was_left_out(tmp_path, change, why):
    folder = make_voc(tmp_path / 'voc')
    lists = folder / 'ImageSets/Segmentation/trainval'
    lists.mkdir()
    for number in range(1, 21):
        names = [f'2007_{i:06d}\n' for i in range(12) if i % 4 + 1 == number][::-1]
        (lists / f'class{number}.txt').write_text(''.join(names + ['2099_000000\n'] * (number == 3)))
    if 'data.skip_unreadable' in change:
        (folder / 'JPEGImages/2007_000004.jpg').write_bytes(b'')
    there = {'data.root': str(tmp_path / 'voc'), 'data.prepared_dir': str(tmp_path / 'home')}
    settings = {'evaluation.draw': 'panet2019', 'evaluation.pictures': 0, 'evaluation.runs': 1}
    results = evaluation.evaluate(tiny_config(checkpoint='', **{**AUTHORS, **there, **settings, **change}), tmp_path)
    assert results['authors_order'] == (not why)
    remarks = [note for note in results_table([results], tmp_path).notes if 'exactly their episodes' in note]
    assert len(remarks) == bool(why)
    assert not why or re.search(why, remarks[0])


def test_the_draw_and_the_seed_of_annotations_reach_the_evaluation(tmp_path):
    config = tiny_config(checkpoint='', **{'evaluation.draw': 'panet2019', 'data.annotation_seed': 3})
    runs = evaluation_runs(config)
    assert runs[0].reader.seed == 3
    images = {c: np.flatnonzero(Shapes('test', 33).presence[:, c - 1]) for c in range(1, 6)}
    wanted = [authors_draws(images, Task(), seed=seed, episodes=5) for seed in (1234, 1235)]
    found = evaluation_draws(config, runs)
    for one, other in zip(found, wanted, strict=True):
        assert [(d.supports.item(), d.queries.item()) for d in one] == [
            (d.supports.item(), d.queries.item()) for d in other
        ]
