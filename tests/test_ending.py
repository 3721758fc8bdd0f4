"""One mapping from error to sentence and exit status, for all programs."""

import errno
import signal

import jax
import pytest

from panet_jax.commands import predict
from panet_jax.commands.ending import Ending, FrontEnd, ending, exiting
from panet_jax.compute.interrupts import Interrupted, Terminated
from panet_jax.config import base_config
from panet_jax.errors import InputError
from panet_jax.main import front_end

FRONT = FrontEnd(options={'data.root': '--root'}, memory='for {batch=}', again='goes on')
FULL = OSError(errno.ENOSPC, 'No space left on device')
MISSING = FileNotFoundError(errno.ENOENT, 'No such file or directory', 'x.json')
ENDINGS = {
    'mistake': (InputError('type {data.root=}'), Ending('type --root=', 2)),
    'everywhere': (InputError.on_all('as all know'), Ending('as all know', 2, True)),
    'file': (MISSING, Ending('No such file or directory: x.json', 2)),
    'disk': (FULL, Ending('No space left on device: the workdir', 2)),
    'memory': (MemoryError(), Ending('the memory does not suffice for --config.batch= (MemoryError)', 2)),
    'device memory': (
        jax.errors.JaxRuntimeError('RESOURCE_EXHAUSTED: 9 GB\nand more'),
        Ending('the memory does not suffice for --config.batch= (RESOURCE_EXHAUSTED: 9 GB)', 2),
    ),
    'saved': (
        Interrupted(signal.SIGTERM, 7),
        Ending('stopped by SIGTERM; step 7 is saved; the same command resumes there', 143, True),
    ),
    'Ctrl-C': (KeyboardInterrupt(), Ending('stopped by Ctrl-C; the same command goes on', 130)),
    'signal': (Terminated(signal.SIGTERM), Ending('stopped by SIGTERM; the same command goes on', 143)),
    'defect': (ZeroDivisionError(), None),
    'other defect': (OSError('of no file'), None),
    'runtime': (RuntimeError('another'), None),
    'exit': (SystemExit(0), None),
}


@pytest.mark.parametrize(('error', 'wanted'), ENDINGS.values(), ids=ENDINGS)
def test_every_error_has_its_sentence_and_status(error, wanted):
    assert ending(error, FRONT) == wanted


def test_a_program_exits_with_the_sentence_after_telling_other_processes(capsys):
    endings = []
    with pytest.raises(SystemExit) as end, exiting(FrontEnd('some.py'), endings.append):
        raise InputError('what to type')
    assert end.value.code == 2
    assert capsys.readouterr().err == 'some.py: what to type\n'
    assert endings == [Ending('what to type', 2)]
    with pytest.raises(ZeroDivisionError), exiting(FrontEnd(), endings.append):
        _ = 1 / 0
    assert len(endings) == 1


def test_what_to_make_smaller_when_the_memory_does_not_suffice():
    front = front_end('table', base_config('pascal5i'))
    assert ending(MemoryError('19 GB'), front).sentence == (
        'the memory does not suffice for 1 episode(s) a step in training or 4 image(s) in evaluation, at 417 x 417 pixels; '
        'type a smaller --config.batch=, --config.evaluation.batch=, --config.evaluation.cache_gib=, '
        '--config.loader.threads= or --config.data.size= (19 GB)'
    )
    assert ending(KeyboardInterrupt(), front).sentence.endswith('keeps the finished cells')
    assert '--batch= or --size=' in ending(MemoryError(), predict.FRONT_END).sentence
