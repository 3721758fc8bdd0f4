"""One experiment: a training and its evaluation, or a table of evaluations."""

import functools

import jax
import ml_collections

from panet_jax.compute import devices, hosts
from panet_jax.disk.workdir import check_experiment, make_workdir
from panet_jax.errors import InputError
from panet_jax.evaluation.evaluate import check_checkpoint, evaluate, evaluation_runs, find_checkpoint
from panet_jax.evaluation.table import make_table
from panet_jax.results.rows import comparable_results, format_table, results_table
from panet_jax.training.train import train, training_devices


def run_experiment(config: ml_collections.ConfigDict, workdir: str, mode: str | None) -> None:
    """Trains, evaluates, or both, and prints the table.

    Args:
        config: the experiment, as `check_config` has it.
        workdir: folder for checkpoints, metrics and results.
        mode: 'train', 'evaluate', 'table', or None for training and then evaluation.

    Raises:
        InputError: the user can put it right.
    """
    say = functools.partial(print, flush=True) if hosts.is_primary() else lambda _: None
    say(f'{config.name}, workdir {workdir}')
    if mode == 'table':
        if jax.process_count() > 1:
            raise InputError('--mode=table is for one process; leave out --distributed.')
        say(_evaluation_banner(config))
        say(format_table(make_table(config, workdir)))
        say(f'table.md, table.csv, table.json and report.html are in {workdir}')
        return
    hosts.value_from_primary(lambda: check_checkpoint(config))
    if mode != 'evaluate':
        hosts.value_from_primary(lambda: _begin(config, workdir))
        if mode is None:
            evaluation_runs(config)  # what is wrong there must not show only after a day of training
        say(f'training: {devices.banner(config.batch, training_devices(config), "episode(s)")}')
        train(config, workdir)
        if mode == 'train':
            return
    say(_evaluation_banner(config))
    if config.evaluation.untrained and config.checkpoint != '':
        hosts.value_from_primary(lambda: find_checkpoint(config, workdir) and None)  # before the other evaluation
        untrained = config.copy_and_resolve_references()
        untrained.checkpoint = ''
        evaluate(untrained, workdir)
    results = evaluate(config, workdir)
    if hosts.is_primary():
        say(format_table(results_table(comparable_results(workdir, results), workdir)))
    say(f'results in {workdir}/results.json, pictures in {workdir}/pictures, all of it in {workdir}/report.html')


def _begin(config, workdir):
    make_workdir(workdir)
    check_experiment(workdir, config)


def _evaluation_banner(config):
    batch = config.evaluation.batch
    return f'evaluating: {devices.banner(batch, devices.usable_devices(batch), "image(s)")}'
