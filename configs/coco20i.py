"""COCO-20i, 1-way 1-shot, one fold of four: contiguous classes as PANet, or --config.data.fold_rule=4x+i.

The data is COCO's own folder, --config.data.root=FOLDER, with annotations/instances_train2014.json,
annotations/instances_val2014.json, train2014/ and val2014/.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('coco20i', preset)
    config.data.train_split = 'train2014'
    config.data.test_split = 'val2014'
    if preset == 'lite':
        shrink(config)
    return config
