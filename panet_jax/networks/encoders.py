"""Which encoders there are, by the name that settings and files give them."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from panet_jax.errors import InputError
from panet_jax.method import dinov2, resnet
from panet_jax.method.encoder import Encoder
from panet_jax.method.vgg16 import vgg16

DEFAULT = 'vgg16'  # the paper's; also of workdirs and files that name none, being older
# An encoder of one's own is one more entry: name -> a function from the width to an Encoder. `encoder.name` names it.
ENCODERS: dict[str, Callable[[float], Encoder]] = {
    DEFAULT: vgg16,
    **{name: functools.partial(resnet.resnet, name) for name in resnet.NAMES},
    **{name: functools.partial(dinov2.dinov2, name) for name in dinov2.NAMES},
}


def encoder_named(name: str, width: float = 1.0) -> Encoder:
    """The Encoder of a name and width; an InputError if there is none."""
    if name not in ENCODERS:
        raise InputError(f'encoder.name must be {", ".join(ENCODERS)}, got {name!r}.')
    return _encoder(ENCODERS[name], float(width))


@functools.cache  # one value, so that what is compiled for it serves all who name it
def _encoder(make, width):
    return make(width)


def encoder_of(settings: Mapping[str, Any]) -> Encoder:
    """The Encoder that the section `encoder` of a configuration describes, by its `name` and `width`."""
    return encoder_named(settings.get('name', DEFAULT), settings['width'])
