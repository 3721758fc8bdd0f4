"""Training: the step, which is pure, and the loop, which is not."""

import contextlib
import functools
import signal
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.training.train_state import TrainState
from tqdm import tqdm

from panet_jax.compute import devices, hosts
from panet_jax.compute.interrupts import Interrupted, caught_signals
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import (
    TRAINED,
    append_json_line,
    check_experiment,
    check_same_data,
    keep_json_lines,
    locked,
    write_json,
)
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.loader import episode_batches
from panet_jax.episodes.sampling import Episodes, drawable_images
from panet_jax.errors import InputError
from panet_jax.method.episode import prepare
from panet_jax.method.panet import encode_episodes, loss_of_features
from panet_jax.method.vgg16 import encoder_shapes
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.networks.trained import about_training, check_unseen, history, origin
from panet_jax.networks.weights import initial_params, save_encoder_params
from panet_jax.results.tensorboard import add_training_events, begin_training_events

SAVE, STOP = 1, 2  # what a process may vote for, after a step


def train_step(state, episodes, *, align_weight, dtype='float32', rematerialize=False, accumulate=1):
    """One step of SGD on a batch of episodes; runs inside `devices.parallel`.

    Args:
        state: TrainState, the same on every device.
        episodes: compact Episode [B, ...], this device's share of the batch.
        align_weight: weight of the alignment loss.
        dtype, rematerialize: how the encoder computes, as in `encode`.
        accumulate: into how many parts the share is divided that are computed one after the other. The step
            is the same for less memory.

    Returns:
        The next state, and {'loss', 'segmentation', 'alignment'} averaged over all episodes, and the
        'gradient_norm' before clipping.
    """

    def mean_loss(params, part):
        episodes = jax.vmap(prepare)(part)
        features = encode_episodes(params, episodes, dtype=dtype, rematerialize=rematerialize)
        losses, terms = jax.vmap(functools.partial(loss_of_features, align_weight=align_weight))(*features, episodes)
        return losses.mean(), {'loss': losses.mean()} | jax.tree.map(lambda term: term.mean(), terms)

    means = _mean_over_parts(jax.grad(mean_loss, has_aux=True), state.params, episodes, accumulate)
    gradients, metrics = devices.mean_over_devices(means)
    metrics['gradient_norm'] = optax.tree.norm(gradients)
    return state.apply_gradients(grads=gradients), metrics


def _mean_over_parts(function, params, episodes, count):
    """The mean of function(params, part) over `count` parts of a batch, of which one is in memory at a time."""
    if count == 1:
        return function(params, episodes)
    parts = jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), episodes)
    nothing = jax.tree.map(
        lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, params, jax.tree.map(lambda x: x[0], parts))
    )

    def add(sums, part):
        return jax.tree.map(jnp.add, sums, function(params, part)), None

    sums, _ = jax.lax.scan(add, nothing, parts)
    return jax.tree.map(lambda x: x / count, sums)


def learning_rate_schedule(learning_rate, milestones, decay):
    """The learning rate, multiplied by `decay` at each milestone (a number of steps)."""
    return optax.piecewise_constant_schedule(learning_rate, {int(step): decay for step in milestones})


def make_optimizer(schedule, *, momentum, weight_decay, clip_norm=0.0):
    """SGD in torch's form: weight decay is added to the gradient before the momentum.

    Args:
        schedule: learning rate by step.
        momentum, weight_decay: as in torch.optim.SGD.
        clip_norm: bound of the gradient's global norm; 0 is none.
    """
    clip = [optax.clip_by_global_norm(clip_norm)] if clip_norm else []
    return optax.chain(*clip, optax.add_decayed_weights(weight_decay), optax.sgd(schedule, momentum=momentum))


def create_state(params, optimizer):
    """A TrainState at step 0, whose step is an array from the start (an int would compile twice)."""
    state = TrainState.create(apply_fn=None, params=params, tx=optimizer)
    return state.replace(step=jnp.zeros((), jnp.int32))


def training_episodes(config):
    """The sequence of training episodes: seen classes only, mirrored at random."""
    data = config.data
    source = hosts.primary_first(lambda: open_source(data, data.train_split, resized=True))
    hosts.check_same('the training data', source.fingerprint)
    unseen = unseen_classes(source, data)
    seen = [c for c in range(1, len(source.classes) + 1) if c not in unseen]
    without = unseen if data.unseen_images == 'drop' else ()
    return Episodes(
        source,
        seen,
        **config.episode,
        seed=config.seed,
        size=data.size,
        flip=data.flip,
        drawable=drawable_images(source, smallest_object=data.smallest_object, without=without),
        split=data.train_split,
        reader=SupportReader(config.annotation, seed=data.annotation_seed),
    )


