"""The flag --config and the settings after it, as people type them."""

import json

import pytest
from tiny import ROOT, load_config
from typed import run_typed

from panet_jax.commands.config_flag import take_config

SHAPES = f'--config={ROOT}/configs/shapes.py'
HEAD = 'from panet_jax.config import base_config\n\ndef get_config():\n    config = base_config("own")\n'


def parsed(*typed):
    config, others = take_config(typed)
    assert others == []
    return config


@pytest.mark.parametrize(
    ('typed', 'wanted'),
    [
        ('data.unseen=heart,star', ('heart', 'star')),
        ('data.unseen=heart', ('heart',)),
        ('data.unseen=heart, big star', ('heart', 'big star')),
        ("data.unseen=('heart', 'star')", ('heart', 'star')),
        ('data.unseen=(heart, star)', ('heart', 'star')),
        ("data.unseen=['heart']", ('heart',)),
        ('data.unseen=', ()),
        ('optimizer.milestones=10,20', (10, 20)),
        ('optimizer.milestones=10', (10,)),
        ('table.folds=0,1', (0, 1)),
        ('table.folds=(0,)', (0,)),
        ('table.shots=1,5', (1, 5)),
        ('table.annotations=dense,box', ('dense', 'box')),
        ("table.annotations=('box',)", ('box',)),
    ],
)
def test_lists_are_taken_as_people_type_them(typed, wanted):
    section, field = typed.partition('=')[0].split('.')
    assert parsed(SHAPES, f'--config.{typed}')[section][field] == wanted


def test_of_a_setting_given_twice_the_last_counts():
    twice = ('--config.data.unseen=heart', '--config.steps=3', '--config.data.unseen=star', '--config.steps=4')
    config = parsed(SHAPES, *twice)
    assert (config.data.unseen, config.steps) == (('star',), 4)


def test_a_runs_config_json_repeats_it(tmp_path):
    made = load_config('shapes', 'lite')
    made.data.unseen = ('heart', 'star')
    path = tmp_path / 'config.json'
    path.write_text(json.dumps(made.to_dict()))
    config = parsed(f'--config={path}')
    assert config.to_dict() == made.to_dict()
    assert config.is_locked
    assert parsed(f'--config={path}', '--config.steps=3').steps == 3


def test_settings_that_an_older_config_json_lacks_have_their_defaults(tmp_path):
    content = load_config('shapes').to_dict()
    del content['loader'], content['data']['cache']
    (tmp_path / 'config.json').write_text(json.dumps(content))
    assert parsed(f'--config={tmp_path}/config.json').to_dict() == load_config('shapes').to_dict()


def own(lines):
    return {'own.py': HEAD + ''.join(f'    {line}\n' for line in lines)}


MISTAKES = {
    'whole number': ({}, ['--config.steps=ten'], "--config.steps wants a whole number, got 'ten'."),
    'number': (
        {},
        ['--config.optimizer.learning_rate=fast'],
        '--config.optimizer.learning_rate wants a number such as',
    ),
    'switch': ({}, ['--config.data.flip=maybe'], "--config.data.flip wants True or False, got 'maybe'."),
    'processes': ({}, ['--processes=two'], "--processes wants a whole number from 0, got 'two'"),
    'misspelt': ({}, ['--config.stps=3'], 'Did you mean "steps"'),
    'no return': (own([]), [], 'get_config in own.py returns nothing; its last line must be "return config".'),
    'another kind': (own(['return 3']), [], 'get_config in own.py must return a ConfigDict'),
    'unknown': (own(['config.step = 50']), [], 'own.py, line 5: there is no setting "step". Did you mean "steps"?'),
    'section': (own(['config.data.fold_rul = 1']), [], 'there is no setting "fold_rul". Did you mean "data.fold_rule"'),
    'type': (own(['config.steps = "ten"']), [], 'own.py, line 5: steps must be a whole number, got ten.'),
    'Python': (own(['return conf']), [], "own.py, line 5: NameError: name 'conf' is not defined"),
    'import': ({'own.py': 'import nowhere\n'}, [], 'own.py, line 1: ModuleNotFoundError'),
    'no JSON': ({'own.json': '{'}, [], 'own.json is not the config.json of a run'),
    'other JSON': (
        {'own.json': '{"steps": 3}'},
        [],
        'own.json is not the config.json of a run (it has no name or no data).',
    ),
    'JSON unknown': ({'own.json': '{"name": "x", "data": {"folt": 3}}'}, [], 'no setting "data.folt". Did you mean'),
    'JSON type': ({'own.json': '{"name": "x", "data": 3}'}, [], 'own.json: data must be an object, got 3.'),
    'section typed': ({}, ['--config.data=x'], '--config.data is a section; type one of its settings, such as'),
    'no value': ({}, ['--config.steps'], '--config.steps wants a value.'),
    'order': ({}, ['--config.steps=3', SHAPES], '--config=FILE must come before --config.steps=3'),
    'preset': ({'own.json': '{}'}, ['--config=own.json:lite'], 'has no presets; leave out :lite'),
    'folder': ({}, ['--config=.'], '--config=. is a folder; name a file in it, such as config.json'),
}


@pytest.mark.parametrize(('files', 'typed', 'sentence'), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path, files, typed, sentence):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    config = [] if any(word.startswith('--config=') for word in typed) else [f'--config={[*files, None][0]}']
    config = [SHAPES] if config == ['--config=None'] else config
    status, printed = run_typed('parsed program', ['main', *config, *typed], tmp_path, {})
    assert status == 2
    assert sentence in printed
    assert printed.startswith('panet_jax: ')
    assert printed.count('\n') == 1


def test_classes_may_be_called_by_numbers(tmp_path):
    status, printed = run_typed('parsed program', ['main', SHAPES, '--config.data.unseen=1,2'], tmp_path, {})
    assert (status, printed) == (0, '')
