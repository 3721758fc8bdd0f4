"""PASCAL-5i: the paper's 1-way 1-shot experiment, one fold of four. --config.episode.shots=5 is the other.

The data is a folder in PASCAL VOC's layout, --config.data.root=VOCdevkit/VOC2012, with the 10,582 masks
of SBD and VOC as SegmentationClassAug and their list as ImageSets/Segmentation/trainaug.txt. As in the
authors' code the test images come from that list too; only the classes are separate.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('pascal5i', preset)
    config.data.train_split = 'trainaug'
    config.data.test_split = 'trainaug'
    if preset == 'lite':
        shrink(config)
    return config
