"""The table: all cells, kept when finished, and no mean where a fold is missing."""

import contextlib
import csv
import io
import json
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from tiny import load_config, tiny_config

import panet_jax as pj
from panet_jax.datasets.shapes import Shapes
from panet_jax.disk.workdir import write_json
from panet_jax.evaluation import table
from panet_jax.results.benchmark_tables import Cells, grouped, paper_lines, summary_table
from panet_jax.results.charts import table_charts
from panet_jax.results.fold_means import TableRow, mean_over_folds
from panet_jax.results.html_report import save_report
from panet_jax.results.paper import PUBLISHED, published
from panet_jax.results.table_files import long_csv
from panet_jax.results.tables import Table, format_table, upright
from panet_jax.settings import flat
from panet_jax.training.train import train

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
    assert page.count('<svg') == 8
    bars = sum(
        value is not None
        for row in json.loads((workdir / 'table.json').read_text())['cells']
        for value in row['class_iou'].values()
    )
    assert page.count('class="bar"') == bars
    assert 'class="paper"' not in page


def measured(capsys):
    """Number of cells that the table has measured since the last call, as it prints."""
    lines = [line for line in capsys.readouterr().out.splitlines() if 'mean-IoU' in line]
    return sum('(kept)' not in line for line in lines)


@pytest.mark.exhaustive
def test_finished_cells_are_kept_until_something_changes(finished, tmp_path, capsys):
    workdir, summary = tmp_path / 'copy', finished[1]
    shutil.copytree(finished[0], workdir)
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in (workdir / 'cells').iterdir()}
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert capsys.readouterr().out.count('(kept)') == 8
    assert {path: path.stat().st_mtime_ns for path in (workdir / 'cells').iterdir()} == before
    (workdir / 'cells' / 'untrained-box-1shot-fold1.json').write_text('{"dataset": ')  # cut off
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert measured(capsys) == 1
    next((workdir / 'pictures').glob('*-box-*')).unlink()
    assert table.make_table(tiny_config(**SETTINGS), workdir) == summary
    assert measured(capsys) == 1


CHANGES = {
    'protocol': {'evaluation.protocol': 'standard'},
    'draw': {'evaluation.draw': 'panet2019'},
    'seed of annotations': {'data.annotation_seed': 1},
    'network': {'seed': 7},
    'episodes': {'evaluation.seed': 7},
    'size': {'data.size': 25},
}


@pytest.mark.parametrize('change', [*CHANGES, 'data', 'nothing'])
def test_a_cell_is_measured_again_if_anything_that_matters_changed(finished, tmp_path, capsys, change):
    shutil.copytree(finished[0], tmp_path / 'copy')
    if change == 'data':
        cell = tmp_path / 'copy/cells/untrained-dense-1shot-fold0.json'
        cell.write_text(json.dumps(json.loads(cell.read_text()) | {'data_fingerprint': 'another'}))
    settings = SETTINGS | {'table.folds': (0,), 'table.annotations': ('dense',)} | CHANGES.get(change, {})
    capsys.readouterr()
    table.make_table(tiny_config(**settings), tmp_path / 'copy')
    assert measured(capsys) == (change != 'nothing')


@pytest.mark.exhaustive
def test_classes_that_only_some_cells_leave_out_have_a_dash(tmp_path):
    images = sorted(Shapes('test', 33).presence.sum(0)[:5])
    settings = SETTINGS | {'table.folds': (0,), 'table.annotations': ('dense',), 'table.shots': (int(images[0]), 1)}
    table.make_table(tiny_config(**settings | {'evaluation.skip_small_classes': True}), tmp_path)
    text = (tmp_path / 'table.md').read_text()
    classes = next(line for line in text.splitlines() if 'crescent' in line)
    assert classes.count('|') == 9  # all five classes
    assert 'left out because they have too few images' in text
    assert '(4 of 5)' in text


