"""The program: `python -m panet_jax.main --config=configs/shapes.py`."""

import errno
import functools
import hashlib
import os
import re
import sys

import jax
from absl import app, flags, logging
from ml_collections import config_flags

from panet_jax import __version__
from panet_jax.compute import devices, hosts
from panet_jax.compute.compilation_cache import keep_compiled
from panet_jax.compute.interrupts import Interrupted, Terminated, heed_signals, name_and_status
from panet_jax.config import check_config
from panet_jax.config_flag import WholeNumberParser, read_as_typed, with_named_classes
from panet_jax.datasets.open import prepared_home
from panet_jax.disk.paths import in_bucket, workdir_path
from panet_jax.disk.workdir import check_experiment, default_table_workdir, default_workdir, make_workdir
from panet_jax.errors import InputError
from panet_jax.evaluation.evaluate import check_checkpoint, evaluate, evaluation_runs, find_checkpoint
from panet_jax.evaluation.table import make_table
from panet_jax.results.rows import comparable_results, format_table, results_table
from panet_jax.training.train import train, training_devices


def _environment_number(name):
    """A whole number from the environment, or None."""
    return int(value) if (value := os.environ.get(name, '')).isdigit() else None


CONFIG = config_flags.DEFINE_config_file(
    'config',
    None,
    'The experiment: a file such as configs/shapes.py, configs/shapes.py:lite for a small one, or config.json of a workdir '
    'to repeat its run.',
)
read_as_typed(flags.FLAGS['config'])
WORKDIR = flags.DEFINE_string(
    'workdir', None, 'Where checkpoints, metrics and results go. By default runs/, named after the experiment.'
)
MODE = flags.DEFINE_enum(
    'mode',
    None,
    ['train', 'evaluate', 'table'],
    'What to do. By default training and evaluation, one after the other; table evaluates all folds, shots and kinds of '
    'support, and sets the paper beside them.',
)
DISTRIBUTED = flags.DEFINE_bool(
    'distributed',
    False,
    'Several processes train together, each started with this same command: on Cloud TPU, under SLURM and Open MPI they '
    'find each other, elsewhere by the next three flags.',
)
COORDINATOR = flags.DEFINE_string(
    'coordinator', os.environ.get('JAX_COORDINATOR_ADDRESS'), 'HOST:PORT of process 0; means --distributed.'
)
PROCESSES = flags.DEFINE(
    WholeNumberParser(), 'processes', _environment_number('JAX_NUM_PROCESSES'), 'How many processes there are.'
)
PROCESS = flags.DEFINE(
    WholeNumberParser(), 'process', _environment_number('JAX_PROCESS_ID'), "This process's number, from 0."
)
COMPILATION_CACHE = flags.DEFINE_string(
    'compilation_cache',
    None,
    "Where compiled programs are kept, so that a second run begins at once: '' is nowhere, and by default it is "
    'compiled/ in $PANET_JAX_CACHE or ~/.cache/panet_jax. $JAX_COMPILATION_CACHE_DIR has its way.',
)


def run_experiment(config, workdir, mode):
    """Trains, evaluates, or both, and prints the table."""
    say = functools.partial(print, flush=True) if hosts.is_primary() else lambda _: None
    say(f'{config.name}, workdir {workdir}')
    if in_bucket(workdir):  # else hours of work could end in a bucket that nobody may write to
        hosts.value_from_primary(lambda: make_workdir(workdir))
    if mode == 'table':
        if jax.process_count() > 1:
            raise InputError('--mode=table is for one process; leave out --distributed.')
        say(_evaluation_banner(config))
        say(format_table(make_table(config, workdir)))
        say(f'table.md, table.csv, table.json and report.html are in {workdir}')
        return
    hosts.value_from_primary(lambda: check_checkpoint(config))
    if mode != 'evaluate':
        hosts.value_from_primary(lambda: _begin(config, workdir))
        if mode is None:
            evaluation_runs(config)  # what is wrong there must not show only after a day of training
        say(f'training: {devices.banner(config.batch, training_devices(config), "episode(s)")}')
        train(config, workdir)
        if mode == 'train':
            return
    say(_evaluation_banner(config))
    if config.evaluation.untrained and config.checkpoint != '':
        hosts.value_from_primary(lambda: find_checkpoint(config, workdir) and None)  # before the other evaluation
        untrained = config.copy_and_resolve_references()
        untrained.checkpoint = ''
        evaluate(untrained, workdir)
    results = evaluate(config, workdir)
    if hosts.is_primary():
        say(format_table(results_table(comparable_results(workdir, results), workdir)))
    say(f'results in {workdir}/results.json, pictures in {workdir}/pictures, all of it in {workdir}/report.html')


def _begin(config, workdir):
    make_workdir(workdir)
    check_experiment(workdir, config)


def _evaluation_banner(config):
    batch = config.evaluation.batch
    return f'evaluating: {devices.banner(batch, devices.usable_devices(batch), "image(s)")}'


