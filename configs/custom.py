"""Photographs of your own, --config.data.root=FOLDER: images/ with masks/, or a json in COCO's format.

The README says how a folder is laid out; `panet-jax data check FOLDER` says what is in yours. Name the
classes to be tested on, --config.data.unseen=cat,dog; without that every fourth of the classes
is a fold, shuffled by --config.data.fold_seed.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('custom', preset)
    config.data.train_split = 'all'
    config.data.test_split = 'all'
    config.data.fold_rule = 'random'
    config.evaluation.episodes = 200
    if preset == 'lite':
        shrink(config)
    return config
