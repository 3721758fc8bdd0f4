"""What DINOv2 and DINOv3 have in common: the blocks and sizes of a vision transformer, and its Encoder."""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from panet_jax.errors import InputError
from panet_jax.method.axes import check_axes
from panet_jax.method.encoder import COMPUTATIONS, Encoder
from panet_jax.method.initial import draw_params

HEAD_CHANNELS = 64
REGISTERS = 4
RANDOM_STD = 0.02  # standard deviation of random kernels and embeddings, as in Hugging Face's initializer_range


class Architecture(NamedTuple):
    """The size of a published network of a family.

    Attributes:
        channels: number of channels of a token, at width 1.
        depth: number of blocks.
    """

    channels: int
    depth: int


ARCHITECTURES = {
    'tiny': Architecture(64, 2),  # for tests; nobody has published weights
    'small': Architecture(384, 12),
    'base': Architecture(768, 12),
    'large': Architecture(1024, 24),
}


class Block(nn.Module):
    """A transformer block: attention and a perceptron, each normalized before and scaled after (LayerScale).

    Attributes:
        dtype: dtype of the computation, as in `Encoder.encode`.
        epsilon: number added to the variance in layer norms.
        key_bias: whether the key has a bias.
    """

    dtype: str
    epsilon: float
    key_bias: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, rotate: Callable[[jax.Array], jax.Array] = lambda tokens: tokens) -> jax.Array:
        """[B, T, C] -> [B, T, C]; `rotate` is applied to queries and keys, [B, T, heads, 64]."""
        dtype, precision = COMPUTATIONS[self.dtype]
        dense = functools.partial(nn.Dense, dtype=dtype, precision=precision)
        scales = (self.param(name, nn.initializers.ones, x.shape[-1:]) for name in ('scale1', 'scale2'))
        scale1, scale2 = (scale.astype(dtype)[None, None] for scale in scales)
        y = self._normalized(x, 'norm1')
        heads = (*x.shape[:-1], x.shape[-1] // HEAD_CHANNELS, HEAD_CHANNELS)
        biases = {'query': True, 'key': self.key_bias, 'value': True}
        query, key, value = (
            dense(x.shape[-1], use_bias=bias, name=name)(y).reshape(heads) for name, bias in biases.items()
        )
        y = attend(rotate(query), rotate(key), value, precision).reshape(x.shape)
        x = x + dense(x.shape[-1], name='projection')(y) * scale1
        y = dense(4 * x.shape[-1], name='expand')(self._normalized(x, 'norm2'))
        y = dense(x.shape[-1], name='contract')(gelu(y))
        return x + y * scale2

    def _normalized(self, x, name):
        """Layer norm in float32; the result has the dtype of x."""
        return nn.LayerNorm(self.epsilon, name=name)(x.astype(jnp.float32)).astype(x.dtype)


def gelu(x: jax.Array) -> jax.Array:
    """The exact GELU, x Phi(x), with erf: on a CPU it takes a third of the time of jax.nn.gelu, which uses erfc.

    Args:
        x: [...] of floating type.

    Returns:
        An array like x.
    """
    return x * (0.5 + 0.5 * jax.lax.erf(x * math.sqrt(0.5)))


def attend(query: jax.Array, key: jax.Array, value: jax.Array, precision: jax.lax.Precision) -> jax.Array:
    """Attention: softmax(Q K^T / sqrt(D)) V, for each image and head.

    On a CPU the heads are computed one by one: their T x T weights fit the cache, which takes a quarter of the time.

    Args:
        query, key, value: [B, T, M, D], of M heads.
        precision: precision of the products.

    Returns:
        [B, T, M, D] of the dtype of the arguments.
    """
    check_axes('attend', query=(query, 'B T M D'), key=(key, 'B T M D'), value=(value, 'B T M D'))

    def at_once(query, key, value):
        with jax.default_matmul_precision(precision.name.lower()), jax.numpy_dtype_promotion('standard'):
            return jax.nn.dot_product_attention(query, key, value)

    by_heads = functools.partial(_attend_by_heads, precision=precision)
    return jax.lax.platform_dependent(query, key, value, cpu=by_heads, default=at_once)


def _attend_by_heads(query, key, value, precision):
    b, t, m, d = query.shape

    def of_head(parts):
        query, key, value = parts
        logits = jnp.dot(query, key.T, precision=precision, preferred_element_type=jnp.float32)
        weights = jnp.exp(logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True)))
        # The sum divides the T x D result in place of the T x T weights, which saves a pass over these.
        mixed = jnp.dot(weights.astype(value.dtype), value, precision=precision, preferred_element_type=jnp.float32)
        return (mixed / weights.sum(-1, keepdims=True)).astype(value.dtype)

    heads = [x.transpose(0, 2, 1, 3).reshape(b * m, t, d) for x in (query / math.sqrt(d), key, value)]
    return jax.lax.map(of_head, heads).reshape(b, m, t, d).transpose(0, 2, 1, 3)


