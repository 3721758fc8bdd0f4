"""The program: `python -m panet_jax.main --config=configs/shapes.py`."""

import errno
import re
import sys
from pathlib import Path

from absl import app, flags, logging
from ml_collections import config_flags

from panet_jax import devices
from panet_jax.config import check_config
from panet_jax.errors import InputError
from panet_jax.evaluate import evaluate
from panet_jax.report import comparable_results, format_table
from panet_jax.train import Interrupted, train

CONFIG = config_flags.DEFINE_config_file(
    'config', None, 'The experiment: a file such as configs/shapes.py, or configs/shapes.py:lite for a small one.'
)
WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where checkpoints, metrics and results go. By default runs/, named after the experiment.'
)
MODE = flags.DEFINE_enum('mode', None, ['train', 'evaluate'], 'What to do. By default both, one after the other.')


def default_workdir(config):
    """runs/NAME-foldF-Nway-Kshot, from the current folder."""
    return f'runs/{config.name}-fold{config.data.fold}-{config.episode.ways}way-{config.episode.shots}shot'


def run_experiment(config, workdir, mode):
    """Trains, evaluates, or both, and prints the table."""
    print(f'{config.name}, workdir {workdir}', flush=True)
    if mode != 'evaluate':
        print(f'training: {devices.banner(config.batch)}', flush=True)
        train(config, workdir)
        if mode == 'train':
            return
        if config.evaluation.untrained:
            untrained = config.copy_and_resolve_references()
            untrained.checkpoint = ''
            evaluate(untrained, workdir)
    print(f'evaluating: {devices.banner(config.evaluation.batch)}', flush=True)
    results = evaluate(config, workdir)
    print(format_table(comparable_results(workdir, results)))
    print(f'results in {workdir}/results.json, pictures in {workdir}/pictures')


def main(_):
    """Runs the experiment; a user's mistake becomes one sentence and exit status 2."""
    logging.set_verbosity(logging.ERROR)
    config = CONFIG.value
    try:
        check_config(config)
        workdir = Path(WORKDIR.value or default_workdir(config)).expanduser()
        run_experiment(config, workdir, MODE.value)
    except InputError as error:
        sys.exit(_fail(str(error), 2))
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:  # a defect, which wants its traceback
            raise
        sys.exit(_fail(f'{error.strerror}: {error.filename or "the workdir"}', 2))
    except Interrupted as interrupted:
        sys.exit(_fail(str(interrupted), 128 + interrupted.number))
    except KeyboardInterrupt:
        sys.exit(_fail('stopped by Ctrl-C; the same command goes on from the newest checkpoint', 130))


def parse(argv):
    """Parses the flags; a typo in one becomes one sentence and exit status 2."""
    try:
        _check_config_file(argv)
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise InputError(f'flags begin with --, got {rest[1]!r}.')
        if CONFIG.value is None:
            raise InputError('say which experiment, for instance --config=configs/shapes.py.')
        return rest
    except (flags.Error, InputError, KeyError, AttributeError, SyntaxError) as error:
        sys.exit(_fail(_sentence(error), 2))


def _check_config_file(argv):
    """Says that a configuration file is missing; ml_collections would, but late and at length."""
    for argument, following in zip(argv, [*argv[1:], ''], strict=True):
        name, separator, value = argument.partition('=')
        path = (value if separator else following).partition(':')[0]
        if name in ('--config', '-config') and not Path(path).is_file():
            raise InputError(
                f'there is no configuration file {path!r}; configs/ has shapes.py, pascal5i.py and coco20i.py.'
            )


def _sentence(error):
    """The message of an error on one line; ml_collections wraps errors in errors and tracebacks."""
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    text = str(error.args[0]) if error.args else str(error)
    if ours := re.search(r'InputError: (.+)', text):
        return ours[1]
    if 'Traceback' in text:  # a mistake in the configuration file itself
        return text
    prefix = 'unknown setting: ' if isinstance(error, KeyError | AttributeError) else ''
    return prefix + ' '.join(text.split())


def _fail(sentence, status):
    print(f'panet_jax: {sentence}', file=sys.stderr)
    return status


def run():
    """Entry point of the console script."""
    app.run(main, flags_parser=parse)


if __name__ == '__main__':
    run()
