"""The table: all cells, kept when finished, and no mean where a fold is missing."""

import csv
import json
import shutil

import numpy as np
import pytest
from tiny import tiny_config

import panet_jax as pj
from panet_jax import table, table_report
from panet_jax.datasets import Shapes
from panet_jax.paper import PUBLISHED, published
from panet_jax.report import format_table
from panet_jax.table_report import _paper_rows, mean_over_folds
from panet_jax.train import train

SETTINGS = {
    'table.shots': (1,),
    'table.annotations': ('dense', 'box'),
    'evaluation.pictures': 1,
    'evaluation.runs': 2,
    'checkpoint': '',
}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('table')
    return workdir, table.make_table(tiny_config(**SETTINGS), workdir)


def test_every_cell_is_there_and_the_mean_is_that_of_the_folds(finished):
    workdir, summary = finished
    content = json.loads((workdir / 'table.json').read_text())
    assert len(content['cells']) == 8
    assert content['missing'] == []
    dense = [row for row in content['cells'] if row['annotation'] == 'dense']
    assert [row['fold'] for row in dense] == [0, 1, 2, 3]
    mean = content['means_over_folds']['untrained, dense, 1-shot']
    assert mean['mean_iou'] == pytest.approx(np.mean([row['mean_iou'] for row in dense]))
    by_run = np.mean([row['mean_iou_by_run'] for row in dense], 0)
    assert mean['mean_iou_std'] == pytest.approx(by_run.std())
    assert len({row['episodes_hash'] for row in dense}) == 4
    assert summary.rows[0][5].startswith(f'{100 * mean["mean_iou"]:.1f} +- {100 * mean["mean_iou_std"]:.1f}')
    scored = sum(value is not None for row in dense for value in row['class_iou'].values())
    assert summary.rows[0][5].endswith(f' ({scored} of 20)') == (scored < 20)


def test_markdown_csv_and_page_say_the_same(finished):
    workdir, summary = finished
    text = (workdir / 'table.md').read_text()
    for row in summary.rows:
        assert '| ' + ' | '.join(row) + ' |' in text
    assert 'crescent' in text
    with open(workdir / 'table.csv') as file:
        rows = list(csv.DictReader(file))
    by_place = {(row['annotation'], row['fold'], row['quantity']): row for row in rows}
    cell = by_place['box', '2', 'mean_iou']
    assert (cell['network'], cell['shots']) == ('untrained', '1')
    assert (
        int(cell['classes'])
        == sum(row['iou'] != '' for row in rows if (row['annotation'], row['fold']) == ('box', '2')) - 2
    )
    assert f'{100 * float(cell["iou"]):.1f}' in summary.rows[1][3]
    assert (cell['seeds'], cell['protocol'], cell['split']) == ('1234 1235', 'panet2019', 'test')
    assert f'{100 * float(by_place["dense", "mean", "mean_iou"]["iou"]):.1f}' in summary.rows[0][5]
    assert by_place['dense', 'mean', 'binary_iou']['protocol'] == 'panet2019'
    assert len(rows) == 8 * 7 + 4  # mean-IoU, binary-IoU and five classes; two means
    page = (workdir / 'report.html').read_text()
    assert page.count('data:image/webp') == 8
    assert 'untrained, box, 1-shot' in page


def test_finished_cells_are_kept_until_something_changes(finished, tmp_path, monkeypatch, capsys):
    workdir, summary = tmp_path / 'copy', finished[1]
    shutil.copytree(finished[0], workdir)
    measured = []
    original = table.measure
    monkeypatch.setattr(table, 'measure', lambda *arguments: measured.append(1) or original(*arguments))
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert not measured
    assert capsys.readouterr().out.count('(kept)') == 8
    (workdir / 'cells' / 'untrained-box-1shot-fold1.json').write_text('{"dataset": ')  # cut off
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert len(measured) == 1
    next((workdir / 'pictures').glob('*-box-*')).unlink()
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert len(measured) == 2


