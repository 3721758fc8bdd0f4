"""`panet-jax` as typed: the commands, and the message on one that does not exist."""

import pytest

import panet_jax
from panet_jax.commands import cli


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
    for name in (*cli.COMMANDS, '--config=FILE', '--support cat=cat.jpg:box='):
        assert f'panet-jax {name}' in err or name in err


def test_version(command):
    assert command('--version') == (0, f'panet_jax {panet_jax.__version__}\n', '')


MISTAKES = {
    'mode': (['train'], 'type panet-jax --config=FILE --mode=train, for instance'),
    'other word': (['eval', '--config=x'], '--config=FILE --mode=evaluate'),
    'near': (['predikt'], 'did you mean panet-jax predict?'),
    'far': (['xyz'], 'wanted data, demo, predict or --config=FILE.'),
    'option': (['predict', '--suport', 'cat=cat.jpg'], 'has no option --suport; did you mean --support?'),
    'option with value': (['predict', '--ot=x'], 'has no option --ot; did you mean --out?'),
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
    'shots': (['data', 'check', 'x', '--shots=0'], "--shots wants a whole number from 1, got '0'"),
    'data set': (['data', 'prepare', 'coco'], "must be one of pascal5i, coco20i, custom, got 'coco'"),
}


@pytest.mark.parametrize(('arguments', 'sentence'), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_without_usage(command, arguments, sentence):
    status, out, err = command(*arguments)
    assert (status, out) == (2, '')
    assert sentence in err
    assert err.startswith('panet_jax: ')
    assert err.count('\n') == 1
