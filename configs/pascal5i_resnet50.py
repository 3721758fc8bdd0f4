"""PASCAL-5i with ResNet-50, dilated to stride 8, from ImageNet's weights, the encoder of later papers.

The recipe is the paper's with the stem and stage 1 frozen, as is usual. It has not been verified on the benchmark.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 129 x 129 pixels, for a laptop."""
    config = base_config('pascal5i', preset)
    config.name = config.name.replace('pascal5i', 'pascal5i-resnet50')
    config.data.train_split = 'trainaug'
    config.encoder.name = 'resnet50'
    config.encoder.weights = 'resnet50'
    config.encoder.frozen = 2
    if preset == 'lite':
        shrink(config)
    return config
