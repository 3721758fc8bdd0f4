"""The training loop: batches in, steps on the devices, checkpoints and metrics out."""

import contextlib
import functools
from collections.abc import Callable, Iterator

import jax
from flax.training.train_state import TrainState
from ml_collections import ConfigDict
from tqdm import tqdm

from panet_jax.compute import devices, hosts
from panet_jax.compute.interrupts import STOP, Requests, caught_signals
from panet_jax.episodes.loader import Readers, episode_batches
from panet_jax.episodes.sampling import Episodes
from panet_jax.method.episode import Episode
from panet_jax.method.panet import encode_episodes
from panet_jax.networks.encoders import encoder_of
from panet_jax.training.log import Log
from panet_jax.training.run import Run
from panet_jax.training.step import gradient_of_mean, train_step, update

# Side in pixels from which a batch gains nothing on a CPU over its episodes one by one, but takes the memory of all. At
# 209 it takes 5 % less time, at 97 14 %.
LARGE_IMAGE = 321


def run_steps(
    config: ConfigDict,
    episodes: Episodes,
    used: list[jax.Device],
    state: TrainState,
    run: Run,
    after_step: Callable[[int], None] | None = None,
) -> TrainState:
    """Trains from the step of the state to config.steps.

    Args:
        config: the experiment.
        episodes: the sequence of training episodes.
        used: devices that share a batch.
        state: the state, on these devices; its memory is reused.
        run: keeps checkpoints and metrics.
        after_step: called with the number of each step.

    Returns:
        The last state.

    Raises:
        InputError: a loss or a gradient became non-finite.
        Interrupted: a signal asked for the end; the last step is saved.
    """
    start, step_function = int(state.step), compiled_step(config, used)
    with (
        _placed_batches(config, episodes, used, start) as batches,
        caught_signals() as caught,
        Log(config, run, start) as log,
    ):
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
            if request or last or step % config.checkpoint_every == 0:
                log.write(step)
                run.save(state, step)
            elif step % config.log_every == 0:
                log.write(step)
            if request == STOP:
                break
        requests.end(step)
    return state


def takes_one_by_one(config: ConfigDict, used: list[jax.Device]) -> bool:
    """Whether each device takes the episodes of its share one after the other, in a loop outside XLA.

    It does on a CPU where `accumulate` asks for parts, which are slow in a loop of XLA's, and where images are large.

    Args:
        config: the experiment.
        used: devices that share a batch.

    Returns:
        Whether it does.
    """
    if used[0].platform != 'cpu' or config.batch == len(used):
        return False
    return config.accumulate > 1 or config.data.size >= LARGE_IMAGE


def compiled_step(config: ConfigDict, used: list[jax.Device]) -> Callable:
    """Compiles the training step of a configuration: `train_step` in parallel, or the same with episodes one by one.

    Args:
        config: the experiment.
        used: devices that share a batch.

    Returns:
        A function as from `devices.parallel`.
    """
    encode = functools.partial(
        encode_episodes,
        encode=functools.partial(encoder_of(config.encoder).encode_frozen, frozen=config.encoder.frozen),
        dtype=config.encoder.dtype,
        rematerialize=config.encoder.rematerialize,
    )
    options = {'align_weight': config.align_weight, 'encode': encode}
    if takes_one_by_one(config, used):
        return devices.parallel_one_by_one(functools.partial(gradient_of_mean, **options), update, used)
    return devices.parallel(functools.partial(train_step, accumulate=config.accumulate, **options), used)


@contextlib.contextmanager
def _placed_batches(config, episodes, used, start) -> Iterator[Iterator[Episode]]:
    """The batches of the steps after `start`, on the devices."""
    readers, share = Readers(**config.loader), hosts.own_share()
    with episode_batches(episodes, config.batch, config.steps, start=start, readers=readers, share=share) as batches:
        yield devices.prefetched(batches, used)


@contextlib.contextmanager
def _saved_on_failure(state, step, run, log):
    """Saves the state if the next batch fails. In a job of several processes it cannot: the others would not take part."""
    try:
        yield
    except Exception:
        if jax.process_count() == 1 and step > run.saved:
            log.write(step)
            run.save(state, step)
            tqdm.write(f'step {step} is saved')
        raise
