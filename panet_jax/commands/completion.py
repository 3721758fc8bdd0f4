"""`panet-jax completion`: a script with which a shell completes commands, options and settings."""

import argparse
import importlib
from collections.abc import Sequence

import shtab

from panet_jax.commands import cli, experiment_options
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser
from panet_jax.config import config_names
from panet_jax.settings import SETTINGS

FRONT_END = FrontEnd()
EPILOG = """\
  bash   panet-jax completion bash > ~/.local/share/bash-completion/completions/panet-jax
  zsh    panet-jax completion zsh > ~/.zfunc/_panet-jax, with fpath+=~/.zfunc in ~/.zshrc before compinit
  fish   panet-jax completion fish > ~/.config/fish/completions/panet-jax.fish
  tcsh   panet-jax completion tcsh > ~/.panet-jax.tcsh, with source ~/.panet-jax.tcsh in ~/.tcshrc

Make the folder first if it is missing. A new terminal has the completion.
"""


def run(arguments: Sequence[str]) -> int:
    """Prints the script.

    Args:
        arguments: words after `panet-jax completion`.

    Returns:
        The exit status.

    Raises:
        InputError: a mistake of the user.
    """
    print(shtab.complete(_all_commands(), make_parser().parse_args(arguments).shell))
    return 0


def make_parser() -> OptionParser:
    """The parser of the command's options."""
    parser = OptionParser(
        prog='panet-jax completion',
        description='Prints a script with which the Tab key completes commands, options, settings and names.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('shell', choices=shtab.SUPPORTED_SHELLS, help='the shell that you type in')
    return parser


def _all_commands():
    """One parser of all commands, for shtab."""
    parser = argparse.ArgumentParser('panet-jax')
    parser.add_argument('--version', action='store_true', help='say which version this is')
    commands = parser.add_subparsers()
    for name, module in cli.COMMANDS.items():
        own = importlib.import_module(module).make_parser()
        _complete_files(commands.add_parser(name, parents=[own], add_help=False, help=own.description))
    for name in cli.EXPERIMENTS:
        own = experiment_options.make_parser(name)
        experiment = commands.add_parser(name, parents=[own], add_help=False, help=own.description)
        experiment.add_argument('experiment', choices=config_names())
        for setting in SETTINGS.values():
            experiment.add_argument(f'--config.{setting.name}', choices=setting.choices or None, help=setting.meaning)
        _complete_files(experiment)
    return parser


def _complete_files(parser):
    """Makes all values that are no choices complete as names of files."""
    for action in parser._actions:  # argparse has no public list of them
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                _complete_files(part)
        elif action.nargs != 0 and not action.choices:
            action.complete = shtab.FILE
