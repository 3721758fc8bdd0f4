"""Several processes: two real ones on loopback are one with as many devices."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from tiny import ROOT

from panet_jax.disk.workdir import read_json_lines

pytestmark = pytest.mark.exhaustive


CONFIG = [
    *('--config.data.size=33', '--config.encoder.width=0.03125', '--config.batch=4'),
    *('--config.log_every=1', '--config.checkpoint_every=100', '--config.loader.threads=2', '--config.episode.shots=2'),
    *('--config.evaluation.runs=2', '--config.evaluation.episodes=6', '--config.evaluation.batch=2'),
    *('--config.evaluation.pictures=1', '--config.evaluation.untrained=False'),
]


def start(workdir, *arguments, device_count, config='configs/shapes.py'):
    environment = os.environ | {
        'JAX_PLATFORMS': 'cpu',
        'PYTHONPATH': str(ROOT),
        'XLA_FLAGS': f'{os.environ["XLA_FLAGS"]} --xla_force_host_platform_device_count={device_count}',
    }
    command = [
        sys.executable,
        '-m',
        'panet_jax.main',
        f'--config={config}',
        *CONFIG,
        f'--workdir={workdir}',
        *arguments,
    ]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def start_two(workdir, *arguments, of_second=(), **options):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        coordinator = f'--coordinator=127.0.0.1:{free.getsockname()[1]}'
    return [
        start(
            workdir, *arguments, *extra, coordinator, '--processes=2', f'--process={number}', device_count=2, **options
        )
        for number, extra in enumerate([(), of_second])
    ]


def ended(*processes):
    """(status, stdout, stderr) of each."""
    try:
        outputs = [process.communicate(timeout=200) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, *output) for process, output in zip(processes, outputs, strict=True)]


def losses(workdir):
    return {line['step']: line['loss'] for line in read_json_lines(workdir / 'metrics.jsonl')}


@pytest.fixture(scope='module')
def alone(tmp_path_factory):
    """One process with four devices: five steps and an evaluation."""
    workdir = tmp_path_factory.mktemp('alone')
    ((status, _, errors),) = ended(start(workdir, '--config.steps=5', device_count=4))
    assert status == 0, errors
    return workdir


def test_two_processes_train_and_evaluate_as_one_and_one_device_goes_on(alone, tmp_path):
    primary, other = ended(*start_two(tmp_path, '--config.steps=3'))
    assert primary[0] == other[0] == 0, primary[2] + other[2]
    assert 'on 4 of 4 cpu device(s) of 2 processes, 1 episode(s) each a step' in primary[1]
    assert 'mean-IoU' in primary[1]
    assert '[Gloo]' in other[1] or not other[1]
    assert not re.search('[a-z]* panet_jax|step', other[1])
    assert list(losses(tmp_path)) == [1, 2, 3]
    ((status, _, errors),) = ended(start(tmp_path, '--config.steps=5', device_count=1))
    assert status == 0, errors
    wanted, resumed = losses(alone), losses(tmp_path)
    assert list(resumed) == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(list(resumed.values()), list(wanted.values()), rtol=2e-4)


def test_two_processes_count_the_same_pixels(alone, tmp_path):
    arguments = ('--mode=evaluate', f'--config.checkpoint={alone}')
    ((status, _, errors),) = ended(start(tmp_path / 'one', *arguments, device_count=2))
    assert status == 0, errors
    shared = ended(*start_two(tmp_path / 'two', *arguments))
    assert [status for status, _, _ in shared] == [0, 0], shared
    one, two = (json.loads((tmp_path / name / 'results.json').read_text()) for name in ('one', 'two'))
    assert one.pop('seconds') > 0
    assert two.pop('seconds') > 0
    assert one == two
    assert len(read_json_lines(tmp_path / 'two/results.jsonl')) == 1


def test_a_signal_to_either_process_stops_and_saves_both_at_the_same_step(tmp_path):
    processes = start_two(tmp_path, '--config.steps=100000', '--mode=train')
    deadline = time.time() + 200
    while len(losses(tmp_path)) < 3 and time.time() < deadline:
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGTERM)
    (status, _, said), (other_status, _, other_said) = ended(*processes)
    assert status == other_status == 143, said + other_said
    step = re.search(r'step (\d+) is saved', said)[1]
    assert f'step {step} is saved' in other_said
    assert (tmp_path / 'checkpoints' / step).is_dir()


def test_a_mistake_on_one_process_ends_all(alone, tmp_path):
    for status, _, errors in ended(*start_two(alone, '--config.data.fold=2', '--mode=train')):
        assert status == 2, errors
        assert 'holds another experiment: data.fold is 0 there and 2 here' in errors
    for status, _, errors in ended(*start_two(tmp_path, '--config.batch=6', '--mode=train')):
        assert status == 2, errors
        assert 'batch must be a multiple of 4, the devices of 2 processes, got 6; type --config.batch=8.' in errors


def test_another_configuration_on_one_process_ends_both(tmp_path):
    both = ended(*start_two(tmp_path, '--mode=train', of_second=['--config.log_every=3']))
    for status, _, errors in both:
        assert status == 2, errors
        assert 'the configuration must be the same on all processes' in errors


def test_a_signal_while_evaluating_ends_both(alone, tmp_path):
    processes = start_two(
        tmp_path / 'evaluation',
        *('--mode=evaluate', f'--config.checkpoint={alone}', '--config.evaluation.episodes=200000'),
    )
    assert any(line.startswith('evaluating') for line in processes[0].stdout)
    time.sleep(3)
    processes[1].send_signal(signal.SIGTERM)
    (status, _, errors), (other_status, _, other_errors) = ended(*processes)
    assert other_status == 143, other_errors
    assert 'stopped by SIGTERM' in other_errors
    assert status == 2, errors
    assert 'process 1 ended: stopped by SIGTERM' in errors


# A configuration whose process 1 meets a defect in the third batch that it reads.
DEFECT = """
    import os, sys
    sys.path.insert(0, 'configs')
    from panet_jax.episodes import loader
    from shapes import get_config
    stack, batches = loader.stack, []
    def failing(episodes):
        batches.append(0)
        if len(batches) == 3 and '--process=1' in sys.argv:
            raise ZeroDivisionError('a defect of the test')
        return stack(episodes)
    loader.stack = failing
