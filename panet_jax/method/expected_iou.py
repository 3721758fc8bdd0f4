"""How good a mask probably is, from values that the network computes anyway, so that people check doubtful masks first.

Axes: L labels (1 + N, background first), h w feature grid.
"""

import jax
import jax.numpy as jnp

from panet_jax.method.axes import check_axes
from panet_jax.method.prototypes import COSINE_SCALE, margins

# Coefficients of a logistic regression of IoU, fitted on 450 masks of one half of the classes of 160 photographs of COCO.
# benchmarks/quality.py prints how well it ranks the masks of the other half.
INTERCEPT, AGREEMENT, CONTRAST = -2.5, 1.2, 15.5


def expected_iou(plain: jax.Array, adapted: jax.Array) -> jax.Array:
    """The IoU that the mask of each class probably has, if the image shows the class.

    A mask is probably good if the masks before and after the adaptation of the prototypes agree, and if the class's logit
    is far above the others inside the mask and far below them outside.

    Args:
        plain: [h, w, L] float32, `cosine_logits` with the prototypes of the references.
        adapted: [h, w, L] float32, the same with prototypes adapted to the image.

    Returns:
        [N] float32 in [0, 1].
    """
    check_axes('expected_iou', plain=(plain, 'h w L'), adapted=(adapted, 'h w L'))
    before, margin = margins(plain) > 0, margins(adapted)
    inside = margin > jnp.minimum(0, margin.max((-2, -1), keepdims=True) - 1e-6)  # at least the best position
    agreement = _count(before & inside) / _count(before | inside)
    contrast = (_mean(margin, inside) - _mean(margin, ~inside)) / COSINE_SCALE
    return jax.nn.sigmoid(INTERCEPT + AGREEMENT * agreement + CONTRAST * contrast)


def _count(where):
    """Counts true positions: [N, h, w] bool -> [N] float32."""
    return where.sum((-2, -1)).astype(jnp.float32)


def _mean(maps, where):
    """Means of maps over true positions: two [N, h, w] -> [N]; 0 where no position is true."""
    return jnp.where(where, maps, 0.0).sum((-2, -1)) / jnp.maximum(_count(where), 1.0)