@pytest.mark.exhaustive
def test_a_table_that_was_interrupted_says_what_is_yet_to_come(tmp_path, capsys):
    class Terminal(io.StringIO):
        """Where somebody types Ctrl-C when the third cell begins."""

        def write(self, text):
            if text.startswith('3/8'):
                raise KeyboardInterrupt

    with contextlib.redirect_stdout(Terminal()), pytest.raises(KeyboardInterrupt):
        table.make_table(tiny_config(**SETTINGS), tmp_path)
    text = (tmp_path / 'table.md').read_text()
    assert 'unfinished: 6 of 8 cells are not evaluated yet; the same command resumes' in text
    assert text.count('not yet') == 6
    assert (tmp_path / 'report.html').exists()
    summary = table.make_table(tiny_config(**SETTINGS), tmp_path)
    assert measured(capsys) == 6
    assert 'not yet' not in format_table(summary)


def test_a_partial_table_has_no_mean_and_says_why(tmp_path):
    settings = SETTINGS | {'table.folds': (0, 2), 'table.annotations': ('dense',), 'table.shots': (1, 600)}
    summary = table.make_table(tiny_config(**settings), tmp_path)
    assert [row[3] for row in summary.rows] == ['-', '-']
    assert summary.rows[1][1:3] == ['missing', 'missing']
    text = format_table(summary)
    assert 'untrained, dense, 1-shot: no mean, because it needs all four folds, but 1, 3 is missing' in text
    assert 'untrained, dense, 600-shot, fold 0: missing, because class 1 (disc) has' in text
    content = json.loads((tmp_path / 'table.json').read_text())
    assert [mean['mean_iou'] for mean in content['means_over_folds'].values()] == [None, None]
    assert len(content['missing']) == 2


@pytest.mark.exhaustive
def test_trained_networks_come_from_the_workdirs_of_their_training(current_folder, capsys):
    train(tiny_config(**{'data.fold': 1}), 'runs/shapes-fold1-1way-1shot')
    settings = SETTINGS | {'table.annotations': ('dense',), 'checkpoint': 'latest', 'evaluation.untrained': True}
    summary = table.make_table(tiny_config(**settings), current_folder / 'table')
    assert [row[0] for row in summary.rows] == ['untrained, dense, 1-shot', 'trained, dense, 1-shot']
    assert [cell == 'missing' for cell in summary.rows[1][1:5]] == [True, False, True, True]
    assert summary.rows[1][5] == '-'
    assert any('there is no workdir runs/shapes-fold0-1way-1shot' in note for note in summary.notes)
    assert any(note.endswith('trained, dense, 1-shot: step 6') for note in summary.notes)
    by_name = settings | {'checkpoint': 'runs/shapes-fold{fold}-{ways}way-{shots}shot', 'table.folds': (1,)}
    again = table.make_table(tiny_config(**by_name), current_folder / 'other')
    assert again.rows[1][1] == summary.rows[1][2]
    trained = current_folder / 'other' / 'cells' / 'trained-dense-1shot-fold1.json'
    results = json.loads(trained.read_text())
    assert (results['training']['batch'], results['training']['optimizer.learning_rate']) == (2, 0.02)
    write_json(trained, {name: value for name, value in results.items() if name != 'training'})  # of an older version
    capsys.readouterr()
    assert table.make_table(tiny_config(**by_name), current_folder / 'other') == again
    assert measured(capsys) == 0
    cells = json.loads((current_folder / 'other' / 'table.json').read_text())['cells']
    assert [cell['training'] for cell in cells] == [{}, results['training']]
    with pytest.raises(pj.InputError, match=r'checkpoint may hold \{fold\}, \{shots\} and \{ways\}'):
        table.make_table(tiny_config(**by_name | {'checkpoint': 'runs/{split}'}), current_folder / 'other2')


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
    trained = [row | {'training': PAPERS['training'] | {'data.fold': row['fold'], 'seed': row['fold']}} for row in rows]
    assert mean_over_folds(trained)[0]
    trained[3]['training'] = PAPERS['training'] | {'batch': 4}
    assert mean_over_folds(trained)[0] is None
    assert "the folds differ in training's batch" in mean_over_folds(trained)[1]
    assert mean_over_folds(rows[:3]) == (None, 'it needs all four folds, but 3 is missing')
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
    'runs': 5,
    'episodes': 1000,
    'skipped_images': 0,
    'images': 10582,
    'trained_on': 'pascal5i',
    'training': {
        **{'batch': 1, 'align_weight': 1.0, 'annotation': 'dense', 'encoder.weights': 'imagenet', 'encoder.width': 1.0},
        **{'episode.ways': 1, 'episode.shots': 1, 'episode.queries': 1, 'data.train_split': 'trainaug'},
        **{'data.size': 417, 'data.flip': True, 'data.smallest_object': 1, 'data.unseen_images': 'background'},
        **{'data.skip_unreadable': False, 'optimizer.learning_rate': 1e-3, 'optimizer.momentum': 0.9},
        **{'optimizer.weight_decay': 5e-4, 'optimizer.milestones': [10000, 20000], 'optimizer.decay': 0.1},
        **{'optimizer.clip_norm': 0.0, 'seed': 1234},
    },
}
UNTRAINED = PAPERS | {'checkpoint_step': 0, 'trained_on': '', 'training': {}}


