"""The options of an experiment besides its configuration."""

import os

from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.config import config_names

MODES = ('train', 'evaluate', 'table')


def make_parser() -> OptionParser:
    """The parser of the options of an experiment; `take_config` reads --config and its settings."""
    parser = OptionParser(
        prog='panet-jax',
        description='Trains and evaluates an experiment.',
        allow_abbrev=False,
        usage='%(prog)s train EXPERIMENT [--config.NAME=VALUE ...] [options]\n       %(prog)s --config=EXPERIMENT [...]',
        epilog=f'EXPERIMENT is one of {", ".join(config_names())}, a file of your own, or the config.json of a workdir. '
        '--config.NAME=VALUE changes a setting; docs/settings.md and panet_jax/settings.py list them.',
    )
    parser.add_argument(
        '--config',
        metavar='EXPERIMENT',
        help='the experiment: a name such as shapes, shapes:lite for a small run, a file of your own, or the config.json of '
        'a workdir to repeat its run',
    )
    parser.add_argument(
        '--workdir', help='folder for checkpoints, metrics and results (default: in runs/, named after the experiment)'
    )
    parser.add_argument(
        '--mode',
        choices=MODES,
        help='what to do (default: train, then evaluate); table evaluates all folds, shots and kinds of support, and compares '
        'them with the paper',
    )
    _add_process_options(parser)
    return parser


def _add_process_options(parser):
    """Adds the options on where the program runs: its compiled programs, and a job of several processes."""
    parser.add_argument(
        '--compilation_cache',
        metavar='FOLDER',
        help="folder of compiled programs, with which a second run starts at once; '' keeps none (default: compiled/ in "
        '$PANET_JAX_CACHE or ~/.cache/panet_jax); $JAX_COMPILATION_CACHE_DIR takes precedence',
    )
    parser.add_argument(
        '--distributed',
        action='store_true',
        help='run as one of several processes, all started with the same command; on Cloud TPU, under SLURM and under Open MPI '
        'they find each other, elsewhere they need the next three options',
    )
    parser.add_argument(
        '--coordinator',
        default=os.environ.get('JAX_COORDINATOR_ADDRESS'),
        metavar='HOST:PORT',
        help='address of process 0; implies --distributed ($JAX_COORDINATOR_ADDRESS)',
    )
    for name, variable, what in (
        ('processes', 'JAX_NUM_PROCESSES', 'number of processes'),
        ('process', 'JAX_PROCESS_ID', 'number of this process, from 0'),
    ):
        value = os.environ.get(variable, '')
        parser.add_argument(
            f'--{name}',
            type=whole_number(0),
            default=int(value) if value.isdigit() else None,
            help=f'{what} (${variable})',
        )
