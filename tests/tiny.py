"""A configuration so small that a training takes seconds."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def load_config(name, preset=''):
    spec = importlib.util.spec_from_file_location(name, ROOT / 'configs' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(preset)


def tiny_config(**changes):
    config = load_config('shapes')
    config.data.size = 33
    config.encoder.width = 1 / 32
    config.steps = 6
    config.batch = 2
    config.log_every = 2
    config.checkpoint_every = 3
    config.loader.threads = 2
    config.evaluation.runs = 2
    config.evaluation.episodes = 5
    config.evaluation.batch = 2
    config.evaluation.pictures = 2
    config.update_from_flattened_dict(changes)
    return config
