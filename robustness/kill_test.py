"""Kills programs at random times until they are done, and compares their results with those of an uninterrupted run.

    python robustness/kill_test.py [--kills 100] [--seed 0] [--jobs training preparing evaluation table predict]

Times count from the first line or file of a program, after its imports. The jobs take turns, and so do the signals of a job:
SIGKILL, SIGTERM, SIGINT, SIGHUP. After each kill the same command resumes in the same folder. When a job is done, its results
must be those of the uninterrupted run, trained parameters bit for bit, and no temporary file may be left except by SIGKILL.
Prints a line for each kill. Exit status 1: a result differs, or a program hung or ended in the wrong way.
"""

import argparse
import collections
import functools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import panet_jax as pj
from panet_jax.datasets.prepared import Prepared

ROOT = Path(__file__).parents[1]
SIGNALS = [getattr(signal, name) for name in ('SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP') if hasattr(signal, name)]
PATIENCE = 300  # longest wait in seconds for the end of a run, on a busy machine
SHAPES = [
    '--config=configs/shapes.py',
    '--config.data.size=33',
    '--config.encoder.width=0.03125',
    '--config.batch=2',
    '--config.log_every=1',
    '--config.checkpoint_every=2',
    '--config.steps=60',
    '--config.loader.threads=2',
    '--config.evaluation.runs=2',
    '--config.evaluation.batch=2',
    '--config.evaluation.pictures=2',
]
TABLE = "--config.checkpoint= --config.table.folds=(0,1) --config.table.shots=(1,2) --config.table.annotations=('box',)"


class Job(NamedTuple):
    """A command to be killed.

    Attributes:
        command: (folder of the job, folder that all jobs share) -> words of the command.
        results: folder of the job -> results, which must be equal.
    """

    command: Callable[[Path, Path], list[str]]
    results: Callable[[Path], object]


def program(*words):
    return [sys.executable, '-m', 'panet_jax.main', *SHAPES, *words]


def script(*words):
    return [sys.executable, '-c', 'from panet_jax.commands.cli import run; run()', *words]


def parameters(folder):
    params = pj.load_encoder_params(folder)
    return {
        f'{name} {part}': np.asarray(array).tobytes() for name, layer in params.items() for part, array in layer.items()
    }


def numbers(name, folder):
    return _without_seconds(json.loads((folder / name).read_text()))


def prepared(folder):
    """The images and labels of prepared lists; the files themselves differ each time."""
    sources = [Prepared(path.parent) for path in sorted(folder.rglob('dataset_info.json'))]
    return [
        [array.tobytes() for sample in map(source.__getitem__, range(len(source))) for array in sample]
        for source in sources
    ]


def files(pattern, folder):
    """The contents of the files of a pattern, without temporary files that a SIGKILL has left."""
    paths = set(folder.rglob(pattern)) - temporary_files(folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(paths) if path.is_file()}


def _without_seconds(tree):
    if isinstance(tree, list):
        return [_without_seconds(value) for value in tree]
    if isinstance(tree, dict):
        return {name: _without_seconds(value) for name, value in tree.items() if name != 'seconds'}
    return tree


JOBS = {
    'training': Job(lambda here, _: program('--mode=train', f'--workdir={here}'), parameters),
    'preparing': Job(
        lambda here, shared: script(
            'data', 'prepare', 'custom', f'--root={shared}/photographs', f'--prepared-dir={here}'
        ),
        prepared,
    ),
    'evaluation': Job(
        lambda here, shared: program(
            *('--mode=evaluate', f'--workdir={here}', f'--config.checkpoint={shared}/training'),
            '--config.evaluation.episodes=100',
        ),
        functools.partial(numbers, 'results.json'),
    ),
    'table': Job(
        lambda here, _: program('--mode=table', f'--workdir={here}', *TABLE.split(), '--config.evaluation.episodes=20'),
        functools.partial(numbers, 'table.json'),
    ),
    'predict': Job(
        lambda here, shared: script(
            *('predict', f'--support=square={shared}/photographs/images/0.jpg:box=20,20,60,60', f'--out={here}'),
            *(f'--query={shared}/photographs/images', f'--weights={shared}/training', '--size=33', '--probabilities'),
        ),
        functools.partial(files, '*'),
    ),
}


def draw_photographs(folder, count=150):
    """Writes a user's folder: noise with a bright square of one of four classes."""
    for name in ('images', 'masks'):
        (folder / name).mkdir(parents=True)
    (folder / 'classes.txt').write_text('one\ntwo\nthree\nfour\n')
    noise = np.random.default_rng(0)
    for index in range(count):
        image, mask = noise.integers(0, 120, (120, 160, 3), dtype=np.uint8), np.zeros((120, 160), np.uint8)
        image[20:60, 20:60] += 100
        mask[20:60, 20:60] = index % 4 + 1
        Image.fromarray(image).save(folder / 'images' / f'{index}.jpg')
        Image.fromarray(mask).save(folder / 'masks' / f'{index}.png')


