"""The log of a training: lines of metrics.jsonl, events for TensorBoard, and the terminal."""

import contextlib
import functools
import time
from collections.abc import Iterator

import jax
import numpy as np
import optax
from tqdm import tqdm

from panet_jax.compute import hosts
from panet_jax.errors import InputError
from panet_jax.training.run import Run

SHOWN = ('loss', 'segmentation', 'alignment')  # metrics of a printed line, where there is no progress bar

say = hosts.primary_only(functools.partial(print, flush=True))
say_above_bar = hosts.primary_only(tqdm.write)


class Log:
    """Collects the metrics of steps on the device, and writes lines of their means.

    Reading a metric waits for its step, so all metrics since the last line are read together. A Log is a context with a
    progress bar.

    Args:
        run: keeps the lines.
        schedule: learning rate by step.
        batch: episodes of a step.
        start: last finished step, 0 for a new training.
        steps: last step.
    """

    def __init__(self, run: Run, schedule: optax.Schedule, batch: int, start: int, steps: int):
        self._run, self._schedule, self._batch, self._start = run, schedule, batch, start
        self._pending, self._time = [], time.perf_counter()
        self._bar = tqdm(total=steps, initial=start, desc='training', unit='step', disable=hosts.bar_hidden())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    @contextlib.contextmanager
    def timing_compilation(self, step: int) -> Iterator[None]:
        """Prints how long the first step took to compile; the rate of episodes does not count that time.

        Args:
            step: the step inside the context.

        Yields:
            None.
        """
        before = time.perf_counter()
        yield
        if step == self._start + 1:
            self._time = time.perf_counter()
            say_above_bar(f'the step is compiled, in {self._time - before:.1f} s')

    def add(self, metrics: dict[str, jax.Array]) -> None:
        """Collects the metrics of a step, and waits until the step two steps earlier is done.

        Without the wait the bar would run ahead, and batches would pile up on the devices.

        Args:
            metrics: {name: [] float32}.
        """
        self._pending.append(metrics)
        if len(self._pending) > 2:
            jax.block_until_ready(self._pending[-3])
        self._bar.update()

    def write(self, step: int) -> None:
        """Writes the means of the metrics since the last line.

        Args:
            step: the newest step.

        Raises:
            InputError: a loss or a gradient is not finite; on all processes.
        """
        if not self._pending:
            return
        values = {name: np.array([float(m[name]) for m in self._pending]) for name in self._pending[0]}
        self._check_finite(step, values)
        now = time.perf_counter()
        line = {'step': step} | {name: float(value.mean()) for name, value in values.items()}
        line['learning_rate'] = float(self._schedule(step - 1))
        line['episodes_per_second'] = self._batch * len(self._pending) / (now - self._time)
        self._run.add_line(line)
        self._show(line)
        self._pending, self._time = [], now

    def _check_finite(self, step, values):
        """Raises an InputError with the first step whose loss or gradient is not finite."""
        bad = np.flatnonzero(~np.isfinite(values['loss'] + values['gradient_norm']))
        if bad.size:
            first = step - len(self._pending) + 1 + int(bad[0])
            quantity = 'loss' if not np.isfinite(values['loss'][bad[0]]) else 'gradient'
            raise InputError.on_all(
                f'the {quantity} became non-finite at step {first}; the last good checkpoint is '
                f'{self._run.saved or "none"}. Try a smaller {{optimizer.learning_rate}} or '
                '{optimizer.clip_norm=1}, in another --workdir.'
            )

    def _show(self, line):
        """Shows a line in the progress bar, or prints it where there is no bar, as in a batch job."""
        if self._bar.disable:
            metrics = ' '.join(f'{name} {line[name]:.3f}' for name in SHOWN)
            say(f'step {line["step"]}: {metrics}, {line["episodes_per_second"]:.1f} episodes/s')
        else:  # short enough for 80 columns, beside the steps and their rate
            self._bar.set_postfix_str(f'loss {line["loss"]:.3f}')
