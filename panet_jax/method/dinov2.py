"""DINOv2 (Oquab et al., 2023): vision transformers whose patch features separate objects without further training."""

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes
from panet_jax.method.encoder import Encoder
from panet_jax.method.transformer import (
    ARCHITECTURES,
    RANDOM_STD,
    REGISTERS,
    Block,
    embed_patches,
    vision_transformer,
    with_tokens,
)

PATCH = 14  # side of a patch in pixels
POSITIONS = 37  # side of the grid of the trained position embeddings, from images of 518 pixels
EPSILON = 1e-6  # added to the variance in layer norms, as published
NAMES = tuple(f'dinov2-{size}{end}' for size in ARCHITECTURES for end in ('', '-registers'))


class DINOv2(nn.Module):
    """The vision transformer as Hugging Face's `Dinov2Model` computes it, without its class token in the output.

    Attributes:
        channels: number of channels of a token; a head has 64.
        depth: number of blocks.
        registers: number of register tokens, which attend to all tokens and are no part of the output.
        dtype: dtype of the computation, as in `Encoder.encode`; parameters, layer norms and returned features are float32.
    """

    channels: int
    depth: int
    registers: int = 0
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, 3] float32 normalized -> [B, H / 14, W / 14, channels] float32."""
        grid = images.shape[1] // PATCH, images.shape[2] // PATCH
        x = embed_patches(images, self.channels, PATCH, self.dtype)
        normal = nn.initializers.normal(RANDOM_STD)
        class_token = self.param('class_token', normal, (self.channels,))
        positions = self.param('positions', normal, (1 + POSITIONS**2, self.channels))
        x = x + resample_positions(positions[1:], grid, antialias=bool(self.registers)).astype(x.dtype)[None]
        special = (class_token + positions[0])[None]
        if self.registers:
            registers = self.param('registers', normal, (self.registers, self.channels))
            special = jnp.concatenate([special, registers])
        x = with_tokens(x, special)
        for index in range(self.depth):
            x = Block(self.dtype, EPSILON, name=f'block{index}')(x)
        x = nn.LayerNorm(EPSILON, name='norm')(x.astype(jnp.float32))
        return x[:, len(special) :].reshape(len(images), *grid, self.channels)


def resample_positions(positions: jax.Array, grid: tuple[int, int], *, antialias: bool) -> jax.Array:
    """Position embeddings resampled bicubically to another grid, as in Hugging Face's code.

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

    Pixel centers are at halves. Without antialiasing the cubic has a = -0.75, and the border is repeated. With it the
    cubic has a = -0.5, is stretched to a pixel of the result if that is larger, and gives positions outside no weight.

    Args:
        before: length of the input.
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
    _, size, *registers = name.split('-')
    network = functools.partial(DINOv2, registers=REGISTERS if registers else 0)
    return vision_transformer(name, size, network, width=width, patch=PATCH, image_size=PATCH * POSITIONS)
