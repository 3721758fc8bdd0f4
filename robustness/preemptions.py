"""Runs a training of `shapes`, with its workdir in a bucket, on simulated preemptible machines.

    pip install -e '.[test]'
    python robustness/preemptions.py [--interruptions 10] [--devices 1 2 4] [--steps 80] [--grace 30] [--sudden 4] [--seed 0]
        [--workdir gs://MY_BUCKET/preempted]

Every machine gets SIGTERM after some steps, and SIGKILL if it is still there after --grace seconds. Every --sudden-th machine
gets SIGKILL at once; 0 is none. The next machine has the next number of devices of the list, and types the same command. By
default the bucket is emulated in the memory of this process.

At the end the result must be that of an uninterrupted training on the first number of devices:
- each step is in metrics.jsonl once;
- with one number of devices, losses and trained parameters are the same bit for bit;
- with several, sums are computed in another order, and rounding errors grow: after 80 steps at the learning rate of `shapes`
  losses differ by 10 %, interrupted or not. So the learning rate is divided by 200. Then the losses of all steps must agree
  within 1 % (with other episodes they would not), and the parameters within 0.1 % of their norm.
Prints a line for each machine. Exit status 1: a result differs, or a machine ended in the wrong way.
"""

import argparse
import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import panet_jax as pj
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import read_json_lines

ROOT = Path(__file__).parents[1]
PATIENCE = 600  # longest wait in seconds for a step, on a busy machine
LOSS_TOLERANCE, PARAMETER_TOLERANCE = 1e-2, 1e-3
SETTINGS = [
    *('--mode=train', '--config=configs/shapes.py', '--config.data.size=65', '--config.encoder.width=0.0625'),
    *('--config.batch=4', '--config.log_every=1', '--config.checkpoint_every=5', '--config.loader.threads=2'),
]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (('interruptions', 10), ('steps', 80), ('grace', 30), ('sudden', 4), ('seed', 0)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--devices', type=int, nargs='+', default=[1, 2, 4])
    parser.add_argument('--workdir', help='a folder, or gs://BUCKET/FOLDER; it must be new')
    options = parser.parse_args()
    if options.steps < 4 * options.interruptions:
        parser.error(f'--steps must be at least four for each interruption, {4 * options.interruptions}')
    return options


class Machine:
    """A machine that trains.

    Args:
        workdir: its --workdir.
        devices: number of its devices.
        settings: words of its command in addition to SETTINGS.
        log: file for its output.
    """

    def __init__(self, workdir: str, devices: int, settings: Sequence[str], log: Path):
        self._workdir, self._log = workdir_path(workdir), log
        self._first = self.last_step()
        flags = f'{os.environ.get("XLA_FLAGS", "")} --xla_force_host_platform_device_count={devices}'
        environment = os.environ | {'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': str(ROOT), 'XLA_FLAGS': flags}
        command = [sys.executable, '-m', 'panet_jax.main', *SETTINGS, *settings, f'--workdir={workdir}']
        with open(log, 'w') as file:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)

    def last_step(self) -> int:
        """The step of the last line of metrics.jsonl, 0 if there is none."""
        lines = read_json_lines(self._workdir / 'metrics.jsonl')
        return lines[-1]['step'] if lines else 0

    def _wait_for(self, step):
        """Waits until the training has made a step, has ended or has taken too long. Returns its last step."""
        deadline = time.monotonic() + PATIENCE
        while (last := self.last_step()) < step and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        return last

    def preempt(self, steps: int, grace: float) -> tuple[str, bool]:
        """Takes the machine away once it has made some steps.

        Args:
            steps: number of its steps before that.
            grace: seconds between SIGTERM and SIGKILL; 0 is SIGKILL at once.

        Returns:
            How it ended, in words, and whether it ended as it should.
        """
        try:
            step, started = self._wait_for(self._first + steps), time.monotonic()
            if grace:
                self._process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace)
        finally:
            self._process.kill()
        status = self._process.wait()
        # SIGKILL is expected after SIGTERM too, if the machine did not end in time: the next one repeats the lost steps.
        expected = (128 + signal.SIGTERM, -signal.SIGKILL) if grace else (-signal.SIGKILL,)
        words = f'at step {step}, status {status} after {time.monotonic() - started:.1f} s'
        return words if status in expected else f'{words}: {self._log.read_text()[-1500:]}', status in expected

    def finish(self) -> None:
        """Lets the machine train to the end.

        Raises:
            RuntimeError: the training failed.
        """
        try:
            status = self._process.wait()
        finally:
            self._process.kill()  # where the wait was interrupted
        if status != 0:
            raise RuntimeError(self._log.read_text()[-3000:])


