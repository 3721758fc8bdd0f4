"""Kills a short training at random moments until it ends, and compares it with one left alone.

    python benchmarks/kill_test.py [--kills 10] [--seed 0]

Each kill is SIGKILL, at a random moment of the run; a checkpoint is written every second step, so
that many kills fall into a save. Prints what each left, and fails unless the parameters are the same
to the bit.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np

import panet_jax as pj

ROOT = Path(__file__).parents[1]
STEPS = 300
SMALL = (
    '--config.data.size=65 --config.encoder.width=0.125 --config.batch=2 --config.log_every=1 '
    f'--config.checkpoint_every=2 --config.steps={STEPS} --mode=train'
).split()


def start(workdir, compiled):
    command = [sys.executable, '-m', 'panet_jax.main', '--config=configs/shapes.py', f'--workdir={workdir}', *SMALL]
    environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': str(compiled), 'JAX_PLATFORMS': 'cpu'}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)


def saved(workdir):
    return sorted(path.name for path in (workdir / 'checkpoints').glob('*'))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--seed', type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if start(folder / 'whole', folder / 'compiled').wait():
            sys.exit('the uninterrupted run failed')
        workdir, torn = folder / 'killed', 0
        for kill in range(1, options.kills + 1):
            before = saved(workdir)
            process = start(workdir, folder / 'compiled')
            while process.poll() is None and saved(workdir) == before:  # until it saves something of its own
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 0.3))
            if process.poll() is not None:
                sys.exit(f'the run ended by itself, with status {process.returncode}, before kill {kill}')
            process.kill()
            process.wait()
            torn += any('tmp' in name for name in saved(workdir))
            print(f'kill {kill}: left {" ".join(saved(workdir))}', flush=True)
        if start(workdir, folder / 'compiled').wait():
            sys.exit('the killed run did not go on')
        whole, killed = pj.load_encoder_params(folder / 'whole'), pj.load_encoder_params(workdir)
        same = jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), whole, killed)
        print(
            f'{options.kills} kills, {torn} of them during a save; parameters the same bit for bit: {all(jax.tree.leaves(same))}'
        )
        sys.exit(not all(jax.tree.leaves(same)))


if __name__ == '__main__':
    main()
