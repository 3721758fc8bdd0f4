"""DINOv3 (Siméoni et al., 2025): like DINOv2, but queries and keys are rotated by angles that depend on the position."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes
from panet_jax.method.encoder import Encoder
from panet_jax.method.transformer import (
    ARCHITECTURES,
    HEAD_CHANNELS,
    RANDOM_STD,
    REGISTERS,
    Block,
    embed_patches,
    vision_transformer,
    with_tokens,
)

PATCH = 16  # side of a patch in pixels
SIZE = 512  # side in pixels of the images in its last phase of training; 32 x 32 patches
EPSILON = 1e-5  # added to the variance in layer norms, as published
THETA = 100.0  # base of the periods THETA ** (i / 16), i = 0..15, as published
NAMES = tuple(f'dinov3-{size}' for size in ARCHITECTURES)


class DINOv3(nn.Module):
    """The vision transformer as Hugging Face's `DINOv3ViTModel` computes it, without class token and registers.

    Attributes:
        channels: number of channels of a token; a head has 64.
        depth: number of blocks.
        dtype: dtype of the computation, as in `Encoder.encode`; parameters, layer norms, angles and returned features are float32.
    """

    channels: int
    depth: int
    dtype: str = 'float32'

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """[B, H, W, 3] float32 normalized -> [B, H / 16, W / 16, channels] float32."""
        grid = images.shape[1] // PATCH, images.shape[2] // PATCH
        normal = nn.initializers.normal(RANDOM_STD)
        class_token = self.param('class_token', normal, (self.channels,))
        registers = self.param('registers', normal, (REGISTERS, self.channels))
        x = embed_patches(images, self.channels, PATCH, self.dtype)
        x = with_tokens(x, jnp.concatenate([class_token[None], registers]))
        rotate = functools.partial(rotate_patches, angles=rotary_angles(grid))
        for index in range(self.depth):
            x = Block(self.dtype, EPSILON, key_bias=False, name=f'block{index}')(x, rotate)
        x = nn.LayerNorm(EPSILON, name='norm')(x.astype(jnp.float32))
        return x[:, 1 + REGISTERS :].reshape(len(images), *grid, self.channels)


@functools.cache
def rotary_angles(grid: tuple[int, int]) -> np.ndarray:
    """The angles of each patch: 2 pi times its center's coordinates, divided by 16 periods from 1 to 75.

    Coordinates are -1..1 over the image, whatever its size.

    Args:
        grid: (h, w), rows and columns of patches.

    Returns:
        [h * w, 32] float32 in radians: angles of y, then of x.
    """
    count = HEAD_CHANNELS // 4  # number of periods: y and x have a sine and a cosine of each
    periods = np.float32(THETA) ** (np.arange(count, dtype=np.float32) / count)
    rows, columns = (2 * (np.arange(side, dtype=np.float32) + 0.5) / side - 1 for side in grid)
    centers = np.stack(np.meshgrid(rows, columns, indexing='ij'), -1).reshape(-1, 2, 1)
    return (2 * np.pi * centers / periods).reshape(-1, 2 * count).astype(np.float32)


def rotate_patches(tokens: jax.Array, angles: jax.Array) -> jax.Array:
    """Rotary position embedding: rotates channels i and i + 32 of a patch as the coordinates of a point.

    The product of a rotated query and a rotated key depends on the difference of their positions.

    Args:
        tokens: [..., S + P, heads, 64]; the first S tokens, without a position, stay as they are.
        angles: [P, 32] float32, in radians.

    Returns:
        An array like the tokens.
    """
    check_axes('rotate_patches', tokens=(tokens, f'... T M {HEAD_CHANNELS}'))
    special = tokens.shape[-3] - len(angles)  # number of tokens without a position
    angles = jnp.expand_dims(angles[:, None], range(tokens.ndim - 3))
    cosines, sines = (wave(angles).astype(tokens.dtype) for wave in (jnp.cos, jnp.sin))
    first, second = jnp.split(tokens[..., special:, :, :], 2, axis=-1)
    turned = jnp.concatenate([first * cosines - second * sines, second * cosines + first * sines], axis=-1)
    return jnp.concatenate([tokens[..., :special, :, :], turned], axis=-3)


def dinov3(name: str, width: float = 1.0) -> Encoder:
    """The Encoder of a name.

    Args:
        name: one of NAMES, such as 'dinov3-small'.
        width: multiplies the channels; a head has 64 at any width.

    Returns:
        The Encoder.

    Raises:
        InputError: the width leaves no whole number of heads.
    """
    return vision_transformer(name, name.removeprefix('dinov3-'), DINOv3, width=width, patch=PATCH, image_size=SIZE)