def parameters(workdir):
    """All trained parameters, as one vector."""
    params = pj.load_encoder_params(workdir)
    return np.concatenate(
        [np.asarray(layer[part]).ravel() for _, layer in sorted(params.items()) for part in sorted(layer)]
    )


def differences(workdir, undisturbed, several):
    """What differs between two trainings; a list of sentences, empty if they are the same. Prints by how much."""
    lines, expected = ([*read_json_lines(workdir_path(run) / 'metrics.jsonl')] for run in (workdir, undisturbed))
    if [line['step'] for line in lines] != [line['step'] for line in expected]:
        return [f'metrics.jsonl has the steps {[line["step"] for line in lines]}']
    losses = np.array([[line['loss'] for line in run] for run in (lines, expected)])
    values = parameters(workdir), parameters(undisturbed)
    of_losses = float(np.abs(losses[0] / losses[1] - 1).max())
    of_values = float(np.linalg.norm(values[0] - values[1]) / np.linalg.norm(values[1]))
    print(f'losses differ by {of_losses:.1e} at most, parameters by {of_values:.1e} of their norm')
    bounds = (LOSS_TOLERANCE, PARAMETER_TOLERANCE) if several else (0, 0)
    names = zip(('losses', 'parameters'), (of_losses, of_values), bounds, strict=True)
    return [f'{name} differ by more than {bound}' for name, value, bound in names if value > bound]


def play(options, workdir, folder):
    """Trains undisturbed and interrupted. Returns failures, a list of sentences."""
    moments, failures = random.Random(options.seed), []
    settings, several = [f'--config.steps={options.steps}'], len(set(options.devices)) > 1
    settings += ['--config.optimizer.learning_rate=0.0001'] if several else []
    Machine(f'{workdir}/undisturbed', options.devices[0], settings, folder / 'undisturbed.log').finish()
    print(f'undisturbed: {options.steps} steps on {options.devices[0]} device(s)', flush=True)
    for number in range(1, options.interruptions + 1):
        count = options.devices[number % len(options.devices)]
        machine = Machine(f'{workdir}/interrupted', count, settings, folder / 'interrupted.log')
        sudden = options.sudden and number % options.sudden == 0
        steps = moments.randint(1, options.steps // options.interruptions - 2)
        words, right = machine.preempt(steps, 0 if sudden else options.grace)
        print(f'machine {number}, {count} device(s): {"SIGKILL" if sudden else "SIGTERM"} {words}', flush=True)
        failures += [] if right else [f'machine {number} ended {words}']
    Machine(f'{workdir}/interrupted', options.devices[0], settings, folder / 'interrupted.log').finish()
    return failures + differences(f'{workdir}/interrupted', f'{workdir}/undisturbed', several)


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no machine is left behind
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(folder / 'compiled'))
        if not options.workdir:
            sys.path.append(str(ROOT / 'tests'))
            from emulated_bucket import emulated_bucket

            # It reports each file that is not there yet.
            logging.getLogger('gcp_storage_emulator').setLevel(logging.CRITICAL)
            stack.enter_context(emulated_bucket('bucket'))
        failures = play(options, options.workdir or 'gs://bucket', folder)
    print(f'{options.interruptions} interruptions, {len(failures)} failure(s)', *failures, sep='\n')
    sys.exit(bool(failures))


if __name__ == '__main__':
    main()
