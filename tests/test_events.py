"""What TensorBoard shows of a workdir, read with TensorBoard's own reader."""

import shutil

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny import tiny_config

from panet_jax.disk.workdir import read_json_lines
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.training import train as training

MEASURED = {'loss', 'segmentation', 'alignment', 'gradient_norm', 'learning_rate', 'episodes_per_second'}


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    workdir = tmp_path_factory.mktemp('trained')
    training.train(tiny_config(), workdir)
    return workdir


def read(workdir, run):
    """All that TensorBoard knows of a run."""
    events = EventAccumulator(str(workdir / 'tensorboard' / run))
    events.Reload()
    return events


def points(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


def assert_shows_the_lines(workdir):
    events, lines = read(workdir, 'training'), read_json_lines(workdir / 'metrics.jsonl')
    assert set(events.Tags()['scalars']) == {f'training/{name}' for name in MEASURED}
    for name in MEASURED:
        expected = [(line['step'], pytest.approx(line[name], rel=1e-6)) for line in lines]
        assert points(events, f'training/{name}') == expected


def test_training_shows_the_lines_of_metrics_jsonl(trained):
    assert_shows_the_lines(trained)


@pytest.mark.parametrize('start', [pytest.param(0, marks=pytest.mark.exhaustive), 3])
def test_a_training_that_goes_on_shows_no_step_twice(tmp_path, start):
    """It died after step 5, and its newest checkpoint is of step 3, or there is none."""
    training.train(tiny_config(steps=5, log_every=1), tmp_path)
    (tmp_path / 'encoder.safetensors').unlink()  # written at the end, to which it did not come
    for step in (3, 5) if start == 0 else (5,):
        shutil.rmtree(tmp_path / 'checkpoints' / str(step))
    training.train(tiny_config(), tmp_path)
    assert [line['step'] for line in read_json_lines(tmp_path / 'metrics.jsonl')][-3:] in ([3, 4, 6], [2, 3, 6])
    assert_shows_the_lines(tmp_path)


def test_evaluations_show_their_iou_and_pictures_by_step(trained, tmp_path):
    workdir = shutil.copytree(trained, tmp_path / 'copy')
    # In an order that is not that of the steps, and one of them twice.
    rows = {step: evaluate(tiny_config(checkpoint=name), workdir) for name, step in (('6', 6), ('', 0), ('6', 6))}
    folder = 'evaluation-1way-1shot-dense-protocol-panet2019'
    events = read(workdir, folder)
    scores = {f'evaluation/{name}': name for name in ('mean_iou', 'binary_iou', 'background_iou', 'foreground_iou')}
    shown = {tag: [(step, row[name]) for step, row in sorted(rows.items())] for tag, name in scores.items()}
    for name in rows[6]['class_iou']:
        known = [(step, row['class_iou'][name]) for step, row in sorted(rows.items())]
        shown |= {f'class_iou/{name}': known} if known[0][1] is not None else {}  # no query showed the class
    assert set(events.Tags()['scalars']) == set(shown)
    for tag, expected in shown.items():
        assert points(events, tag) == [(step, pytest.approx(value)) for step, value in expected]
    assert len(list((workdir / 'tensorboard' / folder).iterdir())) == 2  # this one and the one before
    sheets = [('untrained', 0), ('step-6', 6)]
    for image, (network, step) in zip(events.Images('pictures'), sheets, strict=True):
        path = workdir / 'pictures' / f'{network}-1way-1shot-dense-protocol-panet2019.png'
        assert (image.step, image.encoded_image_string) == (step, path.read_bytes())
        assert image.width > image.height > 100


@pytest.mark.exhaustive
def test_evaluations_of_other_settings_are_runs_of_their_own(trained, tmp_path):
    workdir = shutil.copytree(trained, tmp_path / 'copy')
    for settings in (
        {},
        {'evaluation.annotation': 'box'},
        {'evaluation.pictures': 0, 'evaluation.protocol': 'standard'},
    ):
        evaluate(tiny_config(**settings), workdir)
    runs = sorted(path.name for path in (workdir / 'tensorboard').iterdir())
    assert runs == [
        'evaluation-1way-1shot-box-protocol-panet2019',
        'evaluation-1way-1shot-dense-protocol-panet2019',
        'evaluation-1way-1shot-dense-protocol-standard',
        'training',
    ]
    values = {run: points(read(workdir, run), 'evaluation/mean_iou') for run in runs[:-1]}
    assert all(len(value) == 1 and np.isfinite(value[0][1]) for value in values.values())
    assert not read(workdir, runs[2]).Tags()['images']
