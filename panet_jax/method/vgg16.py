"""The paper's encoder: VGG-16's convolutions, dilated, and nothing after conv5_3."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes
from panet_jax.method.convolution import convolve
from panet_jax.method.encoder import COMPUTATIONS, Encoder, Params, scaled_channels
from panet_jax.method.initial import TRUNCATED_STD, he_std

# (number of convolutions, channels at width 1) of the five blocks.
BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
# Pools follow blocks 1 to 4; the last one keeps the size, and block 5 is dilated instead.
POOL_STRIDES = (2, 2, 2, 1)
STRIDE = math.prod(POOL_STRIDES)
CONV_NAMES = tuple(f'conv{block}_{i}' for block, (convs, _) in enumerate(BLOCKS, 1) for i in range(1, convs + 1))


class VGG16(nn.Module):
    """VGG-16 as PANet uses it (the reference's models/vgg.py).

    All pools are 3 x 3 with padding 1 (torchvision's are 2 x 2), pool4 has stride 1, there is no
    pool5, conv5_x has dilation 2 and conv5_3 no ReLU. 417 pixels become a grid of 53.

    Bias and ReLU come after a pool, not before it. Both are monotone, so the maximum is the same, and they and their
    gradients pass over a quarter of the numbers.

    Attributes:
        width: multiplies the channels of every layer; 1 is VGG-16, 1/4 suits a laptop.
        dtype: dtype of the computation, as in `Encoder.encode`; parameters and returned features are float32.
    """

    width: float = 1.0
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[..., H, W, 3] float32 normalized -> [..., h, w, 512 * width] float32, h = ceil(H / 8)."""
        dtype, precision = COMPUTATIONS[self.dtype]
        x = images.reshape(-1, *images.shape[-3:])
        for block, (convs, channels) in enumerate(BLOCKS, 1):
            for i in range(1, convs + 1):
                is_pooled = i == convs and block <= len(POOL_STRIDES)
                x, bias = Convolution(
                    scaled_channels(channels, self.width),
                    dilation=2 if block == 5 else 1,
                    dtype=dtype,
                    precision=precision,
                    name=f'conv{block}_{i}',
                )(x)
                x = _pool(x, POOL_STRIDES[block - 1]) if is_pooled else x
                x = x + bias
                x = x if (block, i) == (5, 3) else nn.relu(x)
        return x.astype(jnp.float32).reshape(*images.shape[:-3], *x.shape[1:])


class Convolution(nn.Module):
    """A 3 x 3 convolution with the parameters of `nn.Conv`, that leaves it to the caller when to add the bias.

    Attributes:
        channels: number of channels of the result.
        dilation: dilation of the kernel in positions.
        dtype: type of the computation.
        precision: precision of the products.
    """

    channels: int
    dilation: int
    dtype: jnp.dtype
    precision: jax.lax.Precision

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """[B, H, W, C] -> ([B, H, W, O] without the bias, bias [1, 1, 1, O])."""
        kernel = self.param('kernel', nn.initializers.lecun_normal(), (3, 3, x.shape[-1], self.channels))
        bias = self.param('bias', nn.initializers.zeros, (self.channels,))
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return convolve(x, kernel, self.dilation, self.precision), bias.reshape(1, 1, 1, -1)


def _pool(x, stride):
    pools = {'cpu': max_pool_by_where, 'default': max_pool}
    return jax.lax.platform_dependent(x, **{name: functools.partial(f, stride=stride) for name, f in pools.items()})


def max_pool(x: jax.Array, stride: int) -> jax.Array:
    """3 x 3 max-pool with padding 1.

    Args:
        x: [B, H, W, C] float.
        stride: stride in positions, >= 1.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), C] of the same dtype.
    """
    check_axes('max_pool', x=(x, 'B H W C'))
    return nn.max_pool(x, (3, 3), strides=(stride, stride), padding=((1, 1), (1, 1)))


def max_pool_by_where(x: jax.Array, stride: int) -> jax.Array:
    """`max_pool` as a chain of comparisons: the same bits in value and gradient, for ties too.

    On a CPU its gradient takes a fifth of the time of XLA's select-and-scatter.

    Args:
        x: [B, H, W, C] float.
        stride: stride in positions, >= 1.

    Returns:
        [B, ceil(H / stride), ceil(W / stride), C] of the same dtype.
    """
    check_axes('max_pool_by_where', x=(x, 'B H W C'))
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-jnp.inf)
    height, width = x.shape[1:3]
    shifted = [padded[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]
    return functools.reduce(lambda best, other: jnp.where(other > best, other, best), shifted)


def encoder_shapes(width: float = 1.0) -> Params:
    """Shapes and dtypes of the parameters.

    Args:
        width: multiplier of the channels.

    Returns:
        {'conv1_1': {'kernel', 'bias'}, ...} of jax.ShapeDtypeStruct.
    """
    return jax.eval_shape(VGG16(width).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))['params']


def init_encoder_params(key: jax.Array, width: float = 1.0) -> Params:
    """Random parameters: He normal kernels, zero biases.

    The kernels are parts of one draw: compiling thirteen draws of different shapes would take ten seconds.

    Args:
        key: PRNG key of jax.random.
        width: multiplier of the channels.

    Returns:
        A tree of float32 arrays like `encoder_shapes(width)`.
    """
    params = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), encoder_shapes(width))
    ends = np.cumsum([params[name]['kernel'].size for name in CONV_NAMES])
    draws = jnp.split(jax.random.truncated_normal(key, -2, 2, (int(ends[-1]),)), ends[:-1])
    for name, draw in zip(CONV_NAMES, draws, strict=True):
        shape = params[name]['kernel'].shape
        scale = he_std(shape) / TRUNCATED_STD
        params[name]['kernel'] = scale * draw.reshape(shape)
    return params


