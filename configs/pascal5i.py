"""PASCAL-5i: the paper's 1-way 1-shot experiment, one fold of four. --config.episode.shots=5 is the other.

Without --config.data.root VOC 2012 and SBD are downloaded (3.4 GB); with it they are a folder in PASCAL
VOC's layout, with SegmentationClassAug and a list or with the official archives. As in the authors' code
the test images come from trainaug too, 10,582 images; only the classes are separate.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('pascal5i', preset)
    config.data.train_split = 'trainaug'
    if preset == 'lite':
        shrink(config)
    return config
