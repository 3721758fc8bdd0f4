"""The files of a training in its workdir: checkpoints, metrics, the trained network. Only the primary uses them."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator

import jax
import optax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.disk.experiment import TrainingData, note_data
from panet_jax.disk.paths import AnyPath
from panet_jax.disk.workdir import TRAINED, append_json_line, keep_json_lines, locked, read_classes, write_json
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.networks.initial import InitialNetwork
from panet_jax.networks.trained import about_training, checked_history
from panet_jax.networks.weights import save_params
from panet_jax.results.tensorboard import add_training_events, begin_training_events
from panet_jax.training.step import create_state


@contextlib.contextmanager
def open_run(workdir: AnyPath, config: ConfigDict, *, now: Callable[[], float] = time.monotonic) -> Iterator['Run']:
    """Opens the Run of a training, and locks its workdir.

    Args:
        workdir: folder to read and write; it is made.
        config: the experiment.
        now: clock in seconds, for config.checkpoint_minutes.

    Yields:
        The Run.

    Raises:
        InputError: another run holds the workdir, or it cannot be written to; on all processes.
    """
    with contextlib.ExitStack() as stack:

        def open_checkpoints():
            stack.enter_context(locked(workdir))
            return stack.enter_context(Checkpoints(workdir, config.checkpoints_kept))

        checkpoints = hosts.on_primary(open_checkpoints)
        yield Run(workdir, config, checkpoints, Clock(config.checkpoint_minutes, now))


class Run:
    """The workdir of a running training.

    Every process of a job makes the same calls, but only the primary reads and writes; on the others the methods return
    None.

    Attributes:
        saved: step of the newest checkpoint, 0 for none; the same on every process.
    """

    def __init__(self, workdir: AnyPath, config: ConfigDict, checkpoints: Checkpoints | None, clock: 'Clock'):
        self._workdir, self._config, self._checkpoints, self._clock = workdir, config, checkpoints, clock
        self._events = None
        self.saved = 0

    def first_state(
        self, initial: InitialNetwork, optimizer: optax.GradientTransformation, data: TrainingData
    ) -> TrainState:
        """The state to train from: that of the newest checkpoint or, without one, of the initial network.

        Writes config.json and classes.json. The initial weights are read only if there is no checkpoint.

        Args:
            initial: the network before its training.
            optimizer: the optimizer.
            data: the data of the training.

        Returns:
            The state, the same on every process.

        Raises:
            InputError: a checkpoint is damaged or beyond config.steps, the data have changed, or the initial network was
                trained on unseen classes.
        """
        fresh = functools.partial(create_state, optimizer=optimizer)
        shapes = jax.eval_shape(fresh, initial.encoder.shapes())

        def first():
            resumed = bool(self._checkpoints.steps())
            state = self._checkpoints.restore(shapes) if resumed else fresh(initial.load())
            if state.step > self._config.steps:
                raise InputError(
                    f'{self._workdir} is already at step {state.step}, beyond {{steps=}}{self._config.steps}.'
                )
            self._note(data, initial.origin(None if resumed else state.params), resumed)
            return state

        return hosts.from_primary(first, shapes)

    def _note(self, data, weights, resumed):
        """Checks that the experiment may begin or resume here, and notes it."""
        noted = (read_classes(self._workdir) or {'seen': data.seen}) if resumed else None
        # An earlier version did not note what the initial weights had been trained on.
        before = (noted or {}).get('before') or checked_history(weights, data.unseen)._asdict()
        note_data(self._workdir, data, before, noted)
        write_json(self._workdir / 'config.json', self._config.to_dict())

    def begin_steps(self, start: int) -> None:
        """Prepares metrics.jsonl and the events for the next steps.

        Lines of later steps are removed: a run that crashed repeats the steps after its last checkpoint.

        Args:
            start: step of the newest checkpoint, 0 for none.
        """
        self._note_saved(start)
        self._begin_lines(start)

    @hosts.primary_only
    def _begin_lines(self, start):
        keep_json_lines(self._workdir / 'metrics.jsonl', lambda line: line['step'] <= start)
        self._events = begin_training_events(self._workdir, start)

    @hosts.primary_only
    def add_line(self, line: dict[str, float]) -> None:
        """Adds a line to metrics.jsonl and to TensorBoard's events.

        Args:
            line: 'step' and the metrics, by name.
        """
        append_json_line(self._workdir / 'metrics.jsonl', line)
        values = {name: value for name, value in line.items() if name != 'step'}
        add_training_events(self._events, line['step'], values)

    def save(self, state: TrainState, step: int) -> None:
        """Saves a checkpoint in the background.

        Args:
            state: the state.
            step: its step.

        Raises:
            InputError: there is too little room.
        """
        self._save(state)
        self._note_saved(step)

    @hosts.primary_only
    def _save(self, state):
        self._checkpoints.save(state)

    def _note_saved(self, step):
        self.saved = step
        self._clock.restart()

    @hosts.primary_only
    def save_due(self) -> bool:
        """Whether enough time has passed since the last checkpoint. Only the primary decides, as clocks differ."""
        return self._clock.due()

    @hosts.primary_only
    def save_network(self, encoder: Encoder, state: TrainState) -> None:
        """Writes encoder.safetensors, after all checkpoints are on disk.

        Args:
            encoder: the encoder of the network.
            state: the last state.
        """
        self._checkpoints.wait()
        about = about_training(self._workdir, int(state.step))
        save_params(self._workdir / TRAINED, encoder, jax.device_get(state.params), about)


class Clock:
    """Measures the time since the last checkpoint.

    Args:
        minutes: minutes between checkpoints; 0 is never.
        now: clock in seconds.
    """

    def __init__(self, minutes: float, now: Callable[[], float] = time.monotonic):
        self._seconds, self._now = 60 * minutes or float('inf'), now
        self.restart()

    def restart(self) -> None:
        """Starts again from zero."""
        self._last = self._now()

    def due(self) -> bool:
        """Whether the time is over. Then it restarts at once: with several processes the checkpoint is one step later."""
        due = self._now() - self._last >= self._seconds
        if due:
            self.restart()
        return due
