"""The program as a user types it: what it prints and its exit status."""

import ast
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import make_coco, make_own, make_voc
from tiny import ROOT, load_config
from typed import run_typed

from panet_jax.config import check_config
from panet_jax.errors import InputError

TINY = [
    '--config.data.size=33',
    '--config.encoder.width=0.03125',
    '--config.steps=4',
    '--config.batch=2',
    '--config.log_every=2',
    '--config.checkpoint_every=2',
    '--config.evaluation.runs=1',
    '--config.evaluation.episodes=4',
    '--config.evaluation.batch=2',
    '--config.evaluation.pictures=1',
    '--config.loader.threads=2',
]


@pytest.fixture(autouse=True)
def own_prepared_data(tmp_path):
    ENVIRONMENT['TFDS_DATA_DIR'] = str(tmp_path / 'prepared')


ENVIRONMENT = {'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)}


def environment():
    return os.environ | ENVIRONMENT


def program(*arguments, folder=ROOT):
    command = [sys.executable, '-m', 'panet_jax.main', *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)


def test_main_job_trains_then_evaluates(tmp_path):
    done = program('--config=configs/shapes.py', f'--workdir={tmp_path}', *TINY)
    assert done.returncode == 0, done.stderr
    assert 'untrained' in done.stdout
    assert 'step 4' in done.stdout
    assert 'mean-IoU' in done.stdout
    assert 'Warning' not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {
        *('.lock', 'config.json', 'classes.json', 'checkpoints', 'metrics.jsonl', 'encoder.safetensors'),
        *('results.json', 'results.jsonl', 'pictures', 'report.html', 'tensorboard'),
    }
    # The same command again has nothing to train and says the same.
    again = program('--config=configs/shapes.py', f'--workdir={tmp_path}', *TINY)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-4:-1] == done.stdout.splitlines()[-4:-1]


MISTAKES = {
    'no config': ([], 'name an experiment'),
    'no such config': (['--config=configs/nope.py'], "no configuration file 'configs/nope.py'"),
    'preset': (['--config=configs/shapes.py:lte'], "must be 'lite'"),
    'flag': (['--config=configs/shapes.py', '--workdr=x'], 'has no option --workdr; did you mean --workdir?'),
    'setting': (['--config=configs/shapes.py', '--config.stps=3'], 'Did you mean "steps"'),
    'type': (['--config=configs/shapes.py', '--config.steps=many'], "--config.steps wants a whole number, got 'many'"),
    'mode': (
        ['--config=configs/shapes.py', '--mode=trian'],
        "--mode must be one of train, evaluate, table, got 'trian'",
    ),
    'argument': (['--config=configs/shapes.py', 'train'], "takes no further argument, got 'train'"),
    'fold': (['--config=configs/shapes.py', '--config.data.fold=7'], 'fold must be 0, 1, 2 or 3, got 7.'),
    'root': (['--config=configs/pascal5i.py', '--config.data.root=/nowhere'], "PASCAL VOC's layout"),
    'no root': (['--config=configs/custom.py'], '--config.data.root=FOLDER'),
    'test list': (
        ['--config=configs/shapes.py', '--config.data.test_split=val', *TINY],
        "'train' and 'test', got 'val'",
    ),
    'ways': (['--config=configs/shapes.py', '--config.episode.ways=6', *TINY], 'a 6-way episode needs 6 classes'),
    'checkpoint': (['--config=configs/shapes.py', '--config.checkpoint=nonsense', *TINY], 'nonsense is not a workdir'),
    'no Python': (['--config=README.md'], 'README.md is not valid Python'),
    'no get_config': (['--config=tests/tiny.py'], 'has no function get_config'),
    'weights': (['--config=configs/shapes.py', '--config.encoder.weights=gone.pth'], 'there is no file gone.pth'),
    'unwritable': (['--config=configs/shapes.py', '--workdir=/proc/none', *TINY], '/proc/none'),
    'nothing trained': (['--config=configs/shapes.py', '--mode=evaluate', '--workdir=nowhere'], 'train first'),
}


