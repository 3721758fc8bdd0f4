"""The flag --config: a Python file or a run's config.json, and settings after it as people type them."""

import ast
import difflib
import json
import re
import runpy
import traceback
from pathlib import Path

import ml_collections
from absl import flags
from ml_collections import config_flags

from panet_jax.config import base_config
from panet_jax.errors import InputError

KINDS = {'int': 'a whole number', 'float': 'a number', 'bool': 'True or False', 'str': 'a text', 'tuple': 'a list'}


def read_as_typed(flag):
    """Has a flag of `config_flags.DEFINE_config_file` read files and values by the parsers below."""
    flag.parser = ExperimentParser()
    for kind, parser in ((int, WholeNumberParser()), (float, NumberParser()), (bool, SwitchParser())):
        config_flags.register_flag_parser_for_type(kind, parser)
    # No TupleParser: config_flags adds up what is given twice to one, where of all other settings the last counts.
    config_flags.register_flag_parser_for_type(tuple, CommaParser())


class ExperimentParser(flags.ArgumentParser):
    """FILE.py or FILE.py:PRESET, whose get_config makes the ConfigDict; or a config.json, which repeats its run."""

    def parse(self, path):
        """The locked ConfigDict that a path names."""
        file, colon, preset = path.partition(':')
        if Path(file).is_dir():
            raise InputError(f'--config={file} is a folder; name a file in it, such as config.json to repeat its run.')
        if not Path(file).is_file():
            raise InputError(
                f'there is no configuration file {file!r} in {Path.cwd()}; shapes.py, pascal5i.py, coco20i.py and '
                'custom.py are in configs/ of the repository.'
            )
        if file.endswith('.json') and colon:
            raise InputError(f'{file} is of one run and has no presets; leave out :{preset}.')
        config = _from_json(file) if file.endswith('.json') else _from_python(file, (preset,) if colon else ())
        config.lock()
        return config


def with_named_classes(config):
    """Makes the unseen classes texts, for there are some that are called 1 and 2; changes `config`."""
    if 'unseen' in config.get('data', ()):
        config.data.unseen = tuple(map(str, config.data.unseen))


class WholeNumberParser(flags.IntegerParser):
    """12, and a sentence for anything else."""

    def convert(self, argument):
        """The int."""
        try:
            return super().convert(argument)
        except (ValueError, TypeError) as error:
            raise ValueError(f'wants a whole number, got {argument!r}.') from error


class NumberParser(flags.FloatParser):
    """0.1, 12 or 1e-3, and a sentence for anything else."""

    def convert(self, argument):
        """The float."""
        try:
            return super().convert(argument)
        except (ValueError, TypeError) as error:
            raise ValueError(f'wants a number such as 0.01 or 1e-3, got {argument!r}.') from error


class SwitchParser(flags.BooleanParser):
    """True or False, and a sentence for anything else."""

    def parse(self, argument):
        """The bool."""
        try:
            return super().parse(argument)
        except (ValueError, TypeError) as error:
            raise ValueError(f'wants True or False, got {argument!r}.') from error


class CommaParser(flags.ArgumentParser):
    """Lists as people type them: heart,star or 0,1, and what Python writes, ('heart', 'star') or (0,)."""

    def parse(self, argument):
        """The tuple; of ints if all are, else of texts."""
        if not isinstance(argument, str):
            return tuple(argument)
        try:
            value = ast.literal_eval(argument)
        except (ValueError, SyntaxError):
            items = [item.strip().strip('\'"') for item in argument.strip().strip('()[]').split(',')]
            return tuple(item for item in items if item)
        return tuple(value) if isinstance(value, tuple | list) else (value,)

    def flag_type(self):
        """What the help calls it."""
        return 'comma separated list'


def _from_python(file, preset):
    """What the file's get_config returns; an InputError names the line where that fails."""
    try:
        get_config = runpy.run_path(file).get('get_config')
        config = get_config(*preset) if get_config else None
    except InputError:
        raise
    except SyntaxError as error:
        raise InputError(
            f'the configuration file {error.filename} is no Python: {error.msg}, line {error.lineno}.'
        ) from error
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        where = f'{file}, line {lines[-1]}' if lines else file
        raise InputError(f'the configuration file {where}: {_what_is_wrong(error)}') from error
    if get_config is None:
        raise InputError(f'the configuration file {file} has no function get_config; see those in configs/.')
    if config is None:
        raise InputError(f'get_config in {file} returns nothing; its last line must be "return config".')
    if not isinstance(config, ml_collections.ConfigDict):
        raise InputError(f"get_config in {file} must return a ConfigDict, as base_config's.")
    return config


def _what_is_wrong(error):
    if isinstance(error, AttributeError | KeyError) and 'the config is locked' in str(error):
        return _unknown(str(error).split('"')[1])
    if found := re.search(r"override field '(.+)' \(.*?\. (.*) is of .*type <class '(\w+)'>$", str(error), re.DOTALL):
        return f'{found[1]} must be {KINDS.get(found[3], found[3])}, got {found[2]}.'
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def _unknown(name):
    """A sentence on a setting that is none, with those that are called much the same."""
    known = {field: field for field in base_config('any').to_dict()}
    for section, fields in base_config('any').to_dict().items():
        known |= {field: f'{section}.{field}' for field in fields} if isinstance(fields, dict) else {}
    near = [f'"{known[field]}"' for field in difflib.get_close_matches(name.rpartition('.')[-1], known, 2)]
    return f'there is no setting "{name}".' + (f' Did you mean {" or ".join(near)}?' if near else '')


def _from_json(file):
    """The configuration that a run kept in its workdir; settings that it lacks have their defaults."""
    try:
        content = json.loads(Path(file).read_text(encoding='utf-8'))
        if not isinstance(content, dict):
            raise ValueError('wanted an object')
        if not {'name', 'data'} <= set(content):
            raise ValueError('it has no name or no data')
    except ValueError as error:
        raise InputError(f'the configuration file {file} is no JSON of a run ({error}).') from error
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