"""


def test_an_exception_that_nobody_foresaw_on_one_process_ends_all_with_the_reason(tmp_path):
    config = tmp_path / 'defect.py'
    config.write_text(textwrap.dedent(DEFECT))
    processes = start_two(tmp_path, '--config.steps=100000', '--mode=train', config=config)
    processes[1].wait(timeout=200)  # its standard error is read once, below: lines read here would be lost there
    failed = time.monotonic()
    (status, _, errors), (other_status, _, other_errors) = ended(*processes)
    assert time.monotonic() - failed < 30
    assert other_status == 1, other_errors
    assert 'ZeroDivisionError: a defect of the test' in other_errors
    assert status == 2, errors
    assert 'process 1 ended: ZeroDivisionError: a defect of the test' in errors


def test_a_long_text_comes_to_the_other_processes_whole(alone, tmp_path):
    names = tuple(f'a class with a long name, number {number}' for number in range(200))
    for status, _, errors in ended(*start_two(alone, f'--config.data.unseen={names}', '--mode=train')):
        assert status == 2, errors
        assert 'Choose another --workdir, or the settings it was made with.' in errors


def test_a_checkpoint_that_is_due_by_time_is_saved_by_all_at_the_same_step(tmp_path):
    arguments = ('--config.steps=40', '--config.checkpoint_minutes=0.00001', '--mode=train')
    for status, _, errors in ended(*start_two(tmp_path, *arguments, '--config.log_every=100')):
        assert status == 0, errors
    assert len(losses(tmp_path)) > 10  # a line a checkpoint


def test_a_job_without_its_address_says_so():
    ((status, _, errors),) = ended(start('unused', '--distributed', device_count=1))
    assert status == 2
    assert 'could not join' in errors
    assert '--coordinator=HOST:PORT' in errors
