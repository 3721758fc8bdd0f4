"""The console script: `panet-jax --config=...` runs an experiment, `data`, `predict` and `demo` do the rest."""

import importlib
import sys

from panet_jax.errors import InputError

# Commands with parsers of their own, each in a module with run(arguments) -> exit status.
COMMANDS = {'data': 'panet_jax.data_command', 'demo': 'panet_jax.demo', 'predict': 'panet_jax.predict'}


def run():
    """Entry point."""
    command = COMMANDS.get(''.join(sys.argv[1:2]), '')
    if not command:
        importlib.import_module('panet_jax.main').run()
        return
    try:
        status = importlib.import_module(command).run(sys.argv[2:])
    except InputError as error:
        print(f'panet_jax: {error}', file=sys.stderr)
        status = 2
    except OSError as error:
        print(f'panet_jax: {error.strerror}: {error.filename}', file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print('panet_jax: stopped by Ctrl-C; the same command begins again', file=sys.stderr)
        status = 130
    sys.exit(status)
