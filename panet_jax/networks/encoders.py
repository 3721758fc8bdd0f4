"""The encoders, by their names in settings and files.

A new one is a module in method/, an entry here and a name in names.py; for files of other libraries, a layout in layouts/.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from panet_jax.errors import InputError
from panet_jax.method import dinov2, dinov3, resnet
from panet_jax.method.encoder import Encoder
from panet_jax.method.vgg16 import vgg16

DEFAULT = 'vgg16'  # the paper's encoder; older workdirs and files name none and mean it
# {name: function from the width to an Encoder}. Add your own encoder here, and choose it with `encoder.name`.
ENCODERS: dict[str, Callable[[float], Encoder]] = {
    DEFAULT: vgg16,
    **{name: functools.partial(resnet.resnet, name) for name in resnet.NAMES},
    **{name: functools.partial(dinov2.dinov2, name) for name in dinov2.NAMES},
    **{name: functools.partial(dinov3.dinov3, name) for name in dinov3.NAMES},
}


def encoder_named(name: str, width: float = 1.0) -> Encoder:
    """The Encoder of a name and width.

    Args:
        name: a name in ENCODERS.
        width: multiplier of the channels.

    Returns:
        The Encoder; the same object for equal arguments.

    Raises:
        InputError: there is no encoder of this name.
    """
    if name not in ENCODERS:
        raise InputError(f'encoder.name must be {", ".join(ENCODERS)}, got {name!r}.')
    return _encoder(ENCODERS[name], float(width))


@functools.cache  # one object, so that functions are compiled for it only once
def _encoder(make, width):
    return make(width)


def encoder_of(settings: Mapping[str, Any]) -> Encoder:
    """The Encoder of a configuration.

    Args:
        settings: section `encoder` of the configuration, with `width` and `name`, which older workdirs lack.

    Returns:
        The Encoder.

    Raises:
        InputError: there is no encoder of this name.
    """
    return encoder_named(settings.get('name', DEFAULT), settings['width'])
