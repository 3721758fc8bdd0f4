"""`panet-jax` as typed: the commands, and the message on one that does not exist."""

import importlib.metadata
import pathlib
import re
import shutil
import subprocess

import pytest

import panet_jax
from panet_jax.commands import cli, experiment_options
from panet_jax.settings import SETTINGS


@pytest.fixture
def command(capsys):
    def run(*arguments):
        try:
            cli.run(arguments)
            status = 0
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        assert 'Traceback' not in err
        return status, out, err

    return run


def test_without_arguments_it_says_what_there_is_and_what_to_type(command):
    status, _, err = command()
    assert status == 2
    for name in (*cli.COMMANDS, *cli.EXPERIMENTS):
        assert f'panet-jax {name}' in err
    assert 'Try it: ' in err


def test_version(command):
    assert command('--version') == (0, f'panet_jax {panet_jax.__version__}\n', '')


MISTAKES = {
    'no experiment': (['train'], 'wants an experiment first: coco20i, custom, pascal5i,'),
    'option first': (['table', '--workdir=x'], 'panet-jax table wants an experiment first'),
    'experiment': (['train', 'shape'], "there is no configuration 'shape'; did you mean shapes?"),
    'other word': (['eval', 'shapes'], 'did you mean panet-jax evaluate?'),
    'no command': (['shapes:lite'], 'did you mean panet-jax train shapes:lite?'),
    'shell': (['completion', 'bsh'], "got 'bsh'; did you mean bash?"),
    'stray word of doctor': (['doctor', 'x'], "takes no further argument, got 'x'"),
    'near': (['predikt'], 'did you mean panet-jax predict?'),
    'far': (['xyz'], 'there are predict, demo, data, export, doctor, completion, train, evaluate, table.'),
    'option': (['predict', '--suport', 'cat=cat.jpg'], 'has no option --suport; did you mean --support?'),
    'option with value': (['predict', '--ot=x'], 'has no option --ot; did you mean --out?'),
    'setting without config': (['train', 'shapes', '--fold=1'], 'no option --fold; did you mean --config.data.fold?'),
    'shots': (['table', 'pascal5i', '--shots=1'], 'has no option --shots; did you mean --config.table.shots?'),
    'setting without config, whole': (['train', 'shapes', '--data.fold=1'], 'did you mean --config.data.fold?'),
    'no setting': (
        ['train', 'shapes', '--colour=1'],
        'has no option --colour; panet-jax train --help lists its options',
    ),
    'short option': (['predict', '--box', '1,2'], 'has no option --box; panet-jax predict --help lists'),
    'far option': (['demo', '--xyz'], 'panet-jax demo has no option --xyz; panet-jax demo --help lists'),
    'command option': (
        ['data', 'check', 'x', '--shot=1', '--sheets=y'],
        'data check has no option --sheets; did you mean',
    ),
    'stray word': (['predict', 'cat.jpg'], "takes no further argument, got 'cat.jpg'"),
    'nothing': (['predict'], 'show what to look for with --support'),
    'missing': (['data', 'check'], 'required: DIR_OR_NAME; see panet-jax data check --help.'),
    'no action': (['data'], 'check|prepare|clean; see panet-jax data --help.'),
    'action': (
        ['data', 'chek', 'x'],
        "there is no action 'chek'; wanted one of check, prepare, clean; did you mean check?",
    ),
    'size': (['predict', '--size', 'big'], "--size wants a whole number from 8, got 'big'"),
    'batch': (['predict', '--batch=0'], "--batch wants a whole number from 1, got '0'"),
    'choice': (['predict', '--dtype=int8'], "--dtype must be one of float32, tf32, bfloat16, got 'int8'"),
    'share': (
        ['predict', '--absent-above', '55%'],
        "--absent-above wants a number from 0 to 1 such as 0.55, got '55%'",
    ),
    'no value': (['predict', '--out'], '--out wants a value'),
    'misspelled weights': (['predict', '--weights=imagnet'], 'no such file or folder; did you mean imagenet?'),
    'address of weights': (['demo', '--weights=s3://b/x'], '--weights must be a path on this machine or'),
    'random': (['predict', '--weights', 'random'], "file of weights, got 'random': random finds nothing;"),
    'random demo': (['demo', '--weights=random'], "file of weights, got 'random': random finds nothing;"),
    'port': (['demo', '--port=http'], "--port wants a whole number from 0, got 'http'"),
    'fewest shots': (['data', 'check', 'x', '--shots=0'], "--shots wants a whole number from 1, got '0'"),
    'data set': (['data', 'prepare', 'coco'], "must be one of pascal5i, coco20i, custom, got 'coco'"),
}


