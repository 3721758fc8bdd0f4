"""A workdir in a bucket, which is an emulator's: training, going on, evaluation, a table, TensorBoard's events."""

import json
import os
import signal
import sys

import jax
import numpy as np
import pytest
from emulated_bucket import emulated_bucket
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_program import TINY
from tiny import ROOT, tiny_config
from typed import run_typed

import panet_jax as pj
from panet_jax.compute.interrupts import Interrupted
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.saved_networks import checkpoint_steps
from panet_jax.disk.workdir import read_json_lines
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.training import train as training

pytestmark = pytest.mark.exhaustive


RUN = 'gs://bucket/run'


@pytest.fixture(scope='module')
def bucket():
    """What a process needs to find the bucket, in this process's environment too."""
    with emulated_bucket('bucket') as places:
        yield places


@pytest.fixture(scope='module')
def trained(bucket):
    """A training that a signal stopped, with what another one left that was killed while it saved, and that went on."""

    def interrupt(step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    workdir = workdir_path(RUN)
    with pytest.raises(Interrupted, match='step 2 is saved'):
        training.train(tiny_config(), RUN, after_step=interrupt)
    (workdir / 'checkpoints/3/params/manifest.ocdbt').write_bytes(b'half')
    assert checkpoint_steps(workdir) == [2]
    training.train(tiny_config(), RUN)
    return workdir


def test_a_training_in_a_bucket_goes_on_and_ends_like_one_on_disk(trained, tmp_path):
    training.train(tiny_config(), tmp_path)
    assert checkpoint_steps(trained) == [3, 6]
    jax.tree.map(np.testing.assert_array_equal, pj.load_encoder_params(RUN), pj.load_encoder_params(tmp_path))
    lines, local = (read_json_lines(path / 'metrics.jsonl') for path in (trained, tmp_path))
    assert [(line['step'], line['loss']) for line in lines] == [(line['step'], line['loss']) for line in local]
    events = EventAccumulator(f'{RUN}/tensorboard/training')
    events.Reload()
    assert [event.step for event in events.Scalars('training/loss')] == [2, 3, 4, 6]
    assert 'seen' in json.loads((trained / 'classes.json').read_text())


def test_an_evaluation_in_a_bucket_scores_as_on_disk_and_writes_all(trained, tmp_path):
    results = evaluate(tiny_config(), RUN)
    assert results['checkpoint'] == RUN
    weights = str(tmp_path / 'copy.safetensors')
    pj.save_encoder_params(weights, pj.load_encoder_params(RUN))
    local = evaluate(tiny_config(checkpoint='', **{'encoder.weights': weights}), tmp_path / 'run')
    assert results['class_iou'] == local['class_iou']
    evaluate(tiny_config(checkpoint='3'), RUN)
    assert [row['checkpoint_step'] for row in read_json_lines(trained / 'results.jsonl')] == [6, 3]
    assert (trained / 'report.html').read_text().count('data:image/webp') == 2
    events = EventAccumulator(f'{RUN}/tensorboard/evaluation-1way-1shot-dense-protocol-panet2019')
    events.Reload()
    assert [event.step for event in events.Images('pictures')] == [3, 6]


def test_the_program_makes_a_table_in_a_bucket(trained, bucket, tmp_path):
    words = ['main', f'--config={ROOT}/configs/shapes.py', '--workdir=gs://bucket/table', *TINY, '--mode=table']
    words += [f'--config.checkpoint={RUN}', '--config.table.folds=0,', '--config.table.shots=1,']
    words += ["--config.table.annotations=('dense',)"]
    for kept in (False, True):
        status, output = run_typed('program', words, tmp_path, bucket | {'JAX_PLATFORMS': 'cpu'})
        assert status == 0, output
        assert 'A bucket has no locks: let no other run write to gs://bucket/table meanwhile.' in output
        assert ('(kept)' in output) == kept
    table = workdir_path('gs://bucket/table')
    assert 'trained, dense, 1-shot' in (table / 'table.md').read_text()
    assert all((table / name).exists() for name in ('table.csv', 'table.json', 'report.html'))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['.typed.log']


def test_a_bucket_that_is_not_there_is_one_sentence_before_any_work(bucket, tmp_path):
    words = ['main', f'--config={ROOT}/configs/shapes.py', '--workdir=gs://nobodys/run', *TINY]
    status, output = run_typed('program', words, tmp_path, bucket | {'JAX_PLATFORMS': 'cpu'})
    assert status == 2, output
    assert (
        'panet_jax: gs://nobodys/run/.writable could not be written (there is no such bucket); name a bucket' in output
    )
    assert 'Traceback' not in output
    assert 'training:' not in output


@pytest.mark.parametrize('address', ['s3://bucket/run', 'gs:/bucket/run', 'gs://', 'https://host/run'])
def test_other_addresses_are_no_workdirs(address):
    with pytest.raises(pj.InputError, match='--workdir must be a path on this machine or gs://BUCKET/FOLDER'):
        workdir_path(address, '--workdir')


def test_without_gcsfs_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, 'gcsfs', None)
    with pytest.raises(
        pj.InputError, match=r"needs gcsfs, which is not installed; type pip install 'panet-jax\[gcs\]'"
    ):
        workdir_path(RUN)
