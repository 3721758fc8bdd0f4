"""The program: `python -m panet_jax.main --config=configs/shapes.py`.

The command is parsed and checked before JAX is imported, so that a mistake is reported at once.
"""

import argparse
import hashlib
import os
import sys
from collections.abc import Sequence

import ml_collections

from panet_jax import __version__
from panet_jax.commands.config_flag import take_config
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.messages import show_messages
from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.compute.interrupts import heed_signals
from panet_jax.config import check_config
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import default_table_workdir, default_workdir
from panet_jax.errors import InputError

MODES = ('train', 'evaluate', 'table')
# What the same command does after a signal stopped it, by mode; a training goes on.
AGAIN = {'evaluate': 'begins again', 'table': 'keeps the finished cells'}
# What needed too much memory, with the values of the settings that it depends on.
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
    parser = _parser()
    if {'-h', '--help', '-help'} & set(words):
        parser.parse_args(['--help'])
    if '--version' in words:
        print(f'panet_jax {__version__}')
        sys.exit(0)
    config, others = take_config(words)
    options = parser.parse_args(others)
    if config is None:
        raise InputError('say which experiment, for instance --config=configs/shapes.py.')
    return options, config


def _parser():
    parser = OptionParser(
        prog='panet-jax',
        description='Trains and evaluates an experiment.',
        allow_abbrev=False,
        usage='%(prog)s --config=FILE [--config.NAME=VALUE ...] [options]',
        epilog='--config.NAME=VALUE changes a setting; docs/settings.md and panet_jax/settings.py say which there are.',
    )
    parser.add_argument(
        '--config',
        metavar='FILE',
        help='the experiment: a file such as configs/shapes.py, configs/shapes.py:lite for a small one, or config.json of '
        'a workdir to repeat its run',
    )
    parser.add_argument('--workdir', help='for checkpoints, metrics and results (runs/, named after the experiment)')
    parser.add_argument(
        '--mode',
        choices=MODES,
        help='what to do (training and evaluation, one after the other); table evaluates all folds, shots and kinds of '
        'support, and sets the paper beside them',
    )
    parser.add_argument(
        '--compilation_cache',
        metavar='FOLDER',
        help="where compiled programs are kept, so that a second run begins at once: '' is nowhere (compiled/ in "
        '$PANET_JAX_CACHE or ~/.cache/panet_jax); $JAX_COMPILATION_CACHE_DIR comes first',
    )
    _add_process_options(parser)
    return parser


def _add_process_options(parser):
    """Adds the options of a job of several processes."""
    parser.add_argument(
        '--distributed',
        action='store_true',
        help='several processes train together, each started with this same command: on Cloud TPU, under SLURM and Open MPI '
        'they find each other, elsewhere by the next three options',
    )
    parser.add_argument(
        '--coordinator',
        default=os.environ.get('JAX_COORDINATOR_ADDRESS'),
        metavar='HOST:PORT',
        help='of process 0; means --distributed ($JAX_COORDINATOR_ADDRESS)',
    )
    for name, variable, what in (
        ('processes', 'JAX_NUM_PROCESSES', 'how many processes there are'),
        ('process', 'JAX_PROCESS_ID', "this process's number, from 0"),
    ):
        value = os.environ.get(variable, '')
        parser.add_argument(
            f'--{name}',
            type=whole_number(0),
            default=int(value) if value.isdigit() else None,
            help=f'{what} (${variable})',
        )


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
    with job.none_left_waiting(), exiting(_front_end(options, config), leave):
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


def _front_end(options, config):
    sizes = (config.batch, config.evaluation.batch, config.data.size, config.data.size)
    again = AGAIN.get(options.mode, 'goes on from the newest checkpoint')
    return FrontEnd(memory=MEMORY.format(*sizes), again=again)


def _shared_settings(config):
    """A hash of all settings except folders of the data, which may differ between processes."""
    shared = config.copy_and_resolve_references()
    shared.data.root = shared.data.prepared_dir = ''
    return hashlib.sha256(shared.to_json(sort_keys=True).encode()).hexdigest()


if __name__ == '__main__':
    run()