@pytest.mark.parametrize(('arguments', 'sentence'), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence_and_status_2(tmp_path, arguments, sentence):
    for name in ('configs', 'tests', 'README.md'):
        (tmp_path / name).symlink_to(ROOT / name)
    done = program(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert 'Traceback' not in done.stderr
    assert 'step 4' not in done.stdout  # found before anything was trained
    assert len([line for line in done.stderr.splitlines() if line.startswith('panet_jax: ')]) == 1


def start_long_run(workdir):
    arguments = [
        '--config=configs/shapes.py',
        f'--workdir={workdir}',
        *TINY,
        '--config.steps=100000',
        '--config.log_every=1',
    ]
    command = [sys.executable, '-m', 'panet_jax.main', *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end and process.poll() is None:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize(
    'number',
    [
        signal.SIGTERM,
        *(pytest.param(number, marks=pytest.mark.exhaustive) for number in (signal.SIGINT, signal.SIGUSR1)),
    ],
)
def test_a_signal_ends_the_program_with_its_step_saved(tmp_path, number):
    with start_long_run(tmp_path) as process:
        wait_for((tmp_path / 'metrics.jsonl').exists, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f'stopped by {number.name}; step' in errors
    assert 'Traceback' not in errors
    saved = max(int(path.name) for path in (tmp_path / 'checkpoints').iterdir() if path.name.isdigit())
    assert f'step {saved} is saved' in errors


# It takes the terminal as its own session's, which is what the kernel tells when it closes.
IN_A_TERMINAL = """
import fcntl, runpy, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
runpy.run_module('panet_jax.main', run_name='__main__', alter_sys=True)
"""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != 'linux', reason='pseudo-terminals differ')
def test_a_terminal_that_closes_ends_the_program_with_its_step_saved(tmp_path):
    """Every line printed from then on is an error; the end must be reached all the same."""
    terminal, inside = os.openpty()
    command = [sys.executable, '-c', IN_A_TERMINAL, '--config=configs/shapes.py', f'--workdir={tmp_path}', *TINY]
    with subprocess.Popen(
        [*command, '--config.steps=100000', '--config.checkpoint_every=100000'],
        **dict.fromkeys(('stdin', 'stdout', 'stderr'), inside),
        start_new_session=True,
        cwd=ROOT,
        env=environment(),
    ) as process:
        os.close(inside)
        os.set_blocking(terminal, False)
        try:
            wait_for(lambda: read_all(terminal) or (tmp_path / 'metrics.jsonl').exists(), process)
            os.close(terminal)
            assert process.wait(120) == 128 + signal.SIGHUP
        finally:
            process.kill()  # or it would train on, and the tests would wait for it
    assert [path.name for path in (tmp_path / 'checkpoints').iterdir() if path.name.isdigit()]


def read_all(terminal):
    with contextlib.suppress(BlockingIOError):
        while os.read(terminal, 4096):
            pass


@pytest.mark.exhaustive
def test_kill_minus_9_leaves_a_checkpoint_to_go_on_from(tmp_path):
    """The step after the kill is the one after the newest whole checkpoint, and the run then ends well."""
    with start_long_run(tmp_path) as process:
        wait_for((tmp_path / 'checkpoints' / '2').exists, process)
        process.kill()
    steps = [int(path.name) for path in (tmp_path / 'checkpoints').iterdir() if path.name.isdigit()]
    last = max(steps) + 3
    done = program(
        '--config=configs/shapes.py', f'--workdir={tmp_path}', '--mode=train', *TINY, f'--config.steps={last}'
    )
    assert done.returncode == 0, done.stderr
    logged = [json.loads(line)['step'] for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
    assert logged == sorted(set(logged))
    assert logged[-1] == last


BUCKET = 'gs://bucket/folder'


@pytest.mark.parametrize(
    'flag',
    [
        *('--config.data.root', '--config.data.prepared_dir', '$TFDS_DATA_DIR'),
    ],
)
def test_data_in_a_bucket_are_refused_before_any_work(tmp_path, flag):
    words = ['main', f'--config={ROOT}/configs/pascal5i.py', *([] if flag.startswith('$') else [f'{flag}={BUCKET}'])]
    places = {'TFDS_DATA_DIR': BUCKET if flag.startswith('$') else 'here', 'PANET_JAX_CACHE': str(tmp_path)}
    status, output = run_typed('program', words, tmp_path, places)
    assert status == 2, output
    assert f'panet_jax: {flag} must be a path on this machine, got {BUCKET}' in output
    assert [path.name for path in tmp_path.iterdir()] == ['.typed.log']


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ('name', 'make', 'split', 'classes'),
    [('pascal5i', make_voc, 'trainval', 20), ('coco20i', make_coco, 'train2014', 4)],
)
def test_folders_of_photographs_train_and_evaluate(tmp_path, name, make, split, classes):
    make(tmp_path / 'data', count=60, classes=classes)
    splits = [f'--config.data.{part}_split={split}' for part in ('train', 'test')]
    done = program(
        *(f'--config=configs/{name}.py:lite', f'--workdir={tmp_path}/run', f'--config.data.root={tmp_path}/data'),
        *(*splits, '--config.encoder.weights=random', '--config.data.fold=1', *TINY),
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert (results['dataset'], results['split'], results['fold']) == (name, split, 1)
    assert len(results['class_iou']) == classes // 4
    assert results['checkpoint_step'] == 4


@pytest.mark.exhaustive
def test_a_table_of_photographs(tmp_path):
    make_voc(tmp_path, count=60, classes=20)
    done = program(
        *('--config=configs/pascal5i.py:lite', f'--workdir={tmp_path}/table', f'--config.data.root={tmp_path}'),
        *('--config.data.test_split=trainval', '--config.encoder.weights=random', '--mode=table', *TINY),
        *('--config.checkpoint=', '--config.table.shots=(1,2)', '--config.table.folds=(0,3)'),
        *("--config.table.annotations=('scribble',)", '--config.evaluation.draw=panet2019'),
        '--config.evaluation.protocol=standard',
    )
    assert done.returncode == 0, done.stderr
    assert '1 run(s) x 4 episodes, protocol standard' in done.stdout
    assert 'no mean, because it needs all four folds, but 1, 2 is missing' in done.stdout
    assert 'but not exactly their episodes' in done.stdout
    rows = json.loads((tmp_path / 'table/table.json').read_text())['cells']
    assert [(row['shots'], row['fold'], row['protocol']) for row in rows] == [
        *((1, 0, 'standard'), (1, 3, 'standard')),
        *((2, 0, 'standard'), (2, 3, 'standard')),
    ]


@pytest.mark.exhaustive
def test_photographs_of_ones_own_train_and_evaluate(tmp_path):
    make_own(tmp_path / 'own', by_class=True, count=12)
    (tmp_path / 'own/images/photo 3.jpg').write_bytes(b'broken')
    arguments = (
        *('--config=configs/custom.py:lite', f'--workdir={tmp_path}/run', f'--config.data.root={tmp_path}/own'),
        *("--config.data.unseen=('dog',)", '--config.encoder.weights=random', *TINY),
    )
    refused = program(*arguments)
    assert refused.returncode == 2
    assert 'photo 3.jpg is no image' in refused.stderr
    assert '--config.data.skip_unreadable=True' in refused.stderr
    assert refused.stderr.count('\n') == 1
    done = program(*arguments, '--config.data.skip_unreadable=True', '--config.data.cache=True')
    assert done.returncode == 0, done.stderr
    assert 'custom all without 1 unreadable image(s), named classes' in done.stdout
    results = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert list(results['class_iou']) == ['dog']
    assert (results['images'], results['skipped_images']) == (11, 1)
    plain = program(*arguments, '--config.data.skip_unreadable=True', '--mode=evaluate', '--config.loader.workers=1')
    assert plain.returncode == 0, plain.stderr
    assert 'Error' not in plain.stderr
    again = json.loads((tmp_path / 'run' / 'results.json').read_text())
    assert again['class_iou'] == results['class_iou']


@pytest.mark.exhaustive
def test_a_class_with_too_few_images_is_named(tmp_path):
    make_voc(tmp_path, count=12, classes=4)
    done = program(
        *('--config=configs/pascal5i.py:lite', f'--workdir={tmp_path}/run', f'--config.data.root={tmp_path}'),
        *('--config.data.train_split=trainval', '--config.encoder.weights=random', *TINY),
        '--config.data.test_split=trainval',
    )
    assert done.returncode == 2
    assert (
        "class 5 (bottle) has 0 images in 'trainval', but an episode needs 1 support and 1 query images" in done.stderr
    )


@pytest.mark.parametrize('name', ['shapes', 'pascal5i', 'coco20i', 'custom'])
@pytest.mark.parametrize('preset', ['', 'lite'])
def test_every_config_loads_is_locked_and_valid(name, preset):
    config = load_config(name, preset)
    check_config(config)
    assert config.name == (f'{name}-lite' if preset else name)
    assert config.is_locked
    if name != 'shapes' and not preset:
        assert (config.steps, config.optimizer.learning_rate, config.data.size) == (30_000, 1e-3, 417)
        assert (config.evaluation.runs, config.evaluation.episodes) == (5, 200 if name == 'custom' else 1000)
        assert config.optimizer.clip_norm == 0


@pytest.mark.parametrize(
    ('setting', 'value', 'message'),
    [
        ('batch', 0, 'batch must be at least 1, got 0'),
        ('evaluation.episodes', 0, 'evaluation.episodes must be at least 1'),
        ('encoder.dtype', 'int8', 'dtype must be float32, tf32 or bfloat16, got int8'),
        ('encoder.width', 0.3, 'multiple of 1/64'),
        ('evaluation.protocol', 'hsnet', 'protocol must be panet2019 or standard, got hsnet'),
        ('evaluation.annotation', 'click', 'evaluation.annotation must be dense, scribble or box, got click'),
        ('evaluation.draw', 'random', 'evaluation.draw must be seeded or panet2019, got random'),
        ('evaluation.pictured', 'best', 'evaluation.pictured must be random, worst, first, or numbers'),
        ('table.folds', (0, 4), r'table.folds must be one or more, each of 0, 1, 2, 3; got \(0, 4\)'),
        ('table.shots', (), r'table.shots must be one or more, each a whole number from 1; got \(\)'),
        ('table.shots', ('a',), r'each a whole number from 1; got'),
        ('table.annotations', ('dense', 'dot'), 'table.annotations must be .*each of dense, scribble, box'),
        ('evaluation.pictured', '3,1000', 'numbers of episodes up to 199 such as'),
        ('evaluation.pictured', ','.join(map(str, range(70))), 'evaluation.pictured may name at most 50 .*, got 70'),
        ('evaluation.pictures', 60, 'evaluation.pictures must be at most 50, got 60'),
        ('optimizer.milestones', (10, 'x'), r'milestones must be steps, such as 10000,20000, got \(10, .x.\)'),
        ('data.unseen', (1, 2), r'data.unseen must be names, got \(1, 2\)'),
        ('data.fold_rule', 'alphabetical', r'fold_rule must be contiguous, 4x\+i or random, got alphabetical'),
        ('data.unseen_images', 'keep', 'unseen_images must be background or drop, got keep'),
        ('loader.workers', -1, 'loader.workers must be at least 0'),
    ],
)
def test_values_out_of_range_are_named(setting, value, message):
    config = load_config('shapes')
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(InputError, match=message):
        check_config(config)


PURE = (
    *sorted(f'method/{path.stem}' for path in (ROOT / 'panet_jax/method').glob('[a-z]*.py')),
    *('images/resize', 'images/scribbles', 'images/class_masks', 'datasets/folds', 'episodes/annotations'),
    *('episodes/authors', 'evaluation/image_sums', 'evaluation/identity'),
    *('evaluation/protocols', 'results/paper', 'results/charts', 'results/names'),
)
EFFECTS = {'os', 'time', 'absl', 'orbax', 'pathlib', 'tqdm', 'matplotlib', 'grain', 'ml_collections'}


def imported_modules(path):
    """Names of the modules that a file imports, but for those that only its types need."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING':
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize('name', PURE)
def test_pure_files_have_no_effects(name):
    path = Path(ROOT / 'panet_jax' / f'{name}.py')
    assert not {module.split('.')[0] for module in imported_modules(path)} & EFFECTS
    assert 'print(' not in path.read_text()


def test_pmap_is_in_one_file():
    users = [path.name for path in (ROOT / 'panet_jax').rglob('*.py') if 'pmap(' in path.read_text()]
    assert users == ['devices.py']
