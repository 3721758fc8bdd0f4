"""Reads --config=NAME or FILE, a Python file or the config.json of a run, and the settings typed after it."""

import ast
import difflib
import json
import re
import runpy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ml_collections

from panet_jax.config import base_config, config_file, config_names
from panet_jax.errors import InputError
from panet_jax.settings import SETTINGS

KINDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'True or False', 'str': 'a text', 'tuple': 'a list'}
SWITCH = {**dict.fromkeys(('true', 't', '1'), True), **dict.fromkeys(('false', 'f', '0'), False)}
HEAD = '--config'


def take_config(words: Sequence[str]) -> tuple[ml_collections.ConfigDict | None, list[str]]:
    """Reads --config=FILE and the settings typed after it; if a setting is typed twice, the last one counts.

    Args:
        words: words of the command, without the name of the program.

    Returns:
        The locked configuration, None without --config; and all other words.

    Raises:
        InputError: the file cannot be read, or a setting does not exist or has no such value.
    """
    config, others, words = None, [], list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition('=')
        if name == HEAD:
            config = read_config(value if equals else _next(words, name))
        elif not name.startswith(f'{HEAD}.'):
            others.append(word)
        elif config is None:
            raise InputError(f'{HEAD}=FILE must come before {word}, which changes a setting of it.')
        else:
            _set(config, name.removeprefix(f'{HEAD}.'), value if equals else None, words)
    return config, others


def read_config(path: str) -> ml_collections.ConfigDict:
    """Reads a configuration file.

    Args:
        path: the name of a configuration that comes with the package, such as shapes; FILE.py, whose get_config returns
            the ConfigDict; either with :PRESET; or a config.json, to repeat its run.

    Returns:
        The ConfigDict, locked.

    Raises:
        InputError: the file is missing or wrong; the message has the line.
    """
    file, colon, preset = path.partition(':')
    file = _file(file)
    if file.endswith('.json') and colon:
        raise InputError(f'{file} describes one run and has no presets; leave out :{preset}.')
    config = _from_json(file) if file.endswith('.json') else _from_python(file, (preset,) if colon else ())
    config.lock()
    return config


def _file(text) -> str:
    """The path of a configuration, given its name or its path."""
    if text in config_names():
        return str(config_file(text))
    path = Path(text)
    if path.is_dir():
        raise InputError(f'--config={text} is a folder; name a file in it, such as config.json to repeat its run.')
    if path.is_file():
        return text
    if path.name == text and not path.suffix:  # a name, and no file
        return str(config_file(text))
    known = f'; type --config={path.stem} for the one that comes with panet_jax' if path.stem in config_names() else ''
    names = f'; names without a file are {", ".join(config_names())}'
    raise InputError(f'there is no configuration file {text!r} in {Path.cwd()}{known or names}.')


def _next(words, name):
    """The value of a flag that was typed as a separate word."""
    if not words:
        raise InputError(f'{name} wants a value.')
    return words.pop(0)


def _set(config, name, text, words):
    """Sets one setting; a switch without a value is on."""
    section, _, field = name.rpartition('.')
    part = config.get(section) if section else config
    if not isinstance(part, ml_collections.ConfigDict) or field not in part:
        raise InputError(_unknown(name))
    if isinstance(part[field], ml_collections.ConfigDict):
        raise InputError(
            f'{HEAD}.{name} is a section; type one of its settings, such as {HEAD}.{name}.{next(iter(part[field]))}=.'
        )
    kind = part.get_type(field)
    if text is None:
        text = 'True' if kind is bool else _next(words, f'{HEAD}.{name}')
    part[field] = _parsed(name, kind, text)


def _parsed(name: str, kind: type, text: str) -> Any:
    """Converts the typed value of a setting."""
    if kind is tuple:
        return _parsed_list(text, SETTINGS[name].items if name in SETTINGS else None)
    if kind is bool:
        if text.lower() not in SWITCH:
            raise InputError(f'{HEAD}.{name} wants True or False, got {text!r}.')
        return SWITCH[text.lower()]
    try:
        return kind(text)
    except ValueError as error:
        description = 'a whole number' if kind is int else 'a number such as 0.01 or 1e-3'
        raise InputError(f'{HEAD}.{name} wants {description}, got {text!r}.') from error


def _parsed_list(text, kind):
    """Reads a list as people type it, heart,star or 0,1, or in the form of Python, ('heart', 'star') or (0,).

    If the items of the setting are texts, numbers stay texts: classes may be called 1 and 2.
    """
    try:
        if kind is str and not text.lstrip().startswith(('(', '[')):
            raise ValueError('names may look like numbers')
        value = ast.literal_eval(text)
        items = tuple(value) if isinstance(value, tuple | list) else (value,)
    except (ValueError, SyntaxError):
        words = [word.strip().strip('\'"') for word in text.strip().strip('()[]').split(',')]
        items = tuple(word for word in words if word)
    return tuple(map(str, items)) if kind is str else items


def _from_python(file, preset):
    """The value of the file's get_config; an InputError names the line where it fails."""
    try:
        get_config = runpy.run_path(file).get('get_config')
        config = get_config(*preset) if get_config else None
    except InputError:
        raise
    except SyntaxError as error:
        raise InputError(
            f'the configuration file {error.filename} is not valid Python: {error.msg}, line {error.lineno}.'
        ) from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f'{file}, line {lines[-1]}' if lines else file
        raise InputError(f'the configuration file {where}: {_problem(error)}') from error
    if get_config is None:
        raise InputError(f'the configuration file {file} has no function get_config; see those in configs/.')
    if config is None:
        raise InputError(f'get_config in {file} returns nothing; its last line must be "return config".')
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(f'get_config in {file} must return a ConfigDict, as base_config does.')
    return config


def _problem(error):
    if isinstance(error, AttributeError | KeyError) and 'the config is locked' in str(error):
        return _unknown(str(error).split('"')[1])
    if match := re.search(r"override field '(.+)' \(.*?\. (.*) is of .*type <class '(\w+)'>$", str(error), re.DOTALL):
        return f'{match[1]} must be {KINDS.get(match[3], match[3])}, got {match[2]}.'
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def _unknown(name):
    """A sentence on a setting that does not exist, with those of similar names."""
    settings = {setting.rpartition('.')[-1]: setting for setting in SETTINGS}
    near = [f'"{settings[field]}"' for field in difflib.get_close_matches(name.rpartition('.')[-1], settings, 2)]
    return f'there is no setting "{name}".' + (f' Did you mean {" or ".join(near)}?' if near else '')


def _from_json(file):
    """The configuration in a config.json; settings that it lacks have their defaults."""
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('wanted an object')
        if not {'name', 'data'} <= set(content):
            raise ValueError('it has no name or no data')
    except ValueError as error:
        raise InputError(f'the configuration file {file} is not the config.json of a run ({error}).') from error
    config = base_config('any')
    _fill(config, content, file, '')
    return config


def _fill(config, content, file, section):
    for field, value in content.items():
        name = f'{section}{field}'
        if field not in config:
            raise InputError(f'the configuration file {file}: {_unknown(name)}')
        if isinstance(value, dict) and isinstance(config[field], ml_collections.ConfigDict):
            _fill(config[field], value, file, f'{name}.')
            continue
        try:
            config[field] = value
        except TypeError as error:
            kind = KINDS.get(type(config[field]).__name__, 'an object')
            raise InputError(f'the configuration file {file}: {name} must be {kind}, got {value!r:.60}.') from error
