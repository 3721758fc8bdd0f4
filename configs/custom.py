"""Photographs of your own in --config.data.root=FOLDER: images/ with masks/, or a json in COCO's format.

docs/own-data.md describes the layout of a folder; `panet-jax data check FOLDER` checks yours. Name the unseen classes with
--config.data.unseen=cat,dog. Without it the classes are shuffled with --config.data.fold_seed and divided into four folds.
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
