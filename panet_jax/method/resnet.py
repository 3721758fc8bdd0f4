"""ResNet (He et al., 2016) as later few-shot work uses it: dilated to stride 8, with frozen batch norms."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from panet_jax.method.convolution import convolve
from panet_jax.method.encoder import COMPUTATIONS, Encoder, scaled_channels
from panet_jax.method.initial import draw_params, he_std

STEM_CHANNELS = 64  # at width 1
EXPANSION = 4  # output channels of a block, as a multiple of its inner channels
EPSILON = 1e-5  # added to the variance in batch norms, as in torchvision
# Strides of the four stages and dilations of their blocks; stages 3 and 4 are dilated instead of strided.
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)
STRIDE = 8
BLOCKS = {'resnet50': (3, 4, 6, 3), 'resnet101': (3, 4, 23, 3), 'resnet-tiny': (1, 1, 1, 1)}
STAGE4 = '-stage4'  # ending of the name of a network that includes stage 4
NAMES = tuple(name + end for name in BLOCKS for end in ('', STAGE4))


class Block(NamedTuple):
    """One bottleneck block.

    Attributes:
        name: name of its parameters, such as 'layer3_0'.
        channels: number of channels of its inner convolutions, at width 1.
        stride: stride of its 3 x 3 convolution.
        dilation: dilation of the same convolution.
        first: whether it is the first of its stage; such a block has a convolution in its shortcut.
    """

    name: str
    channels: int
    stride: int
    dilation: int
    first: bool


def blocks(name: str) -> list[Block]:
    """The blocks of a network, in order.

    The first block of a dilated stage has the dilation of the previous stage, as in torchvision.

    Args:
        name: one of NAMES.

    Returns:
        The blocks of stages 1 to 3, or to 4 for a name that ends in '-stage4'.
    """
    stages = 4 if name.endswith(STAGE4) else 3
    result, before = [], 1
    for stage, number in enumerate(BLOCKS[name.removesuffix(STAGE4)][:stages]):
        for index in range(number):
            dilation = before if index == 0 else DILATIONS[stage]
            stride = STRIDES[stage] if index == 0 else 1
            result.append(Block(f'layer{stage + 1}_{index}', STEM_CHANNELS << stage, stride, dilation, index == 0))
        before = DILATIONS[stage]
    return result


class ResNet(nn.Module):
    """ResNet-50 or -101 with torchvision's parameters, without its last ReLU.

    With that ReLU the features would have no negative values, and cosines would differ less.

    Attributes:
        network: one of NAMES.
        width: multiplies the channels of every layer.
        dtype: dtype of the computation, as in `Encoder.encode`; parameters and returned features are float32.
    """

    network: str
    width: float = 1.0
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, 3] float32 normalized -> [B, h, w, C] float32, h = ceil(H / 8)."""
        dtype, precision = COMPUTATIONS[self.dtype]
        channels = scaled_channels(STEM_CHANNELS, self.width)
        x = nn.Conv(channels, (7, 7), 2, 3, use_bias=False, dtype=dtype, precision=precision, name='conv1')(images)
        x = nn.relu(FrozenBatchNorm(name='bn1')(x))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        *inner_blocks, last = blocks(self.network)
        for block in (*inner_blocks, last):
            x = Bottleneck(block, self.width, self.dtype, relu=block is not last, name=block.name)(x)
        return x.astype(jnp.float32)


class Bottleneck(nn.Module):
    """Three convolutions, 1 x 1, 3 x 3 and 1 x 1, whose result is added to their input.

    Attributes:
        block: the block's name, channels, stride and dilation.
        width: multiplies the channels.
        dtype: dtype of the computation, as in `Encoder.encode`.
        relu: whether a ReLU ends it.
    """

    block: Block
    width: float
    dtype: str
    relu: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, H, W, C] -> [B, h, w, 4 * channels]."""
        dtype, precision = COMPUTATIONS[self.dtype]
        inner = scaled_channels(self.block.channels, self.width)
        # 1 x 1 convolutions are products of matrices: on a CPU their gradients take a tenth of a convolution's time.
        product = functools.partial(nn.Dense, use_bias=False, dtype=dtype, precision=precision)
        y = nn.relu(FrozenBatchNorm(name='bn1')(product(inner, name='conv1')(x)))
        y = nn.Conv(
            inner,
            (3, 3),
            self.block.stride,
            self.block.dilation,
            kernel_dilation=self.block.dilation,
            use_bias=False,
            dtype=dtype,
            precision=precision,
            conv_general_dilated=functools.partial(_convolve, dilation=self.block.dilation),
            name='conv2',
        )(y)
        y = nn.relu(FrozenBatchNorm(name='bn2')(y))
        y = FrozenBatchNorm(name='bn3')(product(EXPANSION * inner, name='conv3')(y))
        if self.block.first:
            step = self.block.stride
            x = FrozenBatchNorm(name='downsample_bn')(
                product(EXPANSION * inner, name='downsample')(x[:, ::step, ::step])
            )
        return nn.relu(x + y) if self.relu else x + y


class FrozenBatchNorm(nn.Module):
    """Batch norm by its statistics from pretraining, which have no gradient."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., C] -> [..., C] of the same dtype."""
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        scale, var = (self.param(name, ones, x.shape[-1:]) for name in ('scale', 'var'))
        bias, mean = (self.param(name, zeros, x.shape[-1:]) for name in ('bias', 'mean'))
        factor = scale * jax.lax.rsqrt(jax.lax.stop_gradient(var) + EPSILON)
        offset = bias - jax.lax.stop_gradient(mean) * factor
        factor, offset = (jnp.expand_dims(array.astype(x.dtype), range(x.ndim - 1)) for array in (factor, offset))
        return x * factor + offset


def _convolve(images, kernel, strides, padding, *_, dilation, precision, **rest):
    """`convolve` with the arguments that Flax passes; with a stride, JAX's own convolution."""
    if tuple(strides) == (1, 1):
        return convolve(images, kernel, dilation, precision)
    return jax.lax.conv_general_dilated(images, kernel, strides, padding, precision=precision, **rest)


def _block_of(path):
    """Number of a parameter's block: 1 + that of its stage, 1 for the stem, 0 for statistics of batch norms."""
    if path[-1] in ('mean', 'var'):
        return 0
    return 1 + int(path[0].removeprefix('layer')[0]) if path[0].startswith('layer') else 1


def resnet(name: str, width: float = 1.0) -> Encoder:
    """The Encoder of a name.

    Args:
        name: one of NAMES, such as 'resnet50', or 'resnet50-stage4' for features after stage 4.
        width: multiplies the channels of every layer.

    Returns:
        The Encoder.

    Raises:
        InputError: the width leaves no whole number of channels.
    """

    def forward(params, images, dtype):
        return ResNet(name, width, dtype).apply({'params': params}, images)

    def initial(key):
        shapes = jax.eval_shape(ResNet(name, width).init, jax.random.key(0), jnp.zeros((1, 16, 16, 3)))['params']
        return draw_params(key, shapes, he_std)

    channels = EXPANSION * scaled_channels(blocks(name)[-1].channels, width)
    return Encoder(name, STRIDE, channels, 417, width, forward, initial, block_of=_block_of)
