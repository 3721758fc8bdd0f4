"""Runs commands as typed, but in children of a process with all imports done, which saves ten seconds each.

That process never starts JAX's backends, so it may fork.
"""

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

import jax

PRELOADED = (
    *('panet_jax.commands.experiment', 'panet_jax.main', 'panet_jax.commands.predict', 'panet_jax.commands.data'),
    *(
        'panet_jax.segmenter.segmenter',
        'panet_jax.segmenter.outputs',
        'panet_jax.datasets.check',
        'panet_jax.datasets.open',
    ),
    'panet_jax.results.contact_sheet',
)
FORKING = multiprocessing.get_context('forkserver')
FORKING.set_forkserver_preload(PRELOADED)


def run_typed(how, words, folder, environment):
    """Runs a command in a folder. Returns (exit status, output)."""
    log = folder / '.typed.log'
    child = FORKING.Process(target=_child, args=(how, words, folder, environment, log))
    child.start()
    child.join()
    return child.exitcode, log.read_text(errors='replace')


def _child(how, words, folder, environment, log):
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = list(words)
    jax.config.update('jax_disable_most_optimizations', True)  # the results are not used
    HOW[how]()


def _program():
    from panet_jax import main

    main.run()


def _parsed_program():
    """Only the parser and the checks of the program."""
    from panet_jax.commands.ending import FrontEnd, exiting
    from panet_jax.config import check_config
    from panet_jax.main import parse

    with exiting(FrontEnd()):
        check_config(parse(sys.argv[1:])[1])


def _console_script():
    """`panet-jax`, with a narrow network in place of the ImageNet network."""
    from panet_jax.commands import cli
    from panet_jax.networks import choose, initial

    narrow = choose.load_network('narrow.safetensors')
    initial.imagenet_params = lambda: narrow.params
    cli.run()


def _parsed_script():
    """A script until it has parsed its arguments, with argparse or absl."""
    import argparse

    from absl import app

    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(parser, *arguments):
        parse(parser, *arguments)
        sys.exit(0)

    def parse_flags_and_end(_, flags_parser):
        flags_parser(sys.argv)
        sys.exit(0)

    argparse.ArgumentParser.parse_args, app.run = parse_and_end, parse_flags_and_end
    sys.path.insert(0, str(Path(sys.argv[0]).parent))  # as Python does for a script
    runpy.run_path(sys.argv[0], run_name='__main__')
    sys.exit('the script parsed no arguments')


HOW = {
    'program': _program,
    'parsed program': _parsed_program,
    'console script': _console_script,
    'parsed script': _parsed_script,
}
