"""The console script: `panet-jax --config=...` runs an experiment, `data`, `predict` and `demo` do the rest."""

import importlib
import sys

from panet_jax.errors import InputError
from panet_jax.interrupts import Terminated, heed_signals, name_and_status

# Commands with parsers of their own, each in a module with run(arguments) -> exit status.
COMMANDS = {'data': 'panet_jax.data_command', 'demo': 'panet_jax.demo', 'predict': 'panet_jax.predict'}

OVERVIEW = """\
panet-jax predict           segments photographs, given a few annotated ones
panet-jax demo              a page to draw on
panet-jax data              checks a folder, prepares a benchmark
panet-jax --config=FILE     trains and evaluates; its flags are below

Each command tells more with --help.
"""


def run():
    """Entry point."""
    first = ''.join(sys.argv[1:2])
    command = COMMANDS.get(first, '')
    if not command and first and not first.startswith('-'):
        print(
            f'panet_jax: there is no command {first!r}; wanted {", ".join(COMMANDS)} or --config=FILE.', file=sys.stderr
        )
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
