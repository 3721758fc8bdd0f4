"""COCO-20i, 1-way 1-shot, one of four folds: of contiguous classes as in PANet, or with --config.data.fold_rule=4x+i.

Without --config.data.root, COCO 2014 is downloaded (20 GB). Otherwise that folder has annotations/instances_train2014.json,
annotations/instances_val2014.json, train2014/ and val2014/, or the official archives.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('coco20i', preset)
    config.data.train_split = 'train2014'
    if preset == 'lite':
        shrink(config)
    return config
