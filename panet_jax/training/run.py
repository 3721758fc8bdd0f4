"""The files of a training in its workdir: its settings, its data, checkpoints, metrics, the trained network.

Only the primary uses them. What the data were is a TrainingData, in classes.json.
"""

import contextlib
import functools
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import optax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.disk.paths import AnyPath
from panet_jax.disk.saved_networks import TRAINED
from panet_jax.disk.workdir import CLASSES, append_json_line, keep_json_lines, locked, read_classes, write_json
from panet_jax.episodes.assembly import Episodes
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.networks.history import History, checked_history
from panet_jax.networks.initial import InitialNetwork
from panet_jax.networks.weights import save_params
from panet_jax.results.tensorboard import add_training_events, begin_training_events
from panet_jax.training.step import create_state

LOGGER = logging.getLogger(__name__)


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
        self._events = self._past = None
        self.saved = 0

    def first_state(
        self, initial: InitialNetwork, optimizer: optax.GradientTransformation, episodes: Episodes
    ) -> TrainState:
        """The state to train from: that of the newest checkpoint or, without one, of the initial network.

        Writes config.json and classes.json, and prepares metrics.jsonl and the events for the next steps. The initial
        weights are read only if there is no checkpoint.

        Args:
            initial: the network before its training.
            optimizer: the optimizer.
            episodes: the training episodes.

        Returns:
            The state, the same on every process.

        Raises:
            InputError: a checkpoint is damaged or beyond config.steps, the data have changed, or the initial network was
                trained on unseen classes.
        """
        data = _data_of(self._config.data, episodes)
        fresh = functools.partial(create_state, optimizer=optimizer)
        shapes = jax.eval_shape(fresh, initial.encoder.shapes())

        def first():
            resumed = bool(self._checkpoints.steps())
            state = self._checkpoints.restore(shapes) if resumed else fresh(initial.load())
            past = self._past_of_resumed(int(state.step), data) if resumed else None
            # An earlier version did not note what the initial weights had been trained on.
            past = past or checked_history(initial.weights, data.unseen, None if resumed else state.params)
            self._past = History(self._config.data.name, (*data.seen, *past.seen), past.unknown)
            write_json(self._workdir / CLASSES, {'seen': data.seen, 'data': data.facts, 'before': past._asdict()})
            write_json(self._workdir / 'config.json', self._config.to_dict())
            if state.step < self._config.steps:
                self._begin_lines(int(state.step))
            return state

        state = hosts.from_primary(first, shapes)
        self._note_saved(int(state.step))
        return state

    def _past_of_resumed(self, step, data):
        """Checks that the training may resume here; the History of its initial weights, if that is noted."""
        if step > self._config.steps:
            raise InputError(f'{self._workdir} is already at step {step}, beyond {{steps=}}{self._config.steps}.')
        noted = read_classes(self._workdir) or {'seen': data.seen}
        _check_same_data(self._workdir, noted, data)
        return History(**noted['before']) if 'before' in noted else None

    def _begin_lines(self, start):
        """Removes the lines of steps after the newest checkpoint: a run that crashed repeats them."""
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
        if self._checkpoints:  # on the primary
            self._checkpoints.save(state)
        self._note_saved(step)

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
        about = {'step': int(state.step), **self._past._asdict()}
        save_params(self._workdir / TRAINED, encoder, jax.device_get(state.params), about)


class TrainingData(NamedTuple):
    """The data of a training, as its workdir records them.

    Attributes:
        seen: names of the training classes.
        unseen: names of the unseen classes.
        facts: {'fingerprint', 'images', 'list', 'root'} of the Source.
    """

    seen: list[str]
    unseen: list[str]
    facts: dict[str, Any]


def _data_of(settings, episodes):
    """The TrainingData of episodes, which section `data` of the experiment describes."""
    source = episodes.source
    seen = [source.classes[number - 1] for number in episodes.classes]
    root = str(Path(settings.root).expanduser().resolve()) if settings.root else ''
    facts = {'fingerprint': source.fingerprint, 'images': len(source), 'list': settings.train_split, 'root': root}
    return TrainingData(seen, [name for name in source.classes if name not in seen], facts)


def _check_same_data(workdir, noted, data):
    """Checks that the data are those with which a training began, as in its classes.json."""
    if noted['seen'] != data.seen:
        raise InputError(
            f'{workdir} was trained on the classes {", ".join(noted["seen"])}, but the data now give '
            f'{", ".join(data.seen)}; choose another --workdir.'
        )
    if 'data' not in noted:
        LOGGER.warning(
            '%s does not say on which data it was trained; training resumes with %s', workdir, _described(data.facts)
        )
    elif noted['data']['fingerprint'] != data.facts['fingerprint']:
        raise InputError(
            f'{workdir} was trained on {_described(noted["data"])}, but the data now are {_described(data.facts)}; choose '
            'another --workdir=, or the data it was made with.'
        )


def _described(facts):
    where = f' in {facts["root"]}' if facts['root'] else ''
    return f'{facts["images"]} images of {facts["list"]!r}{where} (fingerprint {facts["fingerprint"]})'


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
