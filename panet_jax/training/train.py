"""From a configuration to a trained network in a workdir."""

import time
from collections.abc import Callable
from pathlib import Path

from ml_collections import ConfigDict

from panet_jax.compute import devices, hosts
from panet_jax.disk.experiment import check_experiment
from panet_jax.disk.paths import workdir_path
from panet_jax.episodes.sampling import Episodes
from panet_jax.errors import InputError
from panet_jax.networks.initial import InitialNetwork
from panet_jax.training.episodes import training_data, training_episodes
from panet_jax.training.loop import placed_batches, run_steps
from panet_jax.training.run import open_run
from panet_jax.training.step import compiled_step, optimizer_of


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
    data = training_data(config.data, episodes)
    optimizer, step_function = optimizer_of(config, trained), compiled_step(config, initial.encoder, used)
    with open_run(workdir, config, now=now) as run:
        state = run.first_state(initial, optimizer, data)
        state = devices.replicate(state, used)
        if int(state.step) < config.steps:
            with placed_batches(config, episodes, used, int(state.step)) as batches:
                state = run_steps(config, step_function, batches, state, run, after_step)
        run.save_network(initial.encoder, state)


def _check_warmup(config):
    """Checks that the warmup ends before the training does."""
    if config.optimizer.warmup > config.steps:
        raise InputError(
            f'optimizer.warmup must be at most the {config.steps} steps of the training, got {config.optimizer.warmup}.'
        )
