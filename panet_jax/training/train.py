"""From a configuration to a trained network in a workdir."""

import functools
import time
from collections.abc import Callable
from pathlib import Path

import jax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict

from panet_jax.compute import devices, hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.disk.experiment import check_experiment
from panet_jax.disk.paths import workdir_path
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.draws import Draws, Task, drawable_images, images_by_class
from panet_jax.episodes.sampling import Episodes
from panet_jax.networks.initial import InitialNetwork
from panet_jax.training.loop import placed_batches, run_steps
from panet_jax.training.run import open_run
from panet_jax.training.step import compiled_step, create_state, optimizer_of


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
    initial = InitialNetwork.of(config.encoder, config.seed)
    initial.check_trainable(config.data.size, config.encoder.frozen)
    used = devices.training_devices(config.batch, config.accumulate)
    episodes = episodes or training_episodes(config)
    optimizer, step_function = optimizer_of(config, initial.encoder), compiled_step(config, initial.encoder, used)
    with open_run(workdir, config, now=now) as run:
        state = devices.replicate(_first_state(run, initial, optimizer, episodes), used)
        if int(state.step) < config.steps:
            with placed_batches(config, episodes, used, int(state.step)) as batches:
                state = run_steps(config, step_function, batches, state, run, after_step)
        run.save_network(initial.encoder, state)


def _first_state(run, initial, optimizer, episodes) -> TrainState:
    """The newest state of the run or, without checkpoints, the initial one; the same on every process."""
    fresh = functools.partial(create_state, optimizer=optimizer)

    def restored():
        params = initial.load()
        state = run.restore(fresh(params))
        run.note_experiment(episodes, initial.origin(params), int(state.step))
        return state

    return hosts.from_primary(restored, jax.eval_shape(fresh, initial.encoder.shapes()))


def training_episodes(config: ConfigDict) -> Episodes:
    """The training episodes of a configuration: seen classes only, mirrored at random.

    Args:
        config: the experiment.

    Returns:
        The sequence of Episodes.

    Raises:
        InputError: the data are missing or damaged, or have too few images.
    """
    data, task = config.data, Task(**config.episode)
    source = hosts.primary_first(lambda: open_source(data, data.train_split, resized=True))
    hosts.check_same('the training data', source.fingerprint)
    unseen = unseen_classes(source, data)
    seen = [number for number in range(1, len(source.classes) + 1) if number not in unseen]
    without = unseen if data.unseen_images == 'drop' else ()
    drawable = drawable_images(source, smallest_object=data.smallest_object, without=without)
    images = images_by_class(source, seen, task, drawable=drawable, split=data.train_split)
    reader = SupportReader(config.annotation, seed=data.annotation_seed)
    return Episodes(source, Draws(images, task, config.seed, data.flip), size=data.size, reader=reader)
