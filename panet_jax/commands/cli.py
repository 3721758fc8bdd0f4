"""The console script: `panet-jax --config=...` runs an experiment; `data`, `predict` and `demo` are commands."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.messages import show_messages
from panet_jax.compute.interrupts import heed_signals
from panet_jax.errors import InputError

# Module of each command; it has FRONT_END, and run(arguments) -> exit status.
COMMANDS = {
    'data': 'panet_jax.commands.data',
    'demo': 'panet_jax.commands.demo',
    'predict': 'panet_jax.commands.predict',
}

OVERVIEW = """\
panet-jax predict           segments photographs, given a few annotated ones
panet-jax demo              a page to draw on
panet-jax data              checks a folder, prepares a benchmark, removes outdated lists
panet-jax --config=FILE     trains and evaluates; its flags are below
panet-jax --version         prints the version

panet-jax COMMAND --help describes a command.
"""
FIRST_STEPS = """\
Try it: panet-jax demo, or, with a photograph of your own and the box of a cat in it (pixels from the upper left corner),
panet-jax predict --support cat=cat.jpg:box=LEFT,TOP,RIGHT,BOTTOM --query FOLDER
"""
# Words that people type in place of --config, with the mode that they mean.
MODES = {
    **dict.fromkeys(('train', 'training', 'fit', 'run'), 'train'),
    **dict.fromkeys(('evaluate', 'eval', 'test'), 'evaluate'),
    'table': 'table',
}


def run(words: Sequence[str] | None = None) -> None:
    """Entry point.

    Args:
        words: words after `panet-jax`; by default those that were typed.

    Raises:
        SystemExit: the exit status of the command; 2 for a mistake.
    """
    words = sys.argv[1:] if words is None else words
    first = ''.join(words[:1])
    with exiting(FrontEnd()):
        if not first:
            print(OVERVIEW.replace('; its flags are below', ''), FIRST_STEPS, sep='\n', end='', file=sys.stderr)
            sys.exit(2)
        if first in COMMANDS:
            _run_command(importlib.import_module(COMMANDS[first]), words[1:])
        if not first.startswith('-'):
            raise InputError(_no_command(first))
    if first in ('-h', '--help'):
        print(OVERVIEW)
    importlib.import_module('panet_jax.main').run(words)  # no import at the top: main is above the commands


def _run_command(command, arguments):
    """Runs a command with the words after its name, and exits."""
    heed_signals()
    show_messages()
    with exiting(command.FRONT_END):
        sys.exit(command.run(arguments))


def _no_command(word):
    """A sentence on a command that does not exist, with what to type instead."""
    if word in MODES:
        return (
            f'there is no command {word!r}; type panet-jax --config=FILE --mode={MODES[word]}, for instance with '
            '--config=configs/shapes.py.'
        )
    near = difflib.get_close_matches(word, COMMANDS, 1)
    hint = f'did you mean panet-jax {near[0]}?' if near else f'wanted {", ".join(COMMANDS)} or --config=FILE.'
    return f'there is no command {word!r}; {hint}'
