"""Features without what depends on the position alone.

The features of a vision transformer depend on where a patch is, whatever it shows, so a cosine compares positions too. The
features of a blank image vary with the position alone. FoRIS and INSID3, which segment with DINO's features without
training, remove the directions of that variation; a share of one half is theirs.

Axes: h w feature grid, C channels, k directions.
"""

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.axes import check_axes


def positional_directions(features: np.ndarray, share: float) -> np.ndarray:
    """The directions that carry most of the features of a blank image: their first right singular vectors.

    Args:
        features: [h, w, C] float32, features of a blank image.
        share: share of the singular vectors, in [0, 1]; their number is rounded down.

    Returns:
        [C, k] float32, orthonormal columns; k = share * min(h * w, C).
    """
    check_axes('positional_directions', features=(features, 'h w C'))
    rows = np.asarray(features, np.float64).reshape(-1, features.shape[-1])
    directions = np.linalg.svd(rows, full_matrices=False)[2]
    return directions[: int(share * len(directions))].T.astype(np.float32)


def without_directions(features: jax.Array, directions: jax.Array) -> jax.Array:
    """Removes directions from features: F - F V V^T, the part orthogonal to them.

    Args:
        features: [..., h, w, C] float32.
        directions: [C, k] float32, orthonormal columns.

    Returns:
        [..., h, w, C] float32.
    """
    check_axes('without_directions', features=(features, '... h w C'), directions=(directions, 'C k'))
    along = jnp.einsum('...c,ck->...k', features, directions, precision='highest')
    return features - jnp.einsum('...k,ck->...c', along, directions, precision='highest')
