"""Masked means, class prototypes, cosine logits and the bilinear resampling between the two grids.

Axes: N ways, K shots, Q queries, H W image, h w feature grid, C channels, L labels (1 + N,
background first). Leading axes written `...` are free. Arguments that do not fit together raise an AssertionError of
`check_axes`, which names the function and the argument.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes

# The reference divides masked sums by (pixel count + 1e-5): models/fewshot.py, getFeatures.
COUNT_EPSILON = 1e-5
# The paper's multiplier alpha of the cosine: section 3.3.
COSINE_SCALE = 20.0
# Below this length a vector has no direction; torch's cosine_similarity has the same bound.
LENGTH_EPSILON = 1e-8

# At the default precision a GPU would round these small products to TF32 and lose parity with the reference.
_einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)


def bilinear_matrix(out_size: int, in_size: int) -> np.ndarray:
    """The matrix A of 1-D bilinear resampling, up(x) = A x: half-pixel centers, edges clamped.

    Equal to torch's `interpolate(mode='bilinear', align_corners=False)` and, for out_size >=
    in_size, to `jax.image.resize(..., 'bilinear')`. Rows sum to 1 and have at most two non-zeros.

    Args:
        out_size: length of the result in pixels, >= 1.
        in_size: length of the input in pixels, >= 1.

    Returns:
        [out_size, in_size] float32 in [0, 1].
    """
    center = (np.arange(out_size) + 0.5) * (in_size / out_size) - 0.5
    center = np.clip(center, 0, in_size - 1)
    lower = np.minimum(np.floor(center).astype(int), max(in_size - 2, 0))
    fraction = center - lower
    matrix = np.zeros((out_size, in_size))
    rows = np.arange(out_size)
    matrix[rows, lower] += 1 - fraction
    matrix[rows, np.minimum(lower + 1, in_size - 1)] += fraction
    return matrix.astype(np.float32)


def upsample(maps: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Bilinear resampling of maps to `size`: A_h maps A_w^T.

    Args:
        maps: [..., h, w, L] float32.
        size: (H, W), in pixels.

    Returns:
        [..., H, W, L] float32, within the range of the maps.
    """
    check_axes('upsample', maps=(maps, '... h w L'))
    h, w = maps.shape[-3:-1]
    return resample(maps, bilinear_matrix(size[0], h), bilinear_matrix(size[1], w))