def embed_patches(images: jax.Array, channels: int, patch: int, dtype: str) -> jax.Array:
    """Tokens of the patches, by a convolution called `patches` of the calling module.

    Args:
        images: [B, H, W, 3] float32, normalized.
        channels: number of channels of a token.
        patch: side of a patch in pixels.
        dtype: dtype of the computation, as in `Encoder.encode`.

    Returns:
        [B, h * w, channels], row by row, of the dtype of the computation.
    """
    kind, precision = COMPUTATIONS[dtype]
    embed = nn.Conv(channels, (patch, patch), patch, 'VALID', dtype=kind, precision=precision, name='patches')
    return embed(images).reshape(len(images), -1, channels)


def with_tokens(tokens: jax.Array, special: jax.Array) -> jax.Array:
    """Puts the class token and the registers before those of the patches.

    Args:
        tokens: [B, h * w, C].
        special: [S, C] float32.

    Returns:
        [B, S + h * w, C] of the dtype of the tokens.
    """
    special = jnp.broadcast_to(special.astype(tokens.dtype), (len(tokens), *special.shape))
    return jnp.concatenate([special, tokens], axis=1)


def vision_transformer(
    name: str, size: str, network: Callable[..., nn.Module], *, width: float, patch: int, image_size: int
) -> Encoder:
    """The Encoder of a vision transformer.

    Args:
        name: its name.
        size: a key of ARCHITECTURES.
        network: (channels, depth, *, dtype) -> the module.
        width: multiplies the channels; a head has 64 at any width.
        patch: side of a patch in pixels.
        image_size: side in pixels of the images that it was made for.

    Returns:
        The Encoder.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    architecture = ARCHITECTURES[size]
    channels = _channels(name, architecture, width)
    make = functools.partial(network, channels, architecture.depth)

    def forward(params, images, dtype):
        return make(dtype=dtype).apply({'params': params}, images)

    def initial(key):
        shapes = jax.eval_shape(make().init, jax.random.key(0), jnp.zeros((1, patch, patch, 3)))['params']
        return draw_params(key, shapes, lambda shape: RANDOM_STD)

    return Encoder(
        name=name,
        stride=patch,
        channels=channels,
        size=image_size,
        width=width,
        forward=forward,
        initial=initial,
        multiple=patch,
        block_of=functools.partial(_block_of, depth=architecture.depth),
    )


def recognized_size(channels: int, depth: int) -> tuple[str, float] | None:
    """Recognizes the architecture of a network in a file.

    Args:
        channels: number of channels of a token.
        depth: number of blocks.

    Returns:
        A key of ARCHITECTURES and the width; None if no architecture has this depth.
    """
    fitting = [(name, channels / size.channels) for name, size in ARCHITECTURES.items() if size.depth == depth]
    return min(fitting, key=lambda recognized: recognized[1] != 1, default=None)  # two have one depth: width 1 decides


def _channels(name, architecture, width):
    channels = round(architecture.channels * width, 6)
    if channels < HEAD_CHANNELS or channels % HEAD_CHANNELS:
        step = HEAD_CHANNELS / architecture.channels
        raise InputError(f'the width of {name} must be a multiple of {step:g}, got {width:g}.')
    return int(channels)


def _block_of(path, depth):
    """The embeddings belong to the first block, the norm at the end to the last."""
    if path[0] == 'norm':
        return depth
    return 1 + int(path[0].removeprefix('block')) if path[0].startswith('block') else 1