def test_published_values_stand_beside_what_compares_with_them_only():
    assert published(PAPERS)[0].mean == 48.1
    assert published(UNTRAINED)[0].mean == 35.3
    others = {
        **{'protocol': 'standard', 'split': 'val', 'size': 129, 'fold_rule': '4x+i', 'queries': 5, 'width': 0.5},
        **{'left_out_classes': ['cow'], 'runs': 1, 'episodes': 3, 'skipped_images': 5291, 'images': 5291},
    }
    of_trained = {'checkpoint_step': 200, 'trained_on': 'coco20i'}
    cases = [(PAPERS, others | of_trained), (UNTRAINED, others | {'weights': 'random'})]
    for row, name, other in [(row, *item) for row, changes in cases for item in changes.items()]:
        values, why = published(row | {name: other})
        assert values is None
        assert f'their {name} is' in why
        assert f'not {other}' in why
    assert published(PAPERS | {'shots': 3}) == (None, '')
    for row in PUBLISHED.values():
        assert not row.folds or abs(np.mean(row.folds) - row.mean) < 0.1


@pytest.mark.parametrize('name', [name for name in PAPERS['training'] if name != 'seed'])
def test_published_values_stand_beside_networks_of_the_papers_recipe_only(name):
    training = PAPERS['training'] | {name: 'another'}
    values, why = published(PAPERS | {'training': training})
    assert values is None
    assert f"their training's {name} is" in why
    assert 'not another' in why
    assert published(PAPERS | {'training': PAPERS['training'] | {'seed': 7}})[0].mean == 48.1


def test_published_values_do_not_stand_beside_results_without_a_recipe():
    old = {name: value for name, value in PAPERS.items() if name not in ('training', 'images')}
    assert published(old) == (
        None,
        "the paper's values do not compare: the result does not say how its network was trained",
    )
    recipe = read_config_of_the_paper()
    assert published(PAPERS | {'training': recipe})[0].mean == 48.1


def read_config_of_the_paper():
    """What a workdir of configs/pascal5i.py, as it is, says of its training."""
    return json.loads(json.dumps(flat(load_config('pascal5i').to_dict())))


def test_one_fold_that_is_not_the_papers_leaves_no_mean_to_compare_with(finished):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    of_fold = {row['fold']: row | PAPERS | {'fold': row['fold']} for row in rows}
    assert TableRow('a row', of_fold).mean_beside_paper()['paper'] == pytest.approx(0.481)
    of_fold[2]['skipped_images'] = 3
    assert TableRow('a row', of_fold).mean_beside_paper()['paper'] is None


def test_differences_to_the_paper_are_printed(finished):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    ours = TableRow('a row', {row['fold']: row | PAPERS | {'fold': row['fold']} for row in rows})
    values, _ = published(PAPERS)
    paper, difference = paper_lines(values, ours, [0, 1, 2, 3])
    assert paper[1:] == ['42.3*', '58.0*', '51.1*', '41.2*', '48.1', '-']
    assert difference[5] == f'{100 * ours.mean_or_reason[0]["mean_iou"] - 48.1:+.1f}'
    assert difference[1] == f'{100 * rows[0]["mean_iou"] - 42.3:+.1f}'


