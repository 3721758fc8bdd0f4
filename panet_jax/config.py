"""The paper's experiment as a configuration; the files in configs/ change it."""

import difflib
import math
import runpy
from pathlib import Path

import ml_collections

from panet_jax.disk.paths import local_path, workdir_path
from panet_jax.errors import InputError
from panet_jax.settings import SETTINGS, Setting

PICTURED = SETTINGS['evaluation.pictured']
PATHS = {'local': local_path, 'workdir': workdir_path}
# An installed package contains configs/; in a clone it is beside the package.
PACKAGE = Path(__file__).parent
CONFIGS = PACKAGE / 'configs' if (PACKAGE / 'configs').is_dir() else PACKAGE.with_name('configs')


def config_names() -> tuple[str, ...]:
    """The names of the configurations that come with the package, such as 'shapes'."""
    return tuple(sorted(path.stem for path in CONFIGS.glob('*.py')))


def config_file(name: str) -> Path:
    """The file of a configuration that comes with the package.

    Args:
        name: one of `config_names`.

    Returns:
        The file.

    Raises:
        InputError: there is no such configuration.
    """
    names = config_names()
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        hint = f'did you mean {near[0]}?' if near else f'choose one of {", ".join(names)}, or name a file of your own.'
        raise InputError(f'there is no configuration {name!r}; {hint}')
    return CONFIGS / f'{name}.py'


def named_config(name: str, preset: str = '') -> ml_collections.ConfigDict:
    """A configuration that comes with the package, for a file of your own to change.

    Args:
        name: one of `config_names`, such as 'pascal5i'.
        preset: '' or 'lite'.

    Returns:
        The locked ConfigDict.

    Raises:
        InputError: there is no such configuration or preset.
    """
    return runpy.run_path(str(config_file(name)))['get_config'](preset)


def base_config(name: str, preset: str = '') -> ml_collections.ConfigDict:
    """PANet's recipe (section 4.1 and config.py of the reference), for ImageNet weights of full width.

    Args:
        name: name of the data set and of the experiment; results go to runs/NAME-... by default.
        preset: '' or 'lite'; the configuration file itself shrinks a lite run.

    Returns:
        A locked ConfigDict of the settings' defaults.

    Raises:
        InputError: there is no such preset.
    """
    if preset not in ('', 'lite'):
        raise InputError(f"the preset of configs/{name}.py must be 'lite' or '', the full run; got {preset!r}.")
    config = ml_collections.ConfigDict()
    for setting in SETTINGS.values():
        section, _, field = setting.name.rpartition('.')
        if section not in config and section:
            config[section] = ml_collections.ConfigDict()
        (config[section] if section else config)[field] = setting.default
    config.name = f'{name}-{preset}' if preset else name
    config.data.name = name
    config.lock()
    return config


def shrink(config: ml_collections.ConfigDict) -> None:
    """Shrinks a run for a laptop: 200 steps at 129 x 129 pixels, 2 x 100 episodes.

    Args:
        config: the configuration; it is changed in place.
    """
    config.data.size = 129
    config.steps = 200
    config.log_every = 10
    config.checkpoint_every = 50
    config.evaluation.runs = 2
    config.evaluation.episodes = 100


def check_config(config: ml_collections.ConfigDict) -> None:
    """Checks the values of all settings.

    Args:
        config: a configuration made from `base_config`.

    Raises:
        InputError: a setting has a wrong value; the message names the setting, the allowed values and the value.
    """
    values = config.to_dict()
    for setting in SETTINGS.values():
        value = _value(values, setting.name)
        if isinstance(setting.default, tuple):
            _check_items(setting, value)
        elif setting is not PICTURED:
            _check_value(setting, value)
    _check_pictured(config.evaluation)


def _value(values, name):
    section, _, field = name.rpartition('.')
    try:
        return values[section][field] if section else values[field]
    except KeyError as error:
        raise InputError(
            f'the configuration has no {name}; make it with base_config, as the files in configs/ do.'
        ) from error


def _check_value(setting: Setting, value) -> None:
    if setting.path:
        PATHS[setting.path](value, f'{{{setting.name}}}')
    if setting.least is not None and not value >= setting.least:  # `not >=` refuses NaN too
        raise InputError(f'{setting.name} must be at least {setting.least}, got {value}.')
    if setting.most is not None and not value <= setting.most:
        raise InputError(f'{setting.name} must be at most {setting.most}, got {value}.')
    if setting.choices and value not in setting.choices:
        *rest, last = map(str, setting.choices)
        choices = f'{", ".join(rest)} or {last}' if rest else last
        raise InputError(f'{setting.name} must be {choices}, got {value}.')
    if setting.step and not (math.isfinite(value) and value > 0 and value % setting.step == 0):
        raise InputError(f'{setting.name} must be a multiple of 1/{1 / setting.step:g} = {setting.step}, got {value}.')


def _check_items(setting: Setting, items) -> None:
    if setting.nonempty and not (items and all(_is_allowed(setting, item) for item in items)):
        choices = ', '.join(map(str, setting.choices))
        description = f'of {choices}' if choices else f'a whole number from {setting.least}'
        raise InputError(f'{setting.name} must be one or more, each {description}; got {items}.')
    if not all(isinstance(item, setting.items) for item in items):
        raise InputError(f'{setting.name} must be {setting.wanted}, got {items}.')


def _is_allowed(setting: Setting, item) -> bool:
    if setting.choices:
        return item in setting.choices
    return isinstance(item, setting.items) and item >= setting.least


def _check_pictured(evaluation) -> None:
    """Checks evaluation.pictured: a choice, or numbers of episodes."""
    if evaluation.pictured in PICTURED.choices:
        return
    numbers, last = [number.strip() for number in evaluation.pictured.split(',')], evaluation.episodes - 1
    if not all(number.isdigit() and int(number) <= last for number in numbers):
        raise InputError(
            f'{PICTURED.name} must be {", ".join(PICTURED.choices)}, or numbers of episodes up to {last} such as 3,17; '
            f'got {evaluation.pictured!r}.'
        )
    most = SETTINGS['evaluation.pictures'].most
    if len(numbers) > most:
        raise InputError(f'{PICTURED.name} may name at most {most} episodes, got {len(numbers)}.')
