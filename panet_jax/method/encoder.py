"""The interface of all encoders: a network that turns an image into a grid of features, as a value."""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import flax.traverse_util
import jax
import jax.numpy as jnp

from panet_jax.errors import InputError
from panet_jax.method.axes import check_axes

Params = Any  # a tree of float32 arrays
Encode = Callable[..., jax.Array]  # (params, images, *, dtype, rematerialize) -> features, such as `Encoder.encode`

# How an encoder computes: the type of activations and kernels, and the precision of products.
COMPUTATIONS = {
    'float32': (jnp.float32, jax.lax.Precision.HIGHEST),
    'tf32': (jnp.float32, jax.lax.Precision.DEFAULT),
    'bfloat16': (jnp.bfloat16, jax.lax.Precision.DEFAULT),
}


@dataclasses.dataclass(frozen=True)
class Encoder:
    """A network without its parameters. All functions are pure.

    Attributes:
        name: name of the architecture in settings and files, such as 'vgg16'.
        stride: distance between neighboring positions of the grid, in pixels of the image.
        channels: number of channels C of the features.
        size: side in pixels of the images that it was made for.
        width: multiplier of the channels of its layers, 1 for the network as published.
        forward: (params, images [B, H, W, 3] float32 normalized, one of COMPUTATIONS) -> [B, h, w, C] float32.
        initial: (PRNG key) -> random parameters.
        multiple: both sides of an image must be multiples of this number of pixels.
        block_of: (path of a parameter) -> number of its block, counted from 1 at the image; 0 for what no training
            changes, such as the statistics of a frozen batch norm.
    """

    name: str
    stride: int
    channels: int
    size: int
    width: float
    forward: Callable[[Params, jax.Array, str], jax.Array]
    initial: Callable[[jax.Array], Params]
    multiple: int = 1
    block_of: Callable[[tuple[str, ...]], int] = lambda path: 1

    def shapes(self) -> Params:
        """Shapes and dtypes of the parameters.

        Returns:
            A tree of jax.ShapeDtypeStruct.
        """
        return jax.eval_shape(self.initial, jax.random.key(0))

    def trained(self, frozen: int = 0) -> Params:
        """Which parameters a training with frozen first blocks changes.

        Args:
            frozen: number of frozen blocks, counted from the image.

        Returns:
            A tree of bool: True for parameters that change.
        """
        paths = flax.traverse_util.flatten_dict(self.shapes())
        return flax.traverse_util.unflatten_dict({path: self.block_of(path) > frozen for path in paths})

    def encode_frozen(self, params: Params, images: jax.Array, *, frozen: int = 0, **options: Any) -> jax.Array:
        """`encode` without a gradient for the first blocks; that saves its computation.

        Args:
            params: parameters, a float32 tree like `shapes()`.
            images: [..., H, W, 3] float32, normalized.
            frozen: number of blocks without a gradient, counted from the image.
            **options: `dtype` and `rematerialize`, as for `encode`.

        Returns:
            [..., h, w, C] float32.

        Raises:
            TypeError, InputError: as in `encode`.
        """

        def stop(leaf, trained):
            return leaf if trained else jax.lax.stop_gradient(leaf)

        return self.encode(jax.tree.map(stop, params, self.trained(frozen)), images, **options)

    def grid(self, size: int) -> int:
        """The side of the grid of features of a square image.

        Args:
            size: side of the image in pixels.

        Returns:
            h = w, in positions.

        Raises:
            InputError: the encoder takes no images of that size.
        """
        self.check_size(size, size)
        return _grid(self, size)

    def check_size(self, height: int, width: int) -> None:
        """Checks that the encoder takes images of a size.

        Args:
            height: H, in pixels.
            width: W, in pixels.

        Raises:
            InputError: it does not; the message says which sizes it takes.
        """
        for side in (height, width):
            if side % self.multiple or side < self.multiple:
                below = max(1, side // self.multiple) * self.multiple
                raise InputError(
                    f'{self.name} takes images whose sides are multiples of {self.multiple} pixels, got {height} x {width}; '
                    f'the nearest to {side} are {below} and {below + self.multiple}.'
                )

    def encode(
        self, params: Params, images: jax.Array, *, dtype: str = 'float32', rematerialize: bool = False
    ) -> jax.Array:
        """Features of images.

        Derivatives are those of jax.grad and jax.vjp. The convolutions of VGG-16 have a gradient of their own (a
        custom_vjp), so jax.jvp, jax.jacfwd and jax.linearize end in JAX's TypeError; docs/method.md has a directional
        derivative.

        Args:
            params: parameters, a float32 tree like `shapes()`.
            images: [..., H, W, 3] float32, normalized.
            dtype: dtype of the computation: 'float32', 'tf32' or 'bfloat16'. 'tf32' is the fast float32 of the device: TF32 on
                NVIDIA's GPUs, products of bfloat16 on a TPU, plain float32 on a CPU.
            rematerialize: whether to encode images one after the other, and to compute activations again for a gradient.
                It needs the memory of one image, and a third more work.

        Returns:
            [..., h, w, C] float32.

        Raises:
            TypeError: the images are no array, or not floating-point (convert uint8 images with `normalize`).
            InputError: there is no such dtype, or the encoder does not take images of that size.
            AssertionError: the images have too few axes, or not three colors.
        """
        if not hasattr(images, 'dtype'):
            raise TypeError(f'encode wants an array of images after its parameters, got {type(images).__name__}.')
        if not jnp.issubdtype(images.dtype, jnp.floating):
            raise TypeError(f'encode wants normalized float images, got {images.dtype}; use pj.normalize(images).')
        check_axes('encode', images=(images, '... H W 3'))
        if dtype not in COMPUTATIONS:
            raise InputError(f'dtype must be {", ".join(COMPUTATIONS)}, got {dtype}.')
        self.check_size(*images.shape[-3:-1])
        flat = images.reshape(-1, *images.shape[-3:])
        if rematerialize:
            one = jax.checkpoint(lambda image: self.forward(params, image[None], dtype)[0])
            features = jax.lax.map(one, flat)
        else:
            features = self.forward(params, flat, dtype)
        return features.reshape(*images.shape[:-3], *features.shape[1:])


@functools.cache
def _grid(encoder, size):
    images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
    features = jax.eval_shape(
        lambda params, images: encoder.forward(params, images, 'float32'), encoder.shapes(), images
    )
    return features.shape[1]


def scaled_channels(channels: int, width: float) -> int:
    """Channels of a layer at a width.

    Args:
        channels: number at width 1.
        width: multiplier.

    Returns:
        Their product, a whole number >= 1.

    Raises:
        InputError: it is no whole number.
    """
    scaled = channels * width
    if not (math.isfinite(scaled) and scaled >= 1 and scaled == int(scaled)):
        raise InputError(f'encoder width must be a multiple of 1/64 = 0.015625, got {width}.')
    return int(scaled)
