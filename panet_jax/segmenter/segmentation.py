"""What the Segmenter found in one image; labels and probabilities are made when they are asked for."""

import dataclasses
import functools
import numbers

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.prototypes import LENGTH_EPSILON, bilinear_matrix, masked_sum, resample, unit

# An image is resampled in bands of so many rows, and its width is padded to a multiple of it: photographs of many
# megapixels take little memory, and few widths mean few compilations.
BAND = 128
# A logit, which lies in -20..20 otherwise, of what is never taken; finite, for it is resampled.
NEVER = -1e4


@dataclasses.dataclass(frozen=True, repr=False)
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

    def __repr__(self):
        found = (f'{name} {share:.1%} (absent {self.absent[name]:.2f})' for name, share in self.shares.items())
        return f'Segmentation({self.shape[0]} x {self.shape[1]}, {", ".join(found)})'

    def present(self, absent_above):
        """The same without the classes whose `absent` is above a threshold: their pixels go to the likeliest other."""
        if not isinstance(absent_above, numbers.Real):
            raise InputError(f'absent_above must be a number such as 0.55, got {absent_above!r}.')
        return self.without([name for name in self.classes if self.absent[name] > absent_above])

    def without(self, names):
        """The same without some classes: their pixels go to the likeliest other. The labels of the others stay.

        Args:
            names: of the classes, in any order; none leaves all.
        """
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise InputError(f'there is no class {unknown[0]!r}; there are {", ".join(self.classes)}.')
        gone = [False, *(name in names for name in self.classes)]
        return dataclasses.replace(self, logits=np.where(gone, np.float32(NEVER), self.logits))

    @functools.cached_property
    def shares(self):
        """{class: share of the image's pixels that have its label}."""
        counts = np.bincount(self.labels.ravel(), minlength=1 + len(self.classes))
        return {name: float(count / self.labels.size) for name, count in zip(self.classes, counts[1:], strict=True)}


def absence(features, logits, prototypes):
    """How sure the network is that a class is not in an image.

    A prototype q_n is made of what was found, the mean of the features under the class's probabilities,
    as in the paper's alignment, and compared with p_n, the one of what was shown: with the distance
    d(a, b) = 1 - cos(a, b) it is d(q_n, p_n) / (d(q_n, p_n) + d(p_0, p_n)), which is 0.5 where what was
    found is as unlike the class as the background is. It ranks images by whether they show the class
    (AUC 0.81 with one reference, the mean over 72 classes of 160 of COCO's photographs and the ImageNet
    network, where the largest probability has 0.72; 0.74 and 0.68 on 20 classes in VOC's layout:
    benchmarks/absence.py), but is no calibrated probability: choose a threshold on images of your own.

    Args:
        features: [h, w, C] float32 of the image.
        logits: [h, w, 1 + N] float32, as `cosine_logits` makes them of the prototypes.
        prototypes: [1 + N, C] float32, background first.

    Returns:
        [N] float32 in [0, 1].
    """
    logs = jnp.moveaxis(jax.nn.log_softmax(logits, axis=-1), -1, 0)[1:]
    weights = jnp.exp(logs - logs.max((1, 2), keepdims=True))  # however small the probabilities are
    found = jax.vmap(masked_sum, (None, 0))(features, weights)
    of_found = _distance(found, prototypes[1:])
    of_background = _distance(prototypes[:1], prototypes[1:])
    return of_found / (of_found + of_background + LENGTH_EPSILON)


def _distance(a, b):
    """1 - cos: [..., C] -> [...] in [0, 2]."""
    return jnp.maximum(1 - (unit(a) * unit(b)).sum(-1), 0)


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