def encoder_width(params: Params) -> float:
    """The width of the VGG-16 that has these parameters.

    Args:
        params: parameters of VGG-16.

    Returns:
        The multiplier of the channels, from conv1_1.
    """
    return params['conv1_1']['kernel'].shape[-1] / BLOCKS[0][1]


def vgg16(width: float = 1.0) -> Encoder:
    """The Encoder of a width. Calls with the same width return the same object, so that jit compiles once.

    Args:
        width: multiplier of the channels; 1 is the paper's, with features of 512 channels.

    Returns:
        The Encoder.

    Raises:
        InputError: the width leaves no whole number of channels.
    """
    return _vgg16(float(width))


@functools.cache
def _vgg16(width):
    def forward(params, images, dtype):
        return VGG16(width, dtype).apply({'params': params}, images)

    return Encoder(
        name='vgg16',
        stride=STRIDE,
        channels=scaled_channels(BLOCKS[-1][1], width),
        size=417,
        width=width,
        forward=forward,
        initial=functools.partial(init_encoder_params, width=width),
        block_of=lambda path: int(path[0].removeprefix('conv')[0]),
    )


def encode(params: Params, images: jax.Array, *, dtype: str = 'float32', rematerialize: bool = False) -> jax.Array:
    """Features of images by VGG-16; the parameters determine its width.

    Args:
        params: {'conv1_1': {'kernel': [3, 3, 3, 64], 'bias': [64]}, ...} float32.
        images: [..., H, W, 3] float32, normalized.
        dtype: dtype of the computation, as in `Encoder.encode`.
        rematerialize: whether to save memory, as in `Encoder.encode`.

    Returns:
        [..., h, w, C] float32, h = ceil(H / 8), C = 512 * width.

    Raises:
        TypeError, InputError, AssertionError: as in `Encoder.encode`.
    """
    return vgg16(encoder_width(params)).encode(params, images, dtype=dtype, rematerialize=rematerialize)