class Killer:
    """Runs jobs and kills them.

    Args:
        shared: folder of the data and of the uninterrupted runs.
        moments: a random.Random, for the times of the kills.
    """

    def __init__(self, shared, moments):
        self.shared, self._moments = shared, moments
        self._seconds, self._expected, self._signals = {}, {}, collections.Counter()
        self._excused = set()  # temporary files after SIGKILL, which no program can remove
        self.failures = []

    def undisturbed(self, name):
        """Runs a job to its end, and notes its duration and results."""
        for folder in (self.shared / f'{name}-compiling', self.shared / name):
            started = self.finish(name, folder)
            self._seconds[name] = time.monotonic() - started
        self._expected[name] = JOBS[name].results(folder)
        return self._seconds[name]

    def start(self, name, folder):
        """Starts a job as a process; its output goes to a file beside the folder."""
        cache = self.shared / 'cache'
        environment = os.environ | {
            **{'JAX_COMPILATION_CACHE_DIR': str(cache), 'JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS': '0.1'},
            **{'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT)},
        }
        with open(folder.with_name(f'{folder.name}.log'), 'w') as log:
            return subprocess.Popen(
                JOBS[name].command(folder, self.shared), cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def finish(self, name, folder):
        """Runs a job to its end. Returns the time of its first output."""
        process = self.start(name, folder)
        began = self._begins(process, folder)
        if (status := process.wait(PATIENCE)) != 0:
            log = folder.with_name(f'{folder.name}.log').read_text()
            self.failures.append(f'{name} ended with {status}: {log[-2000:]}')
        return began

    def _begins(self, process, folder):
        """Waits for the first output of a job. Returns its time."""
        log = folder.with_name(f'{folder.name}.log')
        before = set(folder.rglob('*'))
        while process.poll() is None and not log.stat().st_size and set(folder.rglob('*')) == before:
            time.sleep(0.01)
        return time.monotonic()

    def kill(self, name, folder):
        """Starts a job and kills it at a random time.

        Returns:
            Whether a signal was sent, whether the job is done, and a line to print.
        """
        number = SIGNALS[self._signals[name] % len(SIGNALS)]
        process, moment = self.start(name, folder), self._moments.uniform(0, self._seconds[name])
        started, killed = self._begins(process, folder), False
        try:
            process.wait(moment)
            self._seconds[name] = time.monotonic() - started  # shorter than before: adjust to the speed of the machine
        except subprocess.TimeoutExpired:
            killed = True
            process.send_signal(number)
            self._signals[name] += 1
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            status = 'hangs'
        text = f'{number.name} after {moment:.1f} s, status {status}'
        # Python handles no signals while it shuts down: then the job must be done.
        ended = status == 0 or (status == -number and number != signal.SIGKILL)
        if not ended and status != (-number if number == signal.SIGKILL else 128 + number):
            self.failures.append(f'{name}: {text}: {folder.with_name(f"{folder.name}.log").read_text()[-2000:]}')
        temporary = temporary_files(folder)
        if number == signal.SIGKILL:
            self._excused |= temporary
        return killed, ended, f'{text}, {len(temporary)} temporary'

    def compare(self, name, folder):
        """Checks the results of a finished job."""
        if JOBS[name].results(folder) != self._expected[name]:
            self.failures.append(f'{name}: the results in {folder} are not those of the uninterrupted run')
        if temporary := temporary_files(folder) - self._excused:
            self.failures.append(f'{name}: temporary files {", ".join(map(str, temporary))}')


def temporary_files(folder):
    return {path for path in folder.rglob('*') if 'tmp' in path.name or 'incomplete' in path.name}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=100, help='number of kills, over all jobs (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the times (%(default)s)')
    parser.add_argument('--jobs', nargs='+', choices=list(JOBS), default=list(JOBS), help='(all)')
    options = parser.parse_args()
    for number in (signal.SIGINT, *SIGNALS[3:]):
        signal.signal(number, signal.SIG_DFL)  # background jobs of a shell ignore it, and so would our processes
    with tempfile.TemporaryDirectory() as place:
        killer = Killer(Path(place), random.Random(options.seed))
        draw_photographs(killer.shared / 'photographs')
        for name in dict.fromkeys(['training', *options.jobs]):  # the others use its network
            print(f'{name}, uninterrupted: {killer.undisturbed(name):.1f} s', flush=True)
        run_all(killer, options)
    print(f'{options.kills} kills, {len(killer.failures)} failure(s)', *killer.failures, sep='\n')
    sys.exit(bool(killer.failures))


def run_all(killer, options):
    """Kills the jobs in turn; a finished one is compared, and starts again in another folder."""
    folders, done = dict.fromkeys(options.jobs, 0), collections.Counter()
    kill = 0
    while kill < options.kills:
        name = options.jobs[kill % len(options.jobs)]
        folder = killer.shared / f'{name}-killed-{folders[name]}'
        killed, ended, text = killer.kill(name, folder)
        if ended:  # before the signal arrived, or despite it
            killer.compare(name, folder)
            folders[name] += 1
            done[name] += 1
        kill += killed
        print(
            f'kill {kill}: {name}, {text}{", done" * ended}' if killed else f'{name} was done before its kill',
            flush=True,
        )
    for name in options.jobs:
        folder = killer.shared / f'{name}-killed-{folders[name]}'
        killer.finish(name, folder)
        killer.compare(name, folder)
        print(f'{name}: done {done[name] + 1} time(s)', flush=True)


if __name__ == '__main__':
    main()
