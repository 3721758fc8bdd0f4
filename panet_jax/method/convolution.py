"""The encoder's convolution: on a CPU with a faster gradient, on other devices XLA's own.

On a CPU the gradient of the kernel is a sum of matrix products. It is ten times as fast as XLA's, a convolution with a
kernel as large as the image. Images are convolved in pairs, which takes a tenth less time than all at once.

The gradient is a custom_vjp, which has no forward mode. A custom_jvp would have one, but its gradient (the transpose of the
tangent, the same sum over rows) takes a fifth more time and twice the memory.
"""

import functools

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes

MOST_PARTS = 8  # most parts of a batch; XLA compiles a program for each


def plain_convolve(
    images: jax.Array, kernel: jax.Array, dilation: int, precision: jax.lax.Precision | None = None
) -> jax.Array:
    """A 3 x 3 convolution with stride 1 that keeps the size.

    Args:
        images: [B, H, W, C] float.
        kernel: [3, 3, C, O] float.
        dilation: dilation of the kernel in pixels, >= 1.
        precision: precision of the products; None is the device's default.

    Returns:
        [B, H, W, O] float.
    """
    check_axes('plain_convolve', images=(images, 'B H W C'), kernel=(kernel, '3 3 C O'))
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        window_strides=(1, 1),
        padding='SAME',
        rhs_dilation=(dilation, dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        precision=precision,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(
    images: jax.Array, kernel: jax.Array, dilation: int, precision: jax.lax.Precision | None = None
) -> jax.Array:
    """The same as `plain_convolve`, in value and in gradient, to float rounding.

    Args:
        images: [B, H, W, C] float.
        kernel: [3, 3, C, O] float.
        dilation: dilation of the kernel in pixels, >= 1.
        precision: precision of the products; None is the device's default.

    Returns:
        [B, H, W, O] float.
    """
    check_axes('convolve', images=(images, 'B H W C'), kernel=(kernel, '3 3 C O'))
    plain = functools.partial(plain_convolve, dilation=dilation, precision=precision)
    return jax.lax.platform_dependent(images, kernel, cpu=functools.partial(_in_pairs, plain), default=plain)


def _in_pairs(function, images, kernel):
    """function(images, kernel) on two images at a time, or on more so that there are at most MOST_PARTS parts."""
    if len(images) <= 2:
        return function(images, kernel)
    size = max(2, -(-len(images) // MOST_PARTS))
    return jnp.concatenate([function(images[i : i + size], kernel) for i in range(0, len(images), size)])


def _forward(images, kernel, dilation, precision):
    return convolve(images, kernel, dilation, precision), (images, kernel)


def _backward(dilation, precision, saved, gradient):
    images, kernel = saved
    plain = functools.partial(plain_convolve, dilation=dilation, precision=precision)

    def of_images(gradient, kernel):
        like = jax.ShapeDtypeStruct((len(gradient), *images.shape[1:]), images.dtype)
        return jax.linear_transpose(lambda images: plain(images, kernel), like)(gradient)[0]

    def of_kernel(images, gradient):
        return jax.linear_transpose(lambda kernel: plain(images, kernel), kernel)(gradient)[0]

    in_pairs = functools.partial(_in_pairs, of_images)
    by_rows = functools.partial(kernel_gradient_by_rows, dilation=dilation)
    return (
        jax.lax.platform_dependent(gradient, kernel, cpu=in_pairs, default=of_images),
        jax.lax.platform_dependent(images, gradient, cpu=by_rows, default=of_kernel),
    )


convolve.defvjp(_forward, _backward)


def kernel_gradient_by_rows(images: jax.Array, gradient: jax.Array, dilation: int) -> jax.Array:
    """The gradient of the kernel as a sum over the rows of an image: the row's gradient times its 3 x 3 patches.

    Args:
        images: [B, H, W, C] float.
        gradient: [B, H, W, O] float, gradient of the convolution's result.
        dilation: dilation of the kernel in pixels, >= 1.

    Returns:
        [3, 3, C, O] float.
    """
    check_axes('kernel_gradient_by_rows', images=(images, 'B H W C'), gradient=(gradient, 'B H W O'))
    batch, height, width, channels = images.shape
    d, out = dilation, gradient.shape[-1]
    padded = jnp.pad(images, ((0, 0), (d, d), (d, d), (0, 0)))

    def add_row(row, total):
        band = jax.lax.dynamic_slice_in_dim(padded, row, 1 + 2 * d, axis=1)
        of_row = jax.lax.dynamic_slice_in_dim(gradient, row, 1, axis=1).reshape(batch * width, out)
        patches = [band[:, i * d, j * d : j * d + width] for i in range(3) for j in range(3)]
        patches = jnp.concatenate(patches, -1).reshape(batch * width, 9 * channels)
        return total + jnp.matmul(of_row.T, patches, preferred_element_type=jnp.float32)

    total = jax.lax.fori_loop(0, height, add_row, jnp.zeros((out, 9 * channels), jnp.float32))
    return total.T.reshape(3, 3, channels, out).astype(images.dtype)