def test_files_have_the_papers_means(finished, monkeypatch):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    of_fold = {row['fold']: row | PAPERS | {'fold': row['fold'], 'annotation': 'box'} for row in rows}
    result = TableRow('a row', of_fold).mean_beside_paper()
    assert result['paper'] == pytest.approx(0.451)
    assert result['difference'] == pytest.approx(result['mean_iou'] - 0.451)


def test_files_say_how_sure_the_papers_values_are(finished):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    cells = [table.Cell(True, 'dense', 1, row['fold']) for row in rows]
    done = {cell: row | PAPERS | {'fold': row['fold']} for cell, row in zip(cells, rows, strict=True)}
    table_cells = Cells(range(4), cells, done, {})
    assert table_cells.rows()[0].mean_beside_paper()['paper_source'] == 'printed'
    lines = list(csv.DictReader(long_csv(table_cells).splitlines()))
    result = {(line['fold'], line['paper'], line['paper_source']) for line in lines if line['paper']}
    assert result == {
        ('0', '0.423', 'recalled'),
        ('1', '0.58', 'recalled'),
        ('2', '0.511', 'recalled'),
        ('3', '0.412', 'recalled'),
        ('mean', '0.481', 'printed'),
    }
    assert all(not line['paper_source'] for line in lines if not line['paper'])
    assert json.loads((finished[0] / 'table.json').read_text())['cells'][0]['paper_source'] is None


def test_the_page_draws_each_class_and_the_papers_value(finished, tmp_path):
    rows = json.loads((finished[0] / 'table.json').read_text())['cells'][:4]
    cells = [table.Cell(True, 'dense', 1, row['fold']) for row in rows]
    done = {cell: row | PAPERS | {'fold': row['fold'], 'runs': 5} for cell, row in zip(cells, rows, strict=True)}
    done[cells[3]]['skipped_images'] = 3
    table_cells = Cells(range(4), cells, done, {})
    charts = table_charts(table_cells)
    assert [chart.title for chart in charts] == ['trained, dense, 1-shot']
    assert [panel.paper for panel in charts[0].panels] == [42.3, 58.0, 51.1, None]
    assert charts[0].panels[1].title.endswith('the paper 58.0*')
    assert charts[0].end == 60  # the paper's 58.0 has room
    values = [bar.value for panel in charts[0].panels for bar in panel.bars]
    assert values == [None if v is None else 100 * v for row in rows for v in row['class_iou'].values()]
    tables = [summary_table(table_cells)]
    save_report(tmp_path / 'page.html', 'a table', tables, [], tiny_config(), charts)
    drawings = re.findall('<svg.*?</svg>', (tmp_path / 'page.html').read_text(), re.DOTALL)
    page = ElementTree.fromstring(f'<all>{"".join(drawings)}</all>')
    widths = [float(bar.get('width')) for bar in page.iter('rect')]
    assert widths == pytest.approx([150 * v / 60 for v in values if v is not None], abs=0.06)
    lines = [line for line in page.iter('line') if line.get('class') == 'paper']
    assert [float(line.get('x1')) for line in lines] == pytest.approx(
        [104 + 150 * v / 60 for v in (42.3, 58, 51.1)], abs=0.06
    )


def test_a_page_has_classes_as_rows_where_there_are_many():
    names = [f'class {number}' for number in range(20)]
    wide = Table('heading', ['network', 'mean-IoU', *names], [['untrained', '1', *names], ['trained', '2', *names]], [])
    result = upright(wide)
    assert result.columns == ['network', 'untrained', 'trained']
    assert result.rows[0] == ['mean-IoU', '1', '2']
    assert [row[0] for row in result.rows[1:]] == names
    few = wide._replace(columns=wide.columns[:7], rows=[row[:7] for row in wide.rows])
    assert upright(few) == few


def test_footnotes_name_the_folds_of_a_row_together():
    cells = [table.Cell(False, kind, 1, fold) for kind in ('dense', 'box') for fold in (0, 1, 3)]
    notes = grouped([('strange', cell) for cell in cells[:4]] + [('untrue', 'a row')])
    assert notes == [
        'untrained, dense, 1-shot, folds 0, 1, 3; untrained, box, 1-shot, fold 0: strange',
        'a row: untrue',
    ]
