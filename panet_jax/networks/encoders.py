"""The encoders by name, made from the settings of a configuration's `encoder`."""

from ml_collections import ConfigDict

from panet_jax.method.encoder import Encoder
from panet_jax.method.vgg16 import vgg16

ENCODERS = {'vgg16': lambda settings: vgg16(settings.width)}


def encoder_of(settings: ConfigDict) -> Encoder:
    """The Encoder that a configuration's `encoder` describes."""
    return ENCODERS['vgg16'](settings)
