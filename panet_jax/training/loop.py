"""The training loop: batches in, steps on the devices, checkpoints and metrics out."""

import contextlib
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
from panet_jax.training.log import Log
from panet_jax.training.run import Run


def run_steps(
    config: ConfigDict,
    step_function: Callable,
    batches: Iterator[Episode],
    state: TrainState,
    run: Run,
    after_step: Callable[[int], None] | None = None,
) -> TrainState:
    """Trains from the step of the state to config.steps.

    Args:
        config: the experiment.
        step_function: the compiled step, as from `compiled_step`.
        batches: the batches of the steps after that of the state, as from `placed_batches`.
        state: the state, on the devices of the step; its memory is reused.
        run: keeps checkpoints and metrics.
        after_step: called with the number of each step.

    Returns:
        The last state.

    Raises:
        InputError: a loss or a gradient became non-finite.
        Interrupted: a signal asked for the end; the last step is saved.
    """
    start = int(state.step)
    with caught_signals() as caught, Log(config, run, start) as log:
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
        requests.end(step)
    return state


@contextlib.contextmanager
def placed_batches(
    config: ConfigDict, episodes: Episodes, used: list[jax.Device], start: int
) -> Iterator[Iterator[Episode]]:
    """Reads the batches of a training ahead, and sends them to the devices.

    Args:
        config: the experiment.
        episodes: the sequence of training episodes.
        used: devices that share a batch.
        start: last finished step, 0 for a new training.

    Yields:
        An iterator of the batches of the steps after `start`, each as from `devices.split`.
    """
    readers, share = Readers(**config.loader), hosts.own_share()
    with episode_batches(episodes, config.batch, config.steps, start=start, readers=readers, share=share) as batches:
        yield devices.prefetched(batches, used)


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
