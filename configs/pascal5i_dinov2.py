"""PASCAL-5i with DINOv2's small vision transformer; its last third is trained.

AdamW with warm-up and a cosine schedule, at a rate that changes the features little. The recipe has not been verified on the
benchmark. The untrained features can be evaluated too: --mode=evaluate --config.checkpoint=''.
"""

from panet_jax.config import base_config, shrink


def get_config(preset=''):
    """Preset 'lite': 200 steps at 126 x 126 pixels, for a laptop."""
    config = base_config('pascal5i', preset)
    config.name = config.name.replace('pascal5i', 'pascal5i-dinov2-small')
    config.data.train_split = 'trainaug'
    config.data.size = 518
    config.encoder.name = 'dinov2-small'
    config.encoder.weights = 'dinov2-small'
    config.encoder.frozen = 8
    config.optimizer.name = 'adamw'
    config.optimizer.learning_rate = 1e-5
    config.optimizer.weight_decay = 0.05
    config.optimizer.schedule = 'cosine'
    config.optimizer.warmup = 500
    config.optimizer.clip_norm = 1.0
    if preset == 'lite':
        shrink(config)
        config.data.size = 126
        config.optimizer.warmup = 20
    return config
