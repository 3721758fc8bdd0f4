"""Ends programs at random moments until they are done, and compares what they leave with an undisturbed run's.

    python robustness/kill_test.py [--kills 100] [--seed 0] [--jobs training preparing evaluation table predict]

A moment is one from the first line that a program prints, or the first file: what comes before are imports.
The jobs take turns; within one the signals do: SIGKILL, SIGTERM, SIGINT, SIGHUP. After each the same command
goes on in the same folder. At the end of a job its results must be those of the undisturbed run, trained
parameters bit for bit, and no temporary file may be left but by SIGKILL. Prints a line a kill. Exit status 1:
something differs, hangs, or ended in another way than it should.
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
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import panet_jax as pj
from panet_jax.datasets.prepared import Prepared

ROOT = Path(__file__).parents[1]
SIGNALS = [getattr(signal, name) for name in ('SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP') if hasattr(signal, name)]
PATIENCE = 300  # seconds for the end of a run, on a busy machine
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
    """A command that is killed.

    Attributes:
        command: of the job's folder and the folder of what all jobs share; a list of words.
        results: of the job's folder; what must be equal.
    """

    command: object
    results: object


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
    """What is read of it: the files themselves differ each time."""
    sources = [Prepared(path.parent) for path in sorted(folder.rglob('dataset_info.json'))]
    return [
        [array.tobytes() for sample in map(source.__getitem__, range(len(source))) for array in sample]
        for source in sources
    ]


def files(pattern, folder):
    """What the files of a pattern hold, without those that a SIGKILL has left half written under a hidden name."""
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
    """A folder of one's own: noise with a bright square of one of four classes."""
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
    """Runs jobs in a folder and ends them.

    Args:
        shared: folder of the undisturbed runs, and of what they need.
        moments: a random.Random.
    """

    def __init__(self, shared, moments):
        self.shared, self._moments = shared, moments
        self._seconds, self._wanted, self._signals = {}, {}, collections.Counter()
        self._left = set()  # temporary files that a SIGKILL left: nobody could remove them
        self.failures = []

    def undisturbed(self, name):
        """Runs a job to its end, notes how long it takes and what comes out."""
        for folder in (self.shared / f'{name}-compiling', self.shared / name):
            started = self.finish(name, folder)
            self._seconds[name] = time.monotonic() - started
        self._wanted[name] = JOBS[name].results(folder)
        return self._seconds[name]

    def start(self, name, folder):
        """Starts a job as a process of its own; what it says goes to a file beside the folder."""
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
        """Runs a job to its end; returns when it began."""
        process = self.start(name, folder)
        began = self._begins(process, folder)
        if (status := process.wait(PATIENCE)) != 0:
            log = folder.with_name(f'{folder.name}.log').read_text()
            self.failures.append(f'{name} ended with {status}: {log[-2000:]}')
        return began

    def _begins(self, process, folder):
        """Waits until a job has begun; returns when."""
        log = folder.with_name(f'{folder.name}.log')
        before = set(folder.rglob('*'))
        while process.poll() is None and not log.stat().st_size and set(folder.rglob('*')) == before:
            time.sleep(0.01)
        return time.monotonic()

    def kill(self, name, folder):
        """Starts a job and ends it at a random moment.

        Returns:
            Whether a signal was sent, whether the job is done, and what to print.
        """
        number = SIGNALS[self._signals[name] % len(SIGNALS)]
        process, moment = self.start(name, folder), self._moments.uniform(0, self._seconds[name])
        started, killed = self._begins(process, folder), False
        try:
            process.wait(moment)
            self._seconds[name] = time.monotonic() - started  # the machine has become faster
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
        # Python heeds no signal any more while it takes itself down: the job must be done then.
        ended = status == 0 or (status == -number and number != signal.SIGKILL)
        if not ended and status != (-number if number == signal.SIGKILL else 128 + number):
            self.failures.append(f'{name}: {text}: {folder.with_name(f"{folder.name}.log").read_text()[-2000:]}')
        left = temporary_files(folder)
        if number == signal.SIGKILL:
            self._left |= left
        return killed, ended, f'{text}, {len(left)} temporary'

    def compare(self, name, folder):
        """Checks what a job that is done has left."""
        if JOBS[name].results(folder) != self._wanted[name]:
            self.failures.append(f'{name}: the results in {folder} are not those of the undisturbed run')
        if left := temporary_files(folder) - self._left:
            self.failures.append(f'{name}: left behind {", ".join(map(str, left))}')


def temporary_files(folder):
    return {path for path in folder.rglob('*') if 'tmp' in path.name or 'incomplete' in path.name}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=100, help='over all jobs (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the moments (%(default)s)')
    parser.add_argument('--jobs', nargs='+', choices=list(JOBS), default=list(JOBS), help='(all)')
    options = parser.parse_args()
    for number in (signal.SIGINT, *SIGNALS[3:]):
        signal.signal(number, signal.SIG_DFL)  # a shell's background job ignores it, and so would what we start
    with tempfile.TemporaryDirectory() as place:
        killer = Killer(Path(place), random.Random(options.seed))
        draw_photographs(killer.shared / 'photographs')
        for name in dict.fromkeys(['training', *options.jobs]):  # the others take its network
            print(f'{name}, undisturbed: {killer.undisturbed(name):.1f} s', flush=True)
        run_all(killer, options)
    print(f'{options.kills} kills, {len(killer.failures)} failure(s)', *killer.failures, sep='\n')
    sys.exit(bool(killer.failures))


def run_all(killer, options):
    """Kills the jobs in turn; one that is done is compared, and begins in another folder."""
    folders, done = dict.fromkeys(options.jobs, 0), collections.Counter()
    kill = 0
    while kill < options.kills:
        name = options.jobs[kill % len(options.jobs)]
        folder = killer.shared / f'{name}-killed-{folders[name]}'
        killed, ended, text = killer.kill(name, folder)
        if ended:  # before the signal came, or with it
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
