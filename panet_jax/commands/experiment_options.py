"""The options of an experiment besides its configuration, and the help of the commands that run one."""

import argparse
import os

from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.config import config_names
from panet_jax.settings import SETTINGS

MODES = ('train', 'evaluate', 'table')
# What each command does; None is the program without a command.
DESCRIPTIONS = {
    None: 'Trains and evaluates an experiment.',
    'train': 'Trains a network on some classes, then evaluates it on classes that were not in the training. It ends with a '
    'table and pictures. After an interruption the same command goes on.',
    'evaluate': 'Evaluates the trained network of a workdir again, on classes that were not in its training, for instance '
    "with other supports. --config.checkpoint='' evaluates the network without any training.",
    'table': "Makes the paper's whole table: it evaluates every fold, number of shots and kind of support (mask, scribble, "
    "box), and shows the means beside the paper's. It does not train: it takes the networks that `panet-jax train` left in "
    "runs/, one for each fold and number of shots, or with --config.checkpoint='' the network without any training. Finished "
    'cells are kept, and the same command goes on.',
}
# The settings that are changed most, by command.
CHANGED_MOST = {
    None: (),
    'train': ('data.root', 'data.fold', 'data.unseen', 'episode.shots', 'encoder.name', 'steps', 'seed'),
    'evaluate': (
        'checkpoint',
        'data.root',
        'data.fold',
        'evaluation.annotation',
        'evaluation.protocol',
        'evaluation.runs',
    ),
    'table': ('checkpoint', 'data.root', 'table.folds', 'table.shots', 'table.annotations', 'evaluation.protocol'),
}
EXAMPLES = {
    None: ('train shapes', 'evaluate shapes', 'table pascal5i'),
    'train': ('train shapes:lite', 'train pascal5i --config.data.fold=1', 'train own.py --workdir=runs/own'),
    'evaluate': (
        'evaluate shapes',
        'evaluate pascal5i --config.data.fold=1 --config.evaluation.annotation=box',
        "evaluate pascal5i --config.checkpoint=''",
    ),
    'table': ("table pascal5i --config.checkpoint=''", 'table pascal5i', 'table pascal5i --config.table.shots=1'),
}


USAGE = '%(prog)s train EXPERIMENT [--config.NAME=VALUE ...] [options]\n       %(prog)s --config=EXPERIMENT [...]'
COMMAND_USAGE = '%(prog)s EXPERIMENT [--config.NAME=VALUE ...] [options]'
CONFIG_HELP = (
    'the experiment: a name such as shapes, shapes:lite for a small run, a file of your own, or the config.json of '
    'a workdir to repeat its run'
)
MODE_HELP = {
    None: 'what to do (default: train, then evaluate); table evaluates all folds, shots and kinds of support, and compares '
    'them with the paper',
    'train': 'train without the evaluation at the end',
    'evaluate': argparse.SUPPRESS,  # the command sets it
    'table': argparse.SUPPRESS,
}


def make_parser(command: str | None = None) -> OptionParser:
    """The parser of the options of an experiment; `take_config` reads --config and its settings.

    Args:
        command: 'train', 'evaluate' or 'table' for the help of that command; None for that of the whole program.

    Returns:
        The parser. All commands have the same options; a command's help leaves out those that it sets itself.
    """
    parser = OptionParser(
        prog=f'panet-jax {command}' if command else 'panet-jax',
        description=DESCRIPTIONS[command],
        allow_abbrev=False,
        usage=COMMAND_USAGE if command else USAGE,
        epilog=_epilog(command),
        formatter_class=_Paragraphs,
        settings=[*CHANGED_MOST[command], *SETTINGS],
        help_command='' if command else 'panet-jax train --help',
    )
    parser.add_argument('--config', metavar='EXPERIMENT', help=argparse.SUPPRESS if command else CONFIG_HELP)
    parser.add_argument('--workdir', metavar='FOLDER', help=_workdir_help(command))
    parser.add_argument(
        '--mode', choices=MODES, help=MODE_HELP[command], metavar='train' if command == 'train' else None
    )
    _add_process_options(parser)
    return parser


class _Paragraphs(argparse.RawDescriptionHelpFormatter):
    """Wraps the description as argparse does, and leaves the lines of the epilog as they are."""

    def _fill_text(self, text, width, indent):
        if '\n' in text:
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def _workdir_help(command):
    if command == 'table':
        return 'folder for the table (default: in runs/, named after the experiment)'
    return 'folder for checkpoints, metrics and results (default: in runs/, named after the experiment)'


def _epilog(command):
    """What EXPERIMENT and --config.NAME are, and examples."""
    lines = [
        'EXPERIMENT is',
        f'  a name: {", ".join(config_names()[:3])},',
        f'    {", ".join(config_names()[3:])};',
        '  NAME:lite, a small run for a laptop;',
        '  a file of your own, or the config.json of a workdir, to repeat its run.',
        '',
        '--config.NAME=VALUE changes a setting (all of them: docs/settings.md, panet_jax/settings.py)',
        *(f'  --config.{name:<24}{_meaning(name)}' for name in CHANGED_MOST[command]),
        '',
        *(f'  panet-jax {example}' for example in EXAMPLES[command]),
    ]
    return '\n'.join(lines)


def _meaning(name):
    """The meaning of a setting in plain text, its choices if they are words, and its default."""
    setting = SETTINGS[name]
    default = ','.join(map(str, setting.default)) if isinstance(setting.default, tuple) else setting.default
    meaning = setting.meaning.partition(': [')[0].replace('`', '')
    if setting.choices and setting.items is str and isinstance(setting.choices[0], str):
        meaning += f': {", ".join(setting.choices)}'
    return f'{meaning} ({default})' if default != '' else meaning


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
