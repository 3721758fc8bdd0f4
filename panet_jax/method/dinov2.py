"""DINOv2 (Oquab et al., 2023): vision transformers whose patch features separate objects without any training here."""

import functools
import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.axes import check_axes
from panet_jax.method.encoder import COMPUTATIONS, Encoder
from panet_jax.method.initial import draw_params

PATCH = 14  # side of a patch in pixels
POSITIONS = 37  # side of the grid of the trained position embeddings, from images of 518 pixels
HEAD_CHANNELS = 64
REGISTERS = 4
EPSILON = 1e-6  # of the layer norms
RANDOM_STD = 0.02  # of random kernels and embeddings


class Architecture(NamedTuple):
    """What the published networks differ in.

    Attributes:
        channels: number of channels of a token, at width 1.
        depth: number of blocks.
    """

    channels: int
    depth: int


ARCHITECTURES = {
    'dinov2-tiny': Architecture(64, 2),  # for tests; nobody has published weights
    'dinov2-small': Architecture(384, 12),
    'dinov2-base': Architecture(768, 12),
    'dinov2-large': Architecture(1024, 24),
}
NAMES = tuple(name + end for name in ARCHITECTURES for end in ('', '-registers'))


class DINOv2(nn.Module):
    """The vision transformer as Hugging Face's `Dinov2Model` computes it, without its class token in the output.

    Attributes:
        channels: number of channels of a token; a head has 64.
        depth: number of blocks.
        registers: number of register tokens, which attend to all tokens and are no part of the output.
        dtype: of the computation, as in `encode`; parameters, layer norms and returned features are float32.
    """

    channels: int
    depth: int
    registers: int = 0
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, 3] float32 normalized -> [B, H / 14, W / 14, channels] float32."""
        dtype, precision = COMPUTATIONS[self.dtype]
        grid = images.shape[1] // PATCH, images.shape[2] // PATCH
        patches = nn.Conv(
            self.channels, (PATCH, PATCH), PATCH, 'VALID', dtype=dtype, precision=precision, name='patches'
        )(images)
        normal = nn.initializers.normal(RANDOM_STD)
        class_token = self.param('class_token', normal, (self.channels,))
        positions = self.param('positions', normal, (1 + POSITIONS**2, self.channels))
        registers = self.param('registers', normal, (self.registers, self.channels)) if self.registers else None
        x = patches.reshape(len(images), -1, self.channels)
        x = x + resample_positions(positions[1:], grid, antialias=bool(self.registers)).astype(dtype)[None]
        special = (class_token + positions[0])[None]
        special = special if registers is None else jnp.concatenate([special, registers])
        special = jnp.broadcast_to(special.astype(dtype), (len(images), *special.shape))
        x = jnp.concatenate([special, x], axis=1)
        for index in range(self.depth):
            x = Block(self.dtype, name=f'block{index}')(x)
        x = nn.LayerNorm(EPSILON, name='norm')(x.astype(jnp.float32))
        return x[:, special.shape[1] :].reshape(len(images), *grid, self.channels)


class Block(nn.Module):
    """A transformer block: attention and a perceptron, each normalized before and scaled after (LayerScale).

    Attributes:
        dtype: of the computation, as in `encode`.
    """

    dtype: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[B, T, C] -> [B, T, C]."""
        dtype, precision = COMPUTATIONS[self.dtype]
        dense = functools.partial(nn.Dense, dtype=dtype, precision=precision)
        scales = (self.param(name, nn.initializers.ones, x.shape[-1:]) for name in ('scale1', 'scale2'))
        scale1, scale2 = (scale.astype(dtype)[None, None] for scale in scales)
        y = self._normalized(x, 'norm1')
        heads = (*x.shape[:-1], x.shape[-1] // HEAD_CHANNELS, HEAD_CHANNELS)
        query, key, value = (dense(x.shape[-1], name=name)(y).reshape(heads) for name in ('query', 'key', 'value'))
        with jax.default_matmul_precision(precision.name.lower()), jax.numpy_dtype_promotion('standard'):
            y = jax.nn.dot_product_attention(query, key, value).reshape(x.shape)
        x = x + dense(x.shape[-1], name='projection')(y) * scale1
        y = dense(4 * x.shape[-1], name='expand')(self._normalized(x, 'norm2'))
        y = dense(x.shape[-1], name='contract')(nn.gelu(y, approximate=False))
        return x + y * scale2

    def _normalized(self, x, name):
        """Layer norm in float32; the result has the dtype of x."""
        return nn.LayerNorm(EPSILON, name=name)(x.astype(jnp.float32)).astype(x.dtype)


def resample_positions(positions: jax.Array, grid: tuple[int, int], *, antialias: bool) -> jax.Array:
    """Position embeddings of another grid, resampled bicubically as Hugging Face does it.

    The original code adds 0.1 to the grid's sides when it computes the scale; its results differ slightly.

    Args:
        positions: [37 * 37, C] float32, row by row.
        grid: (h, w), rows and columns of the result.
        antialias: whether to antialias, as the networks with registers do.

    Returns:
        [h * w, C] float32, row by row.
    """
    check_axes('resample_positions', positions=(positions, f'{POSITIONS**2} C'))
    if grid == (POSITIONS, POSITIONS):
        return positions
    rows, columns = (cubic_matrix(POSITIONS, side, antialias=antialias) for side in grid)
    square = positions.reshape(POSITIONS, POSITIONS, -1)
    return jnp.einsum('ah,bw,hwc->abc', rows, columns, square, precision='highest').reshape(-1, positions.shape[-1])


@functools.cache
def cubic_matrix(before: int, after: int, *, antialias: bool) -> np.ndarray:
    """The matrix of bicubic resampling along one axis, as PyTorch's `interpolate` does it.

    Pixel centers are at halves. Without antialiasing the cubic has a = -0.75, and the border is repeated. With it
    a = -0.5, the cubic is as wide as a pixel of the result where that is the larger one, and positions outside have no
    weight.

    Args:
        before: length of what is resampled.
        after: length of the result.
        antialias: whether to antialias.

    Returns:
        [after, before] float32; rows sum to 1.
    """
    ratio = before / after
    a, width = (-0.5, max(ratio, 1.0)) if antialias else (-0.75, 1.0)
    centers = (np.arange(after) + 0.5) * ratio - 0.5
    reach = math.ceil(2 * width) + 1
    matrix = np.zeros((after, before))
    for row, center in enumerate(centers):
        places = np.arange(math.floor(center) - reach, math.floor(center) + reach + 1)
        weights = _cubic(np.abs(places - center) / width, a)
        if antialias:
            weights = np.where((places >= 0) & (places < before), weights, 0)
        np.add.at(matrix[row], np.clip(places, 0, before - 1), weights / weights.sum())
    return matrix.astype(np.float32)


def _cubic(distance, a):
    """The cubic convolution kernel of Keys (1981) at distances >= 0."""
    near = (a + 2) * distance**3 - (a + 3) * distance**2 + 1
    far = a * (distance**3 - 5 * distance**2 + 8 * distance - 4)
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def dinov2(name: str, width: float = 1.0) -> Encoder:
    """The Encoder of a name.

    Args:
        name: one of NAMES, such as 'dinov2-small' or 'dinov2-small-registers'.
        width: multiplies the channels; a head has 64 at any width.

    Returns:
        The Encoder.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    architecture = ARCHITECTURES[name.removesuffix('-registers')]
    channels = round(architecture.channels * width, 6)
    if channels < HEAD_CHANNELS or channels % HEAD_CHANNELS:
        step = HEAD_CHANNELS / architecture.channels
        raise InputError(f'the width of {name} must be a multiple of {step:g}, got {width:g}.')
    registers = REGISTERS if name.endswith('-registers') else 0
    network = functools.partial(DINOv2, int(channels), architecture.depth, registers)

    def forward(params, images, dtype):
        return network(dtype).apply({'params': params}, images)

    def initial(key):
        shapes = jax.eval_shape(network().init, jax.random.key(0), jnp.zeros((1, PATCH, PATCH, 3)))['params']
        return draw_params(key, shapes, lambda shape: RANDOM_STD)

    def block_of(path):
        """The embeddings belong to the first block, the norm at the end to the last."""
        if path[0] == 'norm':
            return architecture.depth
        return 1 + int(path[0].removeprefix('block')) if path[0].startswith('block') else 1

    return Encoder(
        name=name,
        stride=PATCH,
        channels=int(channels),
        size=PATCH * POSITIONS,
        width=width,
        forward=forward,
        initial=initial,
        multiple=PATCH,
        block_of=block_of,
    )