def main(_):
    """Runs the experiment; a user's mistake becomes one sentence and exit status 2."""
    logging.set_verbosity(logging.ERROR)
    heed_signals()  # training has handlers of its own
    with hosts.none_left_waiting():
        _main(CONFIG.value)


def _main(config):
    try:
        keep_compiled(COMPILATION_CACHE.value)
        check_config(config)
        default = default_table_workdir if MODE.value == 'table' else default_workdir
        workdir = workdir_path(WORKDIR.value or default(config), '--workdir')
        if config.data.name != 'shapes':
            prepared_home(config.data.prepared_dir)
        told = (COORDINATOR.value, PROCESSES.value, PROCESS.value)
        if DISTRIBUTED.value or told != (None, None, None):
            hosts.join(*told)
            hosts.check_same('the configuration', _shared_settings(config))
        run_experiment(config, workdir, MODE.value)
    except InputError as error:
        sys.exit(_fail(str(error), 2, everywhere=error.everywhere))
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:  # a defect, which wants its traceback
            raise
        everywhere = getattr(error, 'everywhere', False)
        sys.exit(_fail(f'{error.strerror}: {error.filename or "the workdir"}', 2, everywhere=everywhere))
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        sys.exit(_fail(_out_of_memory(error, config), 2))
    except MemoryError as error:
        everywhere = getattr(error, 'everywhere', False)
        sys.exit(_fail(_out_of_memory(error, config), 2, everywhere=everywhere))
    except Interrupted as interrupted:
        sys.exit(_fail(str(interrupted), 128 + interrupted.number, everywhere=True))
    except (KeyboardInterrupt, Terminated) as stop:
        goes_on = {'evaluate': 'begins again', 'table': 'keeps the finished cells'}
        again = goes_on.get(MODE.value, 'goes on from the newest checkpoint')
        name, status = name_and_status(stop)
        sys.exit(_fail(f'stopped by {name}; the same command {again}', status))


def _out_of_memory(error, config):
    reason = str(error).partition('\n')[0][:120] or type(error).__name__
    return (
        f'the memory does not suffice for {config.batch} episode(s) a step in training or '
        f'{config.evaluation.batch} image(s) in evaluation, at {config.data.size} x {config.data.size} pixels; type a smaller '
        f'--config.batch=, --config.evaluation.batch=, --config.evaluation.cache_gib=, --config.loader.threads= or --config.data.size= ({reason})'
    )


def parse(argv):
    """Parses the flags; a typo in one becomes one sentence and exit status 2."""
    try:
        if {'-h', '--help', '-help'} & set(argv):
            print(f'{__doc__}\n{flags.FLAGS.module_help(sys.modules[__name__])}')
            print('  --config.NAME=VALUE changes a setting; configs/ and panet_jax/config.py say which there are.')
            sys.exit(0)
        if '--version' in argv:
            print(f'panet_jax {__version__}')
            sys.exit(0)
        rest = flags.FLAGS(argv)
        if len(rest) > 1:
            raise InputError(f'flags begin with --, got {rest[1]!r}.')
        if CONFIG.value is None:
            raise InputError('say which experiment, for instance --config=configs/shapes.py.')
        with_named_classes(CONFIG.value)
        return rest
    except (flags.Error, InputError, KeyError, AttributeError) as error:
        sys.exit(_fail(_sentence(error), 2))


def _sentence(error):
    """The message of an error on one line; absl and ml_collections wrap errors in errors."""
    if isinstance(error.__context__, InputError):  # of the configuration file
        return str(error.__context__)
    while error.args and isinstance(error.args[0], BaseException):
        error = error.args[0]
    text = str(error.args[0]) if error.args else str(error)
    if found := re.fullmatch(r'flag (--[\w.]+)=.*?: (wants .+)', text, re.DOTALL):
        return f'{found[1]} {found[2]}'
    if found := re.match(r'Found (\S+) in argv before a value for --config', text):
        return f'--config=FILE must come before {found[1]}, which changes a setting of it.'
    prefix = 'unknown setting: ' if isinstance(error, KeyError | AttributeError) else ''
    return prefix + ' '.join(text.partition('Other fields present')[0].split())


def _fail(sentence, status, everywhere=False):
    """Prints the sentence and returns the status; other processes that do not know of it are ended."""
    print(f'panet_jax: {sentence}', file=sys.stderr)
    if not everywhere and hosts.is_one_of_several():
        hosts.leave(status, sentence)
    return status


def _shared_settings(config):
    """A hash of all settings but the places on this machine's disk, which may differ between processes."""
    shared = config.copy_and_resolve_references()
    shared.data.root = shared.data.prepared_dir = ''
    return hashlib.sha256(shared.to_json(sort_keys=True).encode()).hexdigest()


def run():
    """Entry point of the console script."""
    app.run(main, flags_parser=parse)


if __name__ == '__main__':
    run()
