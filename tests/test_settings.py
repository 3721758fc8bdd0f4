"""The table of settings, and what derives from it."""

import json
import pickle

import pytest
from tiny import load_config, tiny_config

from panet_jax.config import base_config
from panet_jax.datasets.folds import FOLD_RULES, FOLDS
from panet_jax.datasets.open import LAYOUTS
from panet_jax.disk.experiment import check_experiment, check_split, training_recipe
from panet_jax.episodes.annotations import KINDS
from panet_jax.errors import InputError
from panet_jax.evaluation.protocols import PROTOCOLS
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.method.vgg16 import BLOCKS
from panet_jax.settings import SETTINGS, Role, defaults, flat, is_fixed, with_role

IMPLEMENTED = {
    'annotation': KINDS,
    'data.fold': range(FOLDS),
    'data.fold_rule': FOLD_RULES,
    'data.name': ('shapes', *LAYOUTS),
    'encoder.dtype': COMPUTATIONS,
    'evaluation.annotation': KINDS,
    'evaluation.protocol': PROTOCOLS,
    'table.annotations': KINDS,
    'table.folds': range(FOLDS),
}


@pytest.mark.parametrize('name', IMPLEMENTED)
def test_choices_are_what_the_modules_implement(name):
    assert SETTINGS[name].choices == tuple(IMPLEMENTED[name])


def test_the_step_of_the_width_is_a_channel_of_the_narrowest_layer():
    assert SETTINGS['encoder.width'].step == 1 / min(channels for _, channels in BLOCKS)


def test_the_base_configuration_is_the_table():
    config = flat(base_config('shapes').to_dict())
    assert config == defaults() | {'name': 'shapes'}
    assert set(config) == set(SETTINGS)


def test_what_a_workdir_fixes_is_what_makes_a_difference_to_training():
    free = {name for name in SETTINGS if not is_fixed(name)}
    assert {name for name in free if '.' not in name} == {
        *('name', 'steps', 'accumulate', 'checkpoint', 'checkpoint_every', 'checkpoint_minutes'),
        *('checkpoints_kept', 'log_every'),
    }
    assert {name for name in free if name.startswith(('data.', 'encoder.', 'episode.', 'optimizer.'))} == {
        *('data.root', 'data.prepared_dir', 'data.cache', 'data.test_split', 'encoder.rematerialize')
    }
    assert with_role(Role.SPLIT) == ('data.name', 'data.unseen', 'data.fold', 'data.fold_rule', 'data.fold_seed')
    # Settings of another version: evaluation and loading were always free, and the rest fixed.
    unknown = ('evaluation.old', 'loader.old', 'data.old', 'old')
    assert [is_fixed(name) for name in unknown] == [False, False, True, True]


def test_a_workdir_of_a_version_without_a_setting_has_its_default(tmp_path):
    config = tiny_config()
    content = json.loads(config.to_json())
    del content['encoder']['name'], content['data']['fold_seed']
    (tmp_path / 'config.json').write_text(json.dumps(content))
    (tmp_path / 'checkpoints/3').mkdir(parents=True)
    check_experiment(tmp_path, config)
    check_split(tmp_path, config)
    assert 'encoder.name' not in training_recipe(tmp_path)  # so that it equals that of results of that version
    config.data.fold_seed = 7
    with pytest.raises(InputError, match=r'data.fold_seed is 0 there and 7 here'):
        check_experiment(tmp_path, config)


@pytest.mark.parametrize(
    ('sentence', 'program', 'command'),
    [
        ('type {data.root=FOLDER}.', 'type --config.data.root=FOLDER.', 'type --root=FOLDER.'),
        ('{data.root} must be', '--config.data.root must be', '--root must be'),
        ('{data.skip_unreadable=True}', '--config.data.skip_unreadable=True', '--skip-unreadable'),
        ('{data.train_split=|data.test_split=}', '--config.data.train_split= and --config.data.test_split=', '--list='),
        ('a smaller {batch=}', 'a smaller --config.batch=', 'a smaller --config.batch='),
        ('name {segmenter.weights=}', 'name weights=', 'name --weights='),
        ('{fold}, {x} and {} stay', '{fold}, {x} and {} stay', '{fold}, {x} and {} stay'),
    ],
)
def test_an_error_is_worded_by_each_program(sentence, program, command):
    options = {
        **{'data.root': '--root', 'data.skip_unreadable': '--skip-unreadable', 'segmenter.weights': '--weights'},
        **dict.fromkeys(('data.train_split', 'data.test_split'), '--list'),
    }
    error = pickle.loads(pickle.dumps(InputError(sentence)))
    assert str(error) == program
    assert error.worded(options) == command


def test_an_error_knows_its_settings():
    assert InputError('{data.root=x} or {batch=}').settings == ('data.root', 'batch')
    assert InputError('{x} and none').settings == ()


@pytest.mark.parametrize('name', ['shapes', 'pascal5i', 'coco20i', 'custom'])
def test_configurations_set_only_what_the_table_has(name):
    assert set(flat(load_config(name).to_dict())) == set(SETTINGS)