def resample(maps: jax.Array, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Maps resampled along both axes: rows maps columns^T.

    Args:
        maps: [..., h, w, L] float32.
        rows: [H, h] float32, such as `bilinear_matrix` gives.
        columns: [W, w] float32, likewise.

    Returns:
        [..., H, W, L] float32.
    """
    check_axes('resample', maps=(maps, '... h w L'), rows=(rows, 'H h'), columns=(columns, 'W w'))
    return _einsum('Hh,...hwL,Ww->...HWL', rows, maps, columns)


def transposed_upsample(masks: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The transpose of `upsample`: A_h^T masks A_w, so that <up(F), M> = <F, transposed(M)>.

    Args:
        masks: [..., H, W] float32.
        size: (h, w), size of the grid.

    Returns:
        [..., h, w] float32, with the same sum as the masks.
    """
    check_axes('transposed_upsample', masks=(masks, '... H W'))
    h, w = masks.shape[-2:]
    rows, columns = bilinear_matrix(h, size[0]), bilinear_matrix(w, size[1])
    return _einsum('Hh,...HW,Ww->...hw', rows, masks, columns)


class Pooled(NamedTuple):
    """Upsampled features summed under a mask; every prototype is made of such sums.

    Attributes:
        sum: [..., C] float32, sum_xy up(F) M.
        count: [...] float32 >= 0, sum_xy M.
    """

    sum: jax.Array
    count: jax.Array

    def mean(self) -> jax.Array:
        """The masked mean, eq. (1): sum / (count + 1e-5). Under an empty mask it is 0.

        Returns:
            [..., C] float32.
        """
        return self.sum / (self.count[..., None] + COUNT_EPSILON)

    def prototype(self, image_axes: int | tuple[int, ...]) -> jax.Array:
        """A prototype, eqs. (1) and (2): the mean over the images of their masked means.

        Args:
            image_axes: the axis or axes of the images in `count`, counted from the end: -1 is the last.

        Returns:
            [..., C] float32, without the axes of the images.
        """
        axes = (image_axes,) if isinstance(image_axes, int) else image_axes
        return self.mean().mean(tuple(axis - 1 for axis in axes))


def pool(features: jax.Array, masks: jax.Array) -> Pooled:
    """Sums upsampled features under masks.

    Upsampling is linear. So instead of upsampling C channels of features, its transpose brings the mask down to the grid:
    the same sum in 1/60 of the memory. A mask of the size of the features is used as it is.

    Args:
        features: [..., h, w, C] float32.
        masks: [..., H, W] float32, weights >= 0. The leading axes are those of the features.

    Returns:
        Pooled, [..., C] and [...] float32.
    """
    check_axes('pool', features=(features, '... h w C'), masks=(masks, '... H W'))
    return Pooled(masked_sum(features, masks), masks.sum((-2, -1)))


def masked_mean(features: jax.Array, masks: jax.Array) -> jax.Array:
    """Mean of the upsampled features under a mask, eq. (1); an empty mask gives zeros, with zero gradient.

    Args:
        features: [..., h, w, C] float32.
        masks: [..., H, W] float32, weights >= 0. The leading axes are those of the features.

    Returns:
        [..., C] float32.
    """
    check_axes('masked_mean', features=(features, '... h w C'), masks=(masks, '... H W'))
    return pool(features, masks).mean()


def masked_sum(features: jax.Array, masks: jax.Array) -> jax.Array:
    """Sum of the upsampled features under a mask: sum_xy up(F) M.

    Args:
        features: [..., h, w, C] float32.
        masks: [..., H, W] float32, weights >= 0. The leading axes are those of the features.

    Returns:
        [..., C] float32.
    """
    check_axes('masked_sum', features=(features, '... h w C'), masks=(masks, '... H W'))
    grid = features.shape[-3:-1]
    weights = masks if masks.shape[-2:] == grid else transposed_upsample(masks, grid)
    return _einsum('...hwC,...hw->...C', features, weights)


def class_prototypes(support_features: jax.Array, foreground: jax.Array, background: jax.Array) -> jax.Array:
    """Prototypes of one episode, eqs. (1) and (2): p_n is a mean over the shots of way n, p_0 over all support images.

    Args:
        support_features: [N, K, h, w, C] float32.
        foreground: [N, K, H, W] float32 in {0, 1}.
        background: [N, K, H, W] float32 in {0, 1}.

    Returns:
        [1 + N, C] float32, background first.
    """
    check_axes(
        'class_prototypes',
        support_features=(support_features, 'N K h w C'),
        foreground=(foreground, 'N K H W'),
        background=(background, 'N K H W'),
    )
    of_classes = pool(support_features, foreground).prototype(-1)
    of_background = pool(support_features, background).prototype((-2, -1))
    return jnp.concatenate([of_background[None], of_classes])


def unit(vectors: jax.Array) -> jax.Array:
    """Vectors divided by their length; a zero vector stays zero and gets a zero gradient.

    x / |x| would have a NaN gradient at 0, and an empty mask has a zero prototype.

    Args:
        vectors: [..., C] float32.

    Returns:
        [..., C] float32, of length 1; zero where the length of the vector is 1e-8 at most.
    """
    check_axes('unit', vectors=(vectors, '... C'))
    return vectors * _inverse_length(vectors)


def _inverse_length(vectors):
    """1 / |x|, 0 where the length is 1e-8 at most: [..., C] -> [..., 1]."""
    squared = jnp.square(vectors).sum(-1, keepdims=True)
    has_direction = squared > LENGTH_EPSILON**2
    inverse = jax.lax.rsqrt(jnp.where(has_direction, squared, 1.0))
    return jnp.where(has_direction, inverse, 0.0)


def cosine_logits(features: jax.Array, prototypes: jax.Array) -> jax.Array:
    """Similarity of every position to every prototype: 20 cos(F, p_l), eq. (3).

    Args:
        features: [..., h, w, C] float32.
        prototypes: [L, C] float32.

    Returns:
        [..., h, w, L] float32 in [-20, 20]; 0 for a zero prototype.
    """
    check_axes('cosine_logits', features=(features, '... h w C'), prototypes=(prototypes, 'L C'))
    products = _einsum('...hwC,LC->...hwL', features, unit(prototypes))
    return COSINE_SCALE * _inverse_length(features) * products


def margins(logits: jax.Array) -> jax.Array:
    """By how much the logit of each class exceeds those of all other labels.

    Args:
        logits: [h, w, 1 + N] float32, background first.

    Returns:
        [N, h, w] float32, above 0 where the class has the highest logit.
    """
    check_axes('margins', logits=(logits, 'h w L'))
    by_label = jnp.moveaxis(logits, -1, 0)
    others = ~jnp.eye(len(by_label), dtype=bool)[1:]
    highest = jnp.where(others[..., None, None], by_label[None], -jnp.inf).max(1)
    return by_label[1:] - highest
