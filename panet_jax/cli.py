"""The console script: `panet-jax --config=...` runs an experiment, `data`, `predict` and `demo` do the rest."""

import difflib
import importlib
import sys

import panet_jax
from panet_jax.compute.interrupts import Terminated, heed_signals, name_and_status
from panet_jax.errors import InputError

# Commands with parsers of their own, each in a module with run(arguments) -> exit status.
COMMANDS = {
    'data': 'panet_jax.commands.data',
    'demo': 'panet_jax.commands.demo',
    'predict': 'panet_jax.commands.predict',
}

OVERVIEW = """\
panet-jax predict           segments photographs, given a few annotated ones
panet-jax demo              a page to draw on
panet-jax data              checks a folder, prepares a benchmark
panet-jax --config=FILE     trains and evaluates; its flags are below
panet-jax --version         says which version this is

Each command tells more with --help.
"""
FIRST_STEPS = """\
Try it: panet-jax demo, or, with a photograph of your own and the box of a cat in it (pixels from the upper left corner),
panet-jax predict --support cat=cat.jpg:box=LEFT,TOP,RIGHT,BOTTOM --query FOLDER
"""
# What people type for what --config does.
MODES = {
    **dict.fromkeys(('train', 'training', 'fit', 'run'), 'train'),
    **dict.fromkeys(('evaluate', 'eval', 'test'), 'evaluate'),
    'table': 'table',
}


def run():
    """Entry point."""
    first = ''.join(sys.argv[1:2])
    if not first:
        print(OVERVIEW.replace('; its flags are below', ''), FIRST_STEPS, sep='\n', end='', file=sys.stderr)
        sys.exit(2)
    if first == '--version':
        print(f'panet_jax {panet_jax.__version__}')
        return
    command = COMMANDS.get(first, '')
    if not command and not first.startswith('-'):
        print(f'panet_jax: {_no_command(first)}', file=sys.stderr)
        sys.exit(2)
    if first in ('-h', '--help'):
        print(OVERVIEW)
    if not command:
        importlib.import_module('panet_jax.main').run()
        return
    heed_signals()
    try:
        status = importlib.import_module(command).run(sys.argv[2:])
    except InputError as error:
        print(f'panet_jax: {error}', file=sys.stderr)
        status = 2
    except OSError as error:
        print(f'panet_jax: {error.strerror}: {error.filename}', file=sys.stderr)
        status = 2
    except (KeyboardInterrupt, Terminated) as stop:
        name, status = name_and_status(stop)
        print(f'panet_jax: stopped by {name}; the same command begins again', file=sys.stderr)
    sys.exit(status)


def _no_command(word):
    """What to type in place of a command that there is not."""
    if word in MODES:
        return (
            f'there is no command {word!r}; type panet-jax --config=FILE --mode={MODES[word]}, for instance with '
            '--config=configs/shapes.py.'
        )
    near = difflib.get_close_matches(word, COMMANDS, 1)
    told = f'did you mean panet-jax {near[0]}?' if near else f'wanted {", ".join(COMMANDS)} or --config=FILE.'
    return f'there is no command {word!r}; {told}'
