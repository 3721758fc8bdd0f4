"""The program: `python -m panet_jax.main --config=configs/shapes.py`.

The command is parsed and checked before JAX is imported, so that a mistake is reported at once.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence

import ml_collections

from panet_jax import __version__
from panet_jax.commands.config_flag import take_config
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.experiment_options import MODES, make_parser
from panet_jax.commands.messages import show_messages
from panet_jax.compute.interrupts import heed_signals
from panet_jax.config import check_config, config_names
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import default_table_workdir, default_workdir
from panet_jax.errors import InputError

# What the same command does after a signal has stopped it, by mode; a training resumes.
AGAIN = {'evaluate': 'begins again', 'table': 'keeps the finished cells'}
# The end of the error when memory runs out: the settings that memory depends on, with their values.
MEMORY = (
    'for {} episode(s) a step in training or {} image(s) in evaluation, at {} x {} pixels; type a smaller '
    '{{batch=}}, {{evaluation.batch=}}, {{evaluation.cache_gib=}}, {{loader.threads=}} or {{data.size=}}'
)


def run(words: Sequence[str] | None = None) -> None:
    """Entry point. A mistake of the user is printed as one sentence, with exit status 2.

    Args:
        words: words of the command, without the name of the program; by default those that were typed.
    """
    with exiting(FrontEnd()):
        heed_signals()  # training has handlers of its own
        show_messages()
        options, config = parse(sys.argv[1:] if words is None else words)
        check_config(config)
        default = default_table_workdir if options.mode == 'table' else default_workdir
        options.workdir = workdir_path(options.workdir or default(config), '--workdir')
        _run(options, config)


def parse(words: Sequence[str]) -> tuple[argparse.Namespace, ml_collections.ConfigDict]:
    """Parses a command.

    Args:
        words: words of the command, without the name of the program.

    Returns:
        The options of the program itself, and the locked configuration.

    Raises:
        InputError: a word is unknown or wrong, or --config is missing.
    """
    parser = make_parser(next((mode for mode in MODES if f'--mode={mode}' in words), None))
    if {'-h', '--help', '-help'} & set(words):
        parser.parse_args(['--help'])
    if '--version' in words:
        print(f'panet_jax {__version__}')
        sys.exit(0)
    config, others = take_config(words)
    options = parser.parse_args(others)
    if config is None:
        raise InputError(f'name an experiment, for instance --config=shapes; there are {", ".join(config_names())}.')
    return options, config


def _run(options, config):
    """Runs the experiment, on every process of a job."""
    from absl import logging

    from panet_jax.compute import hosts, job
    from panet_jax.compute.compilation_cache import keep_compiled
    from panet_jax.compute.compiler_flags import set_tpu_flags
    from panet_jax.datasets.open import prepared_home

    def leave(end):
        if not end.everywhere and job.is_one_of_several():
            job.leave(end.status, end.sentence)

    logging.set_verbosity(logging.ERROR)
    with job.none_left_waiting(), exiting(front_end(options.mode, config), leave):
        keep_compiled(options.compilation_cache)
        set_tpu_flags()
        if config.data.name != 'shapes':
            prepared_home(config.data.prepared_dir)
        place = (options.coordinator, options.processes, options.process)
        if options.distributed or place != (None, None, None):
            job.join(*place)
            hosts.check_same('the configuration', _shared_settings(config))
        from panet_jax.commands.experiment import run_experiment

        run_experiment(config, options.workdir, options.mode)


def front_end(mode: str | None, config: ml_collections.ConfigDict) -> FrontEnd:
    """The parts of the sentence with which the program ends early.

    Args:
        mode: --mode, or None.
        config: the experiment.

    Returns:
        The FrontEnd.
    """
    sizes = (config.batch, config.evaluation.batch, config.data.size, config.data.size)
    again = AGAIN.get(mode, 'resumes from the newest checkpoint')
    return FrontEnd(memory=MEMORY.format(*sizes), again=again)


def _shared_settings(config):
    """A hash of all settings except folders of the data, which may differ between processes."""
    shared = config.copy_and_resolve_references()
    shared.data.root = shared.data.prepared_dir = ''
    return hashlib.sha256(shared.to_json(sort_keys=True).encode()).hexdigest()


if __name__ == '__main__':
    run()
