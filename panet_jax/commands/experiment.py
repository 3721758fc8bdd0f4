"""One experiment: a training and its evaluation, or a table of evaluations."""

import functools

import jax
import ml_collections

from panet_jax.compute import devices, hosts
from panet_jax.disk.experiment import check_experiment
from panet_jax.disk.paths import AnyPath, in_bucket, workdir_path
from panet_jax.disk.workdir import make_workdir
from panet_jax.errors import InputError
from panet_jax.evaluation.checkpoint import check_checkpoint, find_checkpoint
from panet_jax.evaluation.evaluate import evaluate, evaluator_of
from panet_jax.evaluation.runs import evaluation_runs
from panet_jax.evaluation.table import make_table
from panet_jax.results.tables import comparable_results, format_table, results_table
from panet_jax.training.train import train


def run_experiment(config: ml_collections.ConfigDict, workdir: str | AnyPath, mode: str | None) -> None:
    """Trains, evaluates, or both, and prints the table.

    Args:
        config: the experiment; `check_config` has accepted it.
        workdir: folder for checkpoints, metrics and results.
        mode: 'train', 'evaluate', 'table', or None for training and then evaluation.

    Raises:
        InputError: a mistake of the user.
    """
    workdir = workdir_path(workdir)
    say = hosts.primary_only(functools.partial(print, flush=True))
    say(f'{config.name}, workdir {workdir}')
    if in_bucket(workdir):  # before hours of work: the bucket may not be writable
        hosts.on_primary(make_workdir, workdir)
    if mode == 'table':
        _make_table(config, workdir)
        return
    hosts.on_primary(check_checkpoint, config)
    if mode != 'evaluate':
        hosts.on_primary(_begin, config, workdir)
        if mode is None:
            evaluation_runs(config)  # finds a mistake in its settings before a day of training
        used = devices.training_devices(config.batch, config.accumulate)
        say(f'training: {devices.banner(config.batch, used, "episode(s)")}')
        train(config, workdir)
    if mode != 'train':
        say(_evaluation_banner(config))
        results = _evaluate(config, workdir)
        hosts.on_primary(lambda: say(format_table(results_table(comparable_results(workdir, results), workdir))))
        say(f'results in {workdir}/results.json, pictures in {workdir}/pictures, all of it in {workdir}/report.html')


def _make_table(config, workdir):
    if jax.process_count() > 1:
        raise InputError('--mode=table is for one process; leave out --distributed.')
    print(_evaluation_banner(config), flush=True)
    print(format_table(make_table(config, workdir)), flush=True)
    print(f'table.md, table.csv, table.json and report.html are in {workdir}', flush=True)


def _evaluate(config, workdir):
    """Evaluates the trained network, after the untrained one if config.evaluation.untrained is on."""
    evaluator = evaluator_of(config)
    if config.evaluation.untrained and config.checkpoint != '':
        hosts.on_primary(find_checkpoint, config, workdir)  # finds a mistake before the first evaluation
        untrained = config.copy_and_resolve_references()
        untrained.checkpoint = ''
        evaluate(untrained, workdir, evaluator)
    return evaluate(config, workdir, evaluator)


def _begin(config, workdir):
    make_workdir(workdir)
    check_experiment(workdir, config)


def _evaluation_banner(config):
    batch = config.evaluation.batch
    return f'evaluating: {devices.banner(batch, devices.usable_devices(batch), "image(s)")}'
