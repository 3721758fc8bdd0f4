"""PANet, few-shot image segmentation with prototype alignment, in JAX."""

from panet_jax.errors import InputError
from panet_jax.method.episode import IGNORE, Episode, normalize, prepare
from panet_jax.method.losses import alignment_loss, segmentation_loss
from panet_jax.method.panet import encode_episode, episode_logits, episode_loss
from panet_jax.method.prototypes import class_prototypes, cosine_logits, masked_mean, upsample
from panet_jax.method.vgg16 import encode
from panet_jax.networks.choose import load_encoder_params, load_network
from panet_jax.networks.network import Network
from panet_jax.networks.weights import save_encoder_params
from panet_jax.segmenter.references import Box, Points, Scribble
from panet_jax.segmenter.segmentation import Segmentation
from panet_jax.segmenter.segmenter import Segmenter

__version__ = '0.1.0'

__all__ = [
    'IGNORE',
    'Box',
    'Episode',
    'InputError',
    'Network',
    'Points',
    'Scribble',
    'Segmentation',
    'Segmenter',
    'alignment_loss',
    'class_prototypes',
    'cosine_logits',
    'encode',
    'encode_episode',
    'episode_logits',
    'episode_loss',
    'load_encoder_params',
    'load_network',
    'masked_mean',
    'normalize',
    'prepare',
    'save_encoder_params',
    'segmentation_loss',
    'upsample',
]