def train(config, workdir):
    """Trains until config.steps, going on where the workdir's newest checkpoint stands.

    Several processes train together when they have joined (`hosts.join`); the primary one reads and writes
    the workdir.

    Raises:
        InputError: the workdir holds another experiment, or the loss became non-finite.
        Interrupted: on a signal that asks for the end, after saving.
    """
    hosts.value_from_primary(lambda: check_experiment(workdir, config))
    used = training_devices(config)
    episodes = training_episodes(config)
    schedule = learning_rate_schedule(
        config.optimizer.learning_rate, config.optimizer.milestones, config.optimizer.decay
    )
    like = jax.eval_shape(functools.partial(initial_state, config, schedule), encoder_shapes(config.encoder.width))
    with contextlib.ExitStack() as opened:
        checkpoints = []  # of the primary

        def begin():
            opened.enter_context(locked(workdir))
            checkpoints.append(opened.enter_context(Checkpoints(workdir, config.checkpoints_kept)))
            params = initial_params(config.encoder.weights, config.encoder.width, config.seed)
            state = checkpoints[0].restore(initial_state(config, schedule, params))
            _begin_workdir(config, workdir, episodes, int(state.step), params)
            return state

        state = devices.replicate(hosts.from_primary(begin, like), used)
        if int(state.step) < config.steps:
            log = Log(workdir if hosts.is_primary() else None, int(state.step), config, schedule)
            state = _loop(config, episodes, compiled_step(config, used), used, state, log, *checkpoints)
    if hosts.is_primary():
        about = about_training(workdir, int(state.step))
        save_encoder_params(workdir_path(workdir) / TRAINED, jax.device_get(state.params), about)


def training_devices(config):
    """The devices that train, of all processes; checks that their shares divide into config.accumulate parts."""
    used = devices.training_devices(config.batch)
    share = config.batch // len(used)
    if share % config.accumulate:
        raise InputError(
            f'accumulate must divide the {share} episode(s) that each of {len(used)} device(s) has of a batch of '
            f'{config.batch}, got {config.accumulate}.'
        )
    return used


def initial_state(config, schedule, params):
    """The state at step 0, with the optimiser that config.optimizer describes."""
    settings = config.optimizer
    optimizer = make_optimizer(
        schedule, momentum=settings.momentum, weight_decay=settings.weight_decay, clip_norm=settings.clip_norm
    )
    return create_state(params, optimizer)


def compiled_step(config, used):
    """The training step of a configuration on the devices `used`: `devices.parallel` of `train_step`."""
    step = functools.partial(
        train_step,
        align_weight=config.align_weight,
        dtype=config.encoder.dtype,
        rematerialize=config.encoder.rematerialize,
        accumulate=config.accumulate,
    )
    return devices.parallel(step, used)


def _begin_workdir(config, workdir, episodes, start, params):
    """Checks that training can go on from step `start`, or begin with `params`, and writes down the experiment."""
    if start > config.steps:
        raise InputError(f'{workdir} is already at step {start}, beyond --config.steps={config.steps}.')
    source, data = episodes.source, config.data
    seen = [source.classes[c - 1] for c in episodes.classes]
    before = history(origin(config, params, ''))
    check_unseen(config.encoder.weights, before, [name for name in source.classes if name not in seen])
    root = str(Path(data.root).expanduser().resolve()) if data.root else ''
    of = {'fingerprint': source.fingerprint, 'images': len(source), 'list': data.train_split, 'root': root}
    check_same_data(workdir, seen, of, before._asdict())
    write_json(workdir_path(workdir) / 'config.json', config.to_dict())


def _loop(config, episodes, step_function, used, state, log, checkpoints=None):
    start, votes, clock = int(state.step), devices.Votes(), Clock(config.checkpoint_minutes)
    with (
        episode_batches(
            episodes, config.batch, config.steps, start=start, **config.loader, **devices.host_share()
        ) as batches,
        caught_signals() as caught,
        tqdm(total=config.steps, initial=start, desc='training', unit='step', disable=hosts.bar_hidden()) as bar,
    ):

        def save(step):
            log.write(step, bar)
            if checkpoints:
                checkpoints.save(state)
            log.saved = step
            clock.saved()

        placed = devices.prefetched(batches, used)
        for step in range(start + 1, config.steps + 1):
            with _saving_if_it_fails(save, step - 1, log):
                batch = next(placed)
            before = time.perf_counter()
            state, metrics = step_function(state, batch)
            if step == start + 1:
                log.compiled(time.perf_counter() - before)
            log.add(metrics)
            bar.update()
            # Looked at once: a signal from here on waits for the next step.
            wanted = step < config.steps and votes(STOP if caught else SAVE * clock.due())
            if wanted or step % config.checkpoint_every == 0 or step == config.steps:
                save(step)
            elif step % config.log_every == 0:
                log.write(step, bar)
            if wanted == STOP:
                break
        stop = wanted == STOP or votes.last(STOP * bool(caught)) == STOP
    if stop:
        raise Interrupted(caught[0] if caught else signal.SIGTERM, step)
    return state