CHANGES = {
    'protocol': {'evaluation.protocol': 'standard'},
    'draw': {'evaluation.draw': 'panet2019'},
    'seed of annotations': {'data.annotation_seed': 1},
    'network': {'seed': 7},
    'episodes': {'evaluation.seed': 7},
    'size': {'data.size': 25},
}


@pytest.mark.parametrize('change', [*CHANGES, 'data', 'nothing'])
def test_a_cell_is_measured_again_if_anything_that_matters_changed(finished, tmp_path, monkeypatch, change):
    shutil.copytree(finished[0], tmp_path / 'copy')
    measured = []
    original = table.measure
    monkeypatch.setattr(table, 'measure', lambda *arguments: measured.append(1) or original(*arguments))
    if change == 'data':
        monkeypatch.setattr(Shapes, 'fingerprint', 'another')
    settings = SETTINGS | {'table.folds': (0,), 'table.annotations': ('dense',)} | CHANGES.get(change, {})
    table.make_table(tiny_config(**settings), tmp_path / 'copy')
    assert len(measured) == (change != 'nothing')


def test_classes_that_only_some_cells_leave_out_have_a_dash(tmp_path):
    images = sorted(Shapes('test', 33).presence.sum(0)[:5])
    settings = SETTINGS | {'table.folds': (0,), 'table.annotations': ('dense',), 'table.shots': (int(images[0]), 1)}
    table.make_table(tiny_config(**settings | {'evaluation.skip_small_classes': True}), tmp_path)
    text = (tmp_path / 'table.md').read_text()
    classes = next(line for line in text.splitlines() if 'crescent' in line)
    assert classes.count('|') == 9  # all five classes
    assert 'left out, having too few images' in text
    assert '(4 of 5)' in text


