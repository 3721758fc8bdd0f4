"""The console script: `panet-jax train shapes` runs an experiment; `predict`, `demo`, `data` and others are commands."""

import difflib
import importlib
import sys
from collections.abc import Sequence

from panet_jax.commands import experiment_options
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.messages import show_messages
from panet_jax.compute.interrupts import heed_signals
from panet_jax.config import config_names
from panet_jax.errors import InputError

# Module of each command; it has FRONT_END, make_parser(), and run(arguments) -> exit status.
COMMANDS = {
    'predict': 'panet_jax.commands.predict',
    'demo': 'panet_jax.commands.demo',
    'data': 'panet_jax.commands.data',
    'export': 'panet_jax.commands.export',
    'doctor': 'panet_jax.commands.doctor',
    'completion': 'panet_jax.commands.completion',
}
# Options of the main program for each command that runs an experiment.
EXPERIMENTS = {'train': (), 'evaluate': ('--mode=evaluate',), 'table': ('--mode=table',)}

OVERVIEW = """\
Segment photographs
  panet-jax predict              finds classes of a few annotated photographs in others
  panet-jax demo                 a page to draw on
Run experiments
  panet-jax train EXPERIMENT     trains and evaluates; EXPERIMENT is a name such as shapes, or a file
  panet-jax evaluate EXPERIMENT  evaluates a trained network again
  panet-jax table EXPERIMENT     the paper's table: all folds, shots and kinds of support
  panet-jax data                 checks a folder, prepares a benchmark, removes what is out of date
  panet-jax export               a trained network to share, a saved segmenter to run elsewhere
This machine
  panet-jax doctor               versions, devices, caches, weights and data, and what is missing for what
  panet-jax completion SHELL     completion of commands and options by the Tab key
  panet-jax --version            says which version this is

panet-jax COMMAND --help describes a command.
"""
FIRST_STEPS = """\
Try it: panet-jax train shapes:lite, or panet-jax demo, or, with a photograph of your own and the box of a cat in it
(pixels from the upper left corner),
panet-jax predict --support cat=cat.jpg:box=LEFT,TOP,RIGHT,BOTTOM --query FOLDER
"""
# Words that people type in place of a command.
SYNONYMS = {
    **dict.fromkeys(('training', 'fit', 'run'), 'train'),
    **dict.fromkeys(('eval', 'test'), 'evaluate'),
    **dict.fromkeys(('segment', 'infer'), 'predict'),
}


def run(words: Sequence[str] | None = None) -> None:
    """Entry point.

    Args:
        words: words after `panet-jax`; by default those that were typed.

    Raises:
        SystemExit: the exit status of the command; 2 for a mistake.
    """
    words = sys.argv[1:] if words is None else list(words)
    if words[:1] == ['help'] and words[1:]:  # panet-jax help predict
        words = [*words[1:], '--help']
    first = ''.join(words[:1])
    with exiting(FrontEnd()):
        if not first:
            print(OVERVIEW, FIRST_STEPS, sep='\n', end='', file=sys.stderr)
            sys.exit(2)
        if first in ('-h', '--help', 'help'):
            print(OVERVIEW, FIRST_STEPS, sep='\n', end='')
            sys.exit(0)
        if first in COMMANDS:
            _run_command(importlib.import_module(COMMANDS[first]), words[1:])
        if first in EXPERIMENTS:
            words = _experiment_words(first, words[1:])
        elif not first.startswith('-'):
            raise InputError(_no_command(first))
    importlib.import_module('panet_jax.main').run(words)  # no import at the top: main is above the commands


def _run_command(command, arguments):
    """Runs a command with the words after its name, and exits."""
    heed_signals()
    show_messages()
    with exiting(command.FRONT_END):
        sys.exit(command.run(arguments))


def _experiment_words(command, words):
    """The words of the main program for `panet-jax train EXPERIMENT ...`."""
    if not words or (words[0].startswith('-') and not {'-h', '--help'} & set(words)):
        raise InputError(
            f'panet-jax {command} wants an experiment first: {", ".join(config_names())}, or a file; for instance '
            f'panet-jax {command} shapes.'
        )
    if {'-h', '--help'} & set(words):
        experiment_options.make_parser(command).print_help()
        sys.exit(0)
    return [f'--config={words[0]}', *EXPERIMENTS[command], *words[1:]]


def _no_command(word):
    """A sentence on a command that does not exist, with what to type instead."""
    commands = (*COMMANDS, *EXPERIMENTS)
    near = [SYNONYMS[word]] if word in SYNONYMS else difflib.get_close_matches(word, commands, 1)
    if near:
        return f'there is no command {word!r}; did you mean panet-jax {near[0]}?'
    if word.partition(':')[0] in config_names():
        return f'there is no command {word!r}; did you mean panet-jax train {word}?'
    return f'there is no command {word!r}; there are {", ".join(commands)}.'
