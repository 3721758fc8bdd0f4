"""PASCAL-5i: the paper's 1-way 1-shot experiment on one of four folds; --config.episode.shots=5 makes it 5-shot.

Without --config.data.root, VOC 2012 and SBD are downloaded (3.4 GB). Otherwise that folder has PASCAL VOC's layout, with
SegmentationClassAug and a list, or the official archives. As in the authors' code, training and evaluation both use the
10,582 images of trainaug, with different classes.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('pascal5i', preset)
    config.data.train_split = 'trainaug'
    if preset == 'lite':
        shrink(config)
    return config
