"""The flag --config and the settings after it, as people type them."""

import json

import pytest
from tiny import ROOT, load_config
from typed import run_typed

from panet_jax.commands.config_flag import take_config
from panet_jax.config import config_names, named_config

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


@pytest.mark.parametrize('name', config_names())
def test_a_configuration_is_named_or_a_file(name):
    assert parsed(f'--config={name}:lite').to_dict() == parsed(f'--config={ROOT}/configs/{name}.py:lite').to_dict()
    assert parsed(f'--config={name}').to_dict() == named_config(name).to_dict()


def test_a_file_inherits_from_a_configuration_by_its_name(tmp_path):
    lines = ['from panet_jax.config import named_config', 'def get_config(preset=""):']
    lines += ['    config = named_config("pascal5i", preset)', '    config.data.fold = 2', '    return config']
    (tmp_path / 'own.py').write_text('\n'.join(lines))
    whole, lite = (parsed(f'--config={tmp_path}/own.py{preset}') for preset in ('', ':lite'))
    assert (whole.name, whole.data.fold, whole.steps) == ('pascal5i', 2, named_config('pascal5i').steps)
    assert (lite.name, lite.data.fold, lite.steps) == ('pascal5i-lite', 2, 200)


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
    'name': ({}, ['--config=shape'], "there is no configuration 'shape'; did you mean shapes?"),
    'far name': ({}, ['--config=xyz'], 'choose one of coco20i, custom, pascal5i,'),
    'file of a name': ({}, ['--config=nowhere/shapes.py'], 'type --config=shapes for the one that comes with'),
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
