"""What the Segmenter found in one image; labels and probabilities are made when they are asked for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.prototypes import bilinear_matrix, masked_sum, resample, unit

# An image is resampled in bands of so many rows, and its width is padded to a multiple of it: photographs of many
# megapixels take little memory, and few widths mean few compilations.
BAND = 128


@dataclasses.dataclass(frozen=True)
class Segmentation:
    """The segmentation of one image.

    Attributes:
        logits: [h, w, 1 + N] float32, 20 times the cosines on the network's grid, background first.
        shape: (H, W) of the image, upright.
        classes: names of the N classes; label value n is classes[n - 1].
        absent: {class: confidence in [0, 1] that it is not in the image}; see `absence`.
    """

    logits: np.ndarray
    shape: tuple[int, int]
    classes: tuple[str, ...]
    absent: dict[str, float]

    @functools.cached_property
    def labels(self):
        """[H, W] uint8, 0 background, n for classes[n - 1]."""
        return _in_bands(_band_labels, self.logits, self.shape)

    @functools.cached_property
    def probabilities(self):
        """[1 + N, H, W] float32, background first: softmax of the logits, which sums to 1.

        It is large: 4 (1 + N) bytes a pixel.
        """
        return _in_bands(_band_probabilities, self.logits, self.shape)

    @property
    def shares(self):
        """{class: share of the image's pixels that have its label}."""
        counts = np.bincount(self.labels.ravel(), minlength=1 + len(self.classes))
        return {name: float(count / self.labels.size) for name, count in zip(self.classes, counts[1:], strict=True)}


def absence(features, logits, prototypes):
    """How sure the network is that a class is not in an image.

    1 - cos(p_n, q_n), where q_n is the mean of the image's features under the class's probabilities: a
    prototype made of what was found, as in the paper's alignment, beside the one of what was shown. It
    ranks images by whether they show the class, but is no calibrated probability: choose a threshold on
    images of your own. benchmarks/absence.py compares it with simpler measures.

    Args:
        features: [h, w, C] float32 of the image.
        logits: [h, w, 1 + N] float32, as `cosine_logits` makes them of the prototypes.
        prototypes: [1 + N, C] float32, background first.

    Returns:
        [N] float32 in [0, 1].
    """
    probabilities = jnp.moveaxis(jax.nn.softmax(logits, axis=-1), -1, 0)[1:]
    found = jax.vmap(masked_sum, (None, 0))(features, probabilities)
    cosines = (unit(found) * unit(prototypes[1:])).sum(-1)
    return jnp.clip(1 - cosines, 0, 1)


@jax.jit
def _band_labels(logits, rows, columns):
    return resample(logits, rows, columns).argmax(-1).astype(np.uint8)


@jax.jit
def _band_probabilities(logits, rows, columns):
    return jax.nn.softmax(resample(logits, rows, columns), axis=-1).transpose(2, 0, 1)


def _in_bands(band, logits, shape):
    """band(logits, rows, columns) -> [..., BAND, columns] of all bands of an image, put together: [..., H, W]."""
    rows, columns = (_padded(bilinear_matrix(*sizes)) for sizes in zip(shape, logits.shape, strict=False))
    whole = None
    for first in range(0, shape[0], BAND):
        found = np.asarray(band(logits, rows[first : first + BAND], columns))
        whole = np.empty((*found.shape[:-2], *shape), found.dtype) if whole is None else whole
        part = whole[..., first : first + BAND, :]
        part[...] = found[..., : part.shape[-2], : shape[1]]
    return whole


def _padded(matrix):
    """A matrix with rows of zeros up to a multiple of BAND."""
    return np.pad(matrix, ((0, -len(matrix) % BAND), (0, 0)))
