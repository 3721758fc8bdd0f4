"""`shapes`: synthetic images without a download, and a network of an eighth of the width with random initial weights.

As nothing is pretrained, the learning rate is higher than the paper's, and gradients are clipped. Unlike in the paper,
training images that show an unseen class are left out, three of ten: otherwise a network without pretraining would learn
that the unseen classes are background.
"""

from panet_jax.config import base_config


def get_config(preset=''):
    """Preset 'lite': half a minute, to check that everything works."""
    config = base_config('shapes', preset)
    config.data.train_split = 'train'
    config.data.test_split = 'test'
    config.data.unseen_images = 'drop'
    config.data.size = 97
    config.encoder.weights = 'random'
    config.encoder.width = 0.125
    config.optimizer.learning_rate = 0.02
    config.optimizer.clip_norm = 1.0
    config.optimizer.milestones = (1000,)
    config.steps = 1200
    config.batch = 4
    config.log_every = 50
    config.checkpoint_every = 250
    config.evaluation.episodes = 200
    config.evaluation.batch = 8
    config.evaluation.untrained = True
    if preset == 'lite':
        config.optimizer.milestones = (80,)
        config.steps = 100
        config.checkpoint_every = 50
        config.evaluation.runs = 2
        config.evaluation.episodes = 40
    return config
