"""Masks that follow the edges of the image.

The features have a position every eight pixels, so an upsampled mask ends where the grid does, not where the object does.
Here the probabilities are smoothed between similar pixels of the image, and not across its edges: Min et al., *Fast
Global Image Smoothing Based on Weighted Least Squares*, IEEE TIP 2014. The smoothed map u of a map p minimizes

    sum_x (u_x - p_x)^2 + strength * sum_xy exp(-|I_x - I_y| / CONTRAST) (u_x - u_y)^2

over the pixels x and the pairs xy of neighbors in the image I. It is solved along rows and columns in turn, each a
tridiagonal system.

Axes: L labels, H W pixels of the image at the working size.
"""

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes
from panet_jax.method.prototypes import upsample

# Longest side in pixels at the working size. A finer size was slower and no better, measured on photographs of 640 x 480.
SIDE = 209
# Chosen on one half of the classes of 160 photographs of COCO: benchmarks/quality.py.
CONTRAST = 10.0  # color difference, in 0..255, at which an edge lets exp(-1) through
# How far a pixel's value spreads where there is no edge, as a fraction of the shorter side. On that half of the classes 1/3
# was better, thanks to large objects. But it lost small objects: in folders of the other classes more than edges gained. So
# this value was chosen with the figures of both halves known.
REACH = 1 / 6
ROUNDS = 3  # as in the paper; the strength falls by a factor of 4 from round to round, and the sum is `strength`

LEAST = 1e-6  # lowest probability, so that its logarithm is finite


def edge_logits(logits: jax.Array, image: jax.Array) -> jax.Array:
    """Logits at the working size whose probabilities follow the edges of the image.

    Args:
        logits: [h, w, L] float32, on the grid of the features.
        image: [H, W, 3] in [0, 255], at the working size: sides of at most SIDE pixels.

    Returns:
        [H, W, L] float32, logarithms of the probabilities, at least log(LEAST).
    """
    check_axes('edge_logits', logits=(logits, 'h w L'), image=(image, 'H W 3', None))
    probabilities = jax.nn.softmax(upsample(logits, image.shape[:2]), axis=-1)
    return jnp.log(jnp.maximum(follow_edges(probabilities, image.astype(jnp.float32)), LEAST))


def follow_edges(probabilities: jax.Array, image: jax.Array) -> jax.Array:
    """Probabilities smoothed between similar pixels of an image.

    Args:
        probabilities: [H, W, L] float32.
        image: [H, W, 3] float32 in [0, 255].

    Returns:
        [H, W, L] float32, within the range of the probabilities of each label. If these sum to 1, so do the results.
    """
    check_axes('follow_edges', probabilities=(probabilities, 'H W L'), image=(image, 'H W 3'))
    strength = (REACH * min(image.shape[:2])) ** 2
    along_rows, along_columns = (_similarity(picture) for picture in (image, image.swapaxes(0, 1)))
    for number in range(1, ROUNDS + 1):
        share = 1.5 * 4.0 ** (ROUNDS - number) / (4.0**ROUNDS - 1) * strength
        probabilities = _smoothed(probabilities, share * along_rows)
        probabilities = _smoothed(probabilities.swapaxes(0, 1), share * along_columns).swapaxes(0, 1)
    return probabilities


def _similarity(image):
    """[H, W - 1] in [0, 1]: similarity of each pixel and its right neighbor."""
    differences = jnp.diff(image, axis=1)
    return jnp.exp(-jnp.sqrt((differences**2).sum(-1)) / CONTRAST)


def _smoothed(maps, weights):
    """Maps [H, W, L] smoothed along their rows, with the weight of each pair of neighbors, [H, W - 1]."""
    lower, upper = jnp.pad(weights, ((0, 0), (1, 0))), jnp.pad(weights, ((0, 0), (0, 1)))
    return jax.lax.linalg.tridiagonal_solve(-lower, 1 + lower + upper, -upper, maps)