@contextlib.contextmanager
def _saving_if_it_fails(save, step, log):
    """Saves the last step if the next batch cannot be had. Of several processes the others could not follow."""
    try:
        yield
    except Exception:
        if jax.process_count() == 1 and step > log.saved:
            save(step)
            tqdm.write(f'step {step} is saved')
        raise


class Clock:
    """Says when a checkpoint is due by the time since the last one; 0 minutes are never."""

    def __init__(self, minutes):
        self._seconds = 60 * minutes or float('inf')
        self.saved()

    def saved(self):
        """Notes that there is one now."""
        self._last = time.monotonic()

    def due(self):
        """Whether the primary wants one: the clocks of several processes differ."""
        due = hosts.is_primary() and time.monotonic() - self._last >= self._seconds
        if due:  # asked for once: with several processes it comes a step later
            self.saved()
        return due


class Log:
    """Collects the metrics of steps on the device and writes their means now and then.

    Reading a metric waits for its step, so all that came since the last line are read together.

    Args:
        workdir: where metrics.jsonl and the events for TensorBoard are, or None to write and print nothing.
        start: the step that training begins or goes on after.
        config, schedule: of the training.
    """

    def __init__(self, workdir, start, config, schedule):
        self._path = workdir and workdir_path(workdir) / 'metrics.jsonl'
        self._batch, self._schedule = config.batch, schedule
        self._pending, self._time = [], time.perf_counter()
        self.saved = start  # step of the newest checkpoint
        if self._path:  # a run that died after its last checkpoint repeats some steps: their lines go
            keep_json_lines(self._path, lambda line: line['step'] <= start)
            self._events = begin_training_events(workdir, start)

    def compiled(self, seconds):
        """Notes that the first step has been compiled; the rate of episodes is without that."""
        self._time = time.perf_counter()
        if self._path:
            tqdm.write(f'the step is compiled, in {seconds:.1f} s')

    def add(self, metrics):
        """Notes a step's metrics, and waits for those of the step before the last: the bar tells the truth, and
        batches do not pile up on the devices.
        """
        self._pending.append(metrics)
        if len(self._pending) > 2:
            jax.block_until_ready(self._pending[-3])

    def write(self, step, bar):
        """Writes the means since the last line; an InputError names the first non-finite step."""
        if not self._pending:
            return
        values = {name: np.array([float(m[name]) for m in self._pending]) for name in self._pending[0]}
        bad = np.flatnonzero(~np.isfinite(values['loss'] + values['gradient_norm']))
        if bad.size:
            first = step - len(self._pending) + 1 + int(bad[0])
            what = 'loss' if not np.isfinite(values['loss'][bad[0]]) else 'gradient'
            raise InputError.on_all(
                f'the {what} became non-finite at step {first}; the last good checkpoint is '
                f'{self.saved or "none"}. Try a smaller --config.optimizer.learning_rate or '
                '--config.optimizer.clip_norm=1, in another --workdir.'
            )
        if self._path is None:
            self._pending = []
            return
        now = time.perf_counter()
        line = {'step': step} | {name: float(value.mean()) for name, value in values.items()}
        line['learning_rate'] = float(self._schedule(step - 1))
        line['episodes_per_second'] = self._batch * len(self._pending) / (now - self._time)
        append_json_line(self._path, line)
        add_training_events(self._events, step, {name: value for name, value in line.items() if name != 'step'})
        if bar.disable:
            shown = ' '.join(f'{name} {line[name]:.3f}' for name in ('loss', 'segmentation', 'alignment'))
            print(f'step {step}: {shown}, {line["episodes_per_second"]:.1f} episodes/s', flush=True)
        else:  # no more than fits 80 columns beside the steps and their rate
            bar.set_postfix_str(f'loss {line["loss"]:.3f}')
        self._pending, self._time = [], now
