"""From a configuration to a trained network in a workdir: batches in, steps on the devices, checkpoints and metrics out."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import optax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict
from tqdm import tqdm

from panet_jax.compute import devices, hosts
from panet_jax.compute.interrupts import STOP, Requests, caught_signals
from panet_jax.disk.experiment import check_experiment
from panet_jax.disk.paths import workdir_path
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.loader import Readers, episode_batches
from panet_jax.errors import InputError
from panet_jax.method.episode import Episode
from panet_jax.networks.initial import InitialNetwork
from panet_jax.training.episodes import training_episodes
from panet_jax.training.log import Log
from panet_jax.training.run import Run, open_run
from panet_jax.training.step import compiled_step, optimizer_of, schedule_of


def train(
    config: ConfigDict,
    workdir: str | Path,
    *,
    episodes: Episodes | None = None,
    after_step: Callable[[int], None] | None = None,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Trains until config.steps, from the newest checkpoint of the workdir if there is one.

    Several processes train together after `job.join`.

    Args:
        config: the experiment.
        workdir: folder to read and write.
        episodes: the training episodes; by default those of the configuration.
        after_step: called with the number of each step.
        now: clock in seconds, for config.checkpoint_minutes.

    Raises:
        InputError: the workdir holds another experiment, or the loss became non-finite.
        Interrupted: a signal asked for the end; the last step is saved.
    """
    workdir = workdir_path(workdir)
    hosts.on_primary(check_experiment, workdir, config)
    _check_warmup(config)
    initial = InitialNetwork.of(config.encoder, config.seed)
    trained = initial.trained(config.data.size, config.encoder.frozen)
    used = devices.training_devices(config.batch, config.accumulate)
    episodes = episodes or training_episodes(config)
    schedule = schedule_of(config)
    optimizer = optimizer_of(config, schedule, trained)
    step_function = compiled_step(config, initial.encoder, used)
    with open_run(workdir, config, now=now) as run:
        state = run.first_state(initial, optimizer, episodes)
        start = int(state.step)
        if start < config.steps:
            readers, share = Readers(**config.loader), hosts.own_share()
            with episode_batches(
                episodes, config.batch, config.steps, start=start, readers=readers, share=share
            ) as batches:
                placed, state = devices.prefetched(batches, used), devices.replicate(state, used)
                state = _run_steps(config, schedule, step_function, placed, state, run, after_step)
        run.save_network(initial.encoder, state)


def _check_warmup(config):
    """Checks that the warmup ends before the training does."""
    if config.optimizer.warmup > config.steps:
        raise InputError(
            f'optimizer.warmup must be at most the {config.steps} steps of the training, got {config.optimizer.warmup}.'
        )


def _run_steps(
    config: ConfigDict,
    schedule: optax.Schedule,
    step_function: Callable,
    batches: Iterator[Episode],
    state: TrainState,
    run: Run,
    after_step: Callable[[int], None] | None,
) -> TrainState:
    """Trains from the step of the state, which is on the devices and whose memory is reused, to config.steps."""
    start = int(state.step)
    with caught_signals() as caught, Log(run, schedule, config.batch, start, config.steps) as log:
        requests = Requests(caught, hosts.Votes())
        for step in range(start + 1, config.steps + 1):
            with _saved_on_failure(state, step - 1, run, log):
                batch = next(batches)
            with log.timing_compilation(step):
                state, metrics = step_function(state, batch)
            log.add(metrics)
            if after_step:
                after_step(step)
            last = step == config.steps
            request = 0 if last else requests.after_step(run.save_due)
            saved = request or last or step % config.checkpoint_every == 0
            if saved or step % config.log_every == 0:
                log.write(step)
            if saved:
                run.save(state, step)
            if request == STOP:
                break
        requests.end(run.saved)
    return state


@contextlib.contextmanager
def _saved_on_failure(state, step, run, log):
    """Saves the state if the next batch fails; not in a job of several processes, where the others would not take part."""
    try:
        yield
    except Exception:
        if jax.process_count() == 1 and step > run.saved:
            log.write(step)
            run.save(state, step)
            tqdm.write(f'step {step} is saved')
        raise