@pytest.mark.parametrize(('arguments', 'sentence'), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_without_usage(command, arguments, sentence):
    status, out, err = command(*arguments)
    assert (status, out) == (2, '')
    assert sentence in err
    assert err.startswith('panet_jax: ')
    assert err.count('\n') == 1


OWN_HELP = {
    'train': ('Trains a network on some classes', '--config.data.fold', 'panet-jax train shapes:lite'),
    'evaluate': ('Evaluates the trained network of a workdir again', '--config.evaluation.annotation'),
    'table': (
        "Makes the paper's whole table",
        '--config.table.shots',
        "panet-jax table pascal5i --config.checkpoint=''",
    ),
}


def test_help_before_a_command_is_its_help(command):
    assert command('help', 'table') == command('table', '--help')
    assert command('help', 'predict')[1].startswith('usage: panet-jax predict ')


@pytest.mark.parametrize('words', [['--help'], ['shapes', '-h']])
@pytest.mark.parametrize('name', sorted(cli.EXPERIMENTS))
def test_each_command_of_experiments_has_a_help_of_its_own(command, name, words):
    status, out, _ = command(name, *words)
    assert status == 0
    assert out.startswith(f'usage: panet-jax {name} EXPERIMENT ')
    for part in OWN_HELP[name]:
        assert part in ' '.join(out.split())
    others = {text for other, (text, *_) in OWN_HELP.items() if other != name}
    assert not [text for text in others if text in ' '.join(out.split())]
    assert {'--mode', '--config '} & set(out.split()) <= ({'--mode'} if name == 'train' else set())


def test_the_settings_that_a_help_names_exist():
    assert {name for names in experiment_options.CHANGED_MOST.values() for name in names} <= set(SETTINGS)


@pytest.mark.parametrize('words', [['--help'], ['-h'], ['help']])
def test_help_is_the_overview(command, words):
    status, out, err = command(*words)
    assert (status, err) == (0, '')
    for name in (*cli.COMMANDS, *cli.EXPERIMENTS):
        assert f'panet-jax {name}' in out


def completed(script, words, word):
    """What bash offers for the last word of a command."""
    ask = f'source {script}; COMP_WORDS=({words} {word}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
    ask += f'_shtab_panet_jax panet-jax "{word}"; echo "${{COMPREPLY[@]}}"'
    return subprocess.run(['bash', '-c', ask], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.skipif(not shutil.which('bash'), reason='there is no bash')
def test_the_tab_key_completes_commands_options_settings_and_names(command, tmp_path):
    status, script, _ = command('completion', 'bash')
    assert status == 0
    (tmp_path / 'script').write_text(script)
    for words, word, wanted in (
        ('panet-jax', 'pre', 'predict'),
        ('panet-jax predict', '--sup', '--support'),
        ('panet-jax data', 'che', 'check'),
        ('panet-jax train', 'sha', 'shapes'),
        ('panet-jax train shapes', '--config.data.fold_r', '--config.data.fold_rule'),
        ('panet-jax train pascal5i --mode', 'tr', 'train'),
    ):
        assert wanted in completed(tmp_path / 'script', words, word), (words, word)


def test_the_doctor_says_what_there_is_and_what_to_type(command, tmp_path, monkeypatch):
    for name in ('TFDS_DATA_DIR', 'PANET_JAX_CACHE', 'HF_HOME', 'TORCH_HOME'):  # those of this machine may have weights
        monkeypatch.setenv(name, str(tmp_path / name))
    status, out, _ = command('doctor')
    assert status == 0
    for part in ('versions', 'devices', 'folders', 'weights', 'data', 'optional parts'):
        assert re.search(f'^{part}( \\(.*\\))?$', out, re.MULTILINE)
    assert f'panet_jax {panet_jax.__version__} in ' in out
    assert f'jax {importlib.metadata.version("jax")},' in out
    assert str(pathlib.Path.home()) + '/' not in out
    assert 'resnet101: not here, and its checksum is not known here: if you need it, get it from https://' in out
    assert 'dinov3-small: not here, and its license must be accepted: if you need it, get it from' in out
    assert 'dinov2-small: not here, 88.3 MB are downloaded when first needed' in out
    assert 'pascal5i: not here, 0 archive(s) downloaded; panet-jax train pascal5i gets the rest' in out
    assert 'missing' not in out