def test_a_table_that_was_interrupted_says_what_is_yet_to_come(tmp_path, monkeypatch):
    original, measured = table.measure, []

    def stop_at_the_third(*arguments):
        measured.append(1)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(table, 'measure', stop_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        table.make_table(tiny_config(**SETTINGS), tmp_path)
    text = (tmp_path / 'table.md').read_text()
    assert 'unfinished: 6 of 8 cells are yet to come; the same command goes on' in text
    assert text.count('not yet') == 6
    assert (tmp_path / 'report.html').exists()
    summary = table.make_table(tiny_config(**SETTINGS), tmp_path)
    assert len(measured) == 3 + 6
    assert 'not yet' not in format_table(summary)


def test_a_partial_table_has_no_mean_and_says_why(tmp_path):
    settings = SETTINGS | {'table.folds': (0, 2), 'table.annotations': ('dense',), 'table.shots': (1, 600)}
    summary = table.make_table(tiny_config(**settings), tmp_path)
    assert [row[3] for row in summary.rows] == ['-', '-']
    assert summary.rows[1][1:3] == ['missing', 'missing']
    text = format_table(summary)
    assert 'untrained, dense, 1-shot: no mean, because it would be of all four folds, and 1, 3 is not there' in text
    assert 'untrained, dense, 600-shot, fold 0: missing, because class 1 (disc) has' in text
    content = json.loads((tmp_path / 'table.json').read_text())
    assert [mean['mean_iou'] for mean in content['means_over_folds'].values()] == [None, None]
    assert len(content['missing']) == 2


def test_trained_networks_come_from_the_workdirs_of_their_training(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(tiny_config(**{'data.fold': 1}), 'runs/shapes-fold1-1way-1shot')
    settings = SETTINGS | {'table.annotations': ('dense',), 'checkpoint': 'latest', 'evaluation.untrained': True}
    summary = table.make_table(tiny_config(**settings), tmp_path / 'table')
    assert [row[0] for row in summary.rows] == ['untrained, dense, 1-shot', 'trained, dense, 1-shot']
    assert [cell == 'missing' for cell in summary.rows[1][1:5]] == [True, False, True, True]
    assert summary.rows[1][5] == '-'
    assert any('there is no workdir runs/shapes-fold0-1way-1shot' in note for note in summary.notes)
    assert any(note.endswith('trained, dense, 1-shot: step 6') for note in summary.notes)
    by_name = settings | {'checkpoint': 'runs/shapes-fold{fold}-{ways}way-{shots}shot', 'table.folds': (1,)}
    again = table.make_table(tiny_config(**by_name), tmp_path / 'other')
    assert again.rows[1][1] == summary.rows[1][2]
    with pytest.raises(pj.InputError, match=r'checkpoint may hold \{fold\}, \{shots\} and \{ways\}'):
        table.make_table(tiny_config(**by_name | {'checkpoint': 'runs/{split}'}), tmp_path / 'other2')


def test_a_table_of_nothing_is_an_error(tmp_path):
    with pytest.raises(pj.InputError, match=r'class 1 \(disc\) has'):
        table.make_table(tiny_config(**SETTINGS | {'table.shots': (999,)}), tmp_path)
    with pytest.raises(pj.InputError, match='a table runs over the folds'):
        table.make_table(tiny_config(**SETTINGS | {'data.unseen': ('disc',)}), tmp_path)


def test_rows_made_in_different_ways_have_no_mean(finished):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    others = {
        'protocol': 'standard',
        'split': 'val',
        'seeds': [1],
        'shots': 5,
        'annotation': 'box',
        'checkpoint_step': 9,
    }
    for name, other in others.items():
        mean, why = mean_over_folds([*rows[:3], rows[3] | {name: other}])
        assert mean is None
        assert f'the folds differ in {name}' in why
    assert mean_over_folds(rows[:3]) == (None, 'it would be of all four folds, and 3 is not there')
    assert mean_over_folds([*rows[:3], rows[3] | {'mean_iou': None}]) == (None, 'a fold has no score')


PAPERS = {
    'dataset': 'pascal5i',
    'checkpoint_step': 30000,
    'ways': 1,
    'shots': 1,
    'annotation': 'dense',
    'protocol': 'panet2019',
    'size': 417,
    'fold_rule': 'contiguous',
    'split': 'trainaug',
    'queries': 1,
    'smallest_object': 1,
    'weights': 'imagenet',
    'width': 1.0,
    'left_out_classes': [],
    'unseen': [],
}


def test_published_values_stand_beside_what_compares_with_them_only():
    assert published(PAPERS)[0].mean == 48.1
    assert published(PAPERS | {'checkpoint_step': 0})[0].mean == 35.3
    others = {
        'protocol': 'standard',
        'split': 'val',
        'size': 129,
        'fold_rule': '4x+i',
        'weights': 'random',
        'queries': 5,
    }
    for name, other in {**others, 'checkpoint_step': 200, 'width': 0.5, 'left_out_classes': ['cow']}.items():
        known, why = published(PAPERS | {name: other})
        assert known is None
        assert f'their {name} is' in why
        assert f'not {other}' in why
    assert published(PAPERS | {'shots': 3}) == (None, '')
    for row in PUBLISHED.values():
        assert not row.folds or abs(np.mean(row.folds) - row.mean) < 0.1


def test_differences_to_the_paper_are_printed(finished):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    ours = {row['fold']: row | PAPERS for row in rows}
    known, _ = published(PAPERS)
    paper, difference = _paper_rows(known, [0, 1, 2, 3], ours, {'mean_iou': 0.5})
    assert paper[1:] == ['42.3*', '58.0*', '51.1*', '41.2*', '48.1', '-']
    assert difference[5] == '+1.9'
    assert difference[1] == f'{100 * rows[0]["mean_iou"] - 42.3:+.1f}'


def test_files_have_the_papers_means(finished, monkeypatch):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    of_fold = {row['fold']: row | PAPERS | {'fold': row['fold'], 'annotation': 'box'} for row in rows}
    found = table_report._with_paper(of_fold)
    assert found['paper'] == pytest.approx(0.451)
    assert found['difference'] == pytest.approx(found['mean_iou'] - 0.451)
