"""What the Segmenter found in one image. Labels and probabilities are computed when they are asked for."""

import dataclasses
import functools
import numbers
from collections.abc import Callable, Collection

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.errors import InputError
from panet_jax.images.objects import Object, find_objects
from panet_jax.method.prototypes import LENGTH_EPSILON, bilinear_matrix, masked_sum, resample, unit

# Images are resampled in bands of so many rows: photographs of many megapixels then take little memory. Widths are
# padded to a multiple of it, so that few are compiled.
BAND = 128
NEVER = -1e4  # logit of a class that is left out; others lie in -20..20. It is finite, as it is resampled


@dataclasses.dataclass(frozen=True, repr=False)
class Segmentation:
    """The segmentation of one image.

    Attributes:
        logits: [h, w, 1 + N] float32, background first: logarithms of probabilities at the working size of `edge_logits`,
            or, where masks do not follow edges, 20 times the cosines on the network's grid.
        shape: (H, W) of the image, upright.
        classes: names of the N classes; label n is classes[n - 1].
        absent: {class: confidence in [0, 1] that the class is not in the image}; see `absence`.
        presence: {class: probability in [0, 1] that the image shows it}; None if it was not asked for.
        expected_iou: {class: the IoU in [0, 1] that its mask probably has, if the image shows it}, of the classes that
            were not left out by `presence`; None if it is unknown. Masks with a low one are worth a look first.
        descriptor: [C] float32, a vector for the whole image, from which answers of a user are generalized; None where
            `presence` is.
    """

    logits: np.ndarray
    shape: tuple[int, int]
    classes: tuple[str, ...]
    absent: dict[str, float]
    presence: dict[str, float] | None = None
    expected_iou: dict[str, float] | None = None
    descriptor: np.ndarray | None = None

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """[H, W] uint8, 0 is background and n is classes[n - 1]."""
        return _in_bands(_band_labels, self.logits, self.shape)

    @functools.cached_property
    def probabilities(self) -> np.ndarray:
        """[1 + N, H, W] float32 in [0, 1], background first: the softmax of the logits, which sums to 1.

        They take 4 (1 + N) bytes a pixel.
        """
        return _in_bands(_band_probabilities, self.logits, self.shape)

    @functools.cached_property
    def shares(self) -> dict[str, float]:
        """{class: fraction of the image's pixels that have its label}."""
        counts = np.bincount(self.labels.ravel(), minlength=1 + len(self.classes))
        return {name: float(count / self.labels.size) for name, count in zip(self.classes, counts[1:], strict=True)}

    def __repr__(self) -> str:
        classes = (f'{name} {share:.1%} (absent {self.absent[name]:.2f})' for name, share in self.shares.items())
        return f'Segmentation({self.shape[0]} x {self.shape[1]}, {", ".join(classes)})'

    def objects(self, min_area: int = 1, split: bool = True) -> list[Object]:
        """The objects that were found: the connected regions of each class, with holes as they are.

        Two instances that touch are one object: only connection tells them apart.

        Args:
            min_area: objects with fewer pixels are left out.
            split: whether connected regions are objects of their own; otherwise all pixels of a class are one object.

        Returns:
            The objects, by class and, in a class, the largest first. A score is the mean probability of the object's
            label over its pixels, in [0, 1].

        Raises:
            InputError: min_area is no whole number.
        """
        if not isinstance(min_area, numbers.Integral):
            raise InputError(f'min_area must be a whole number of pixels, got {min_area!r}.')
        confidence = _in_bands(_band_confidence, self.logits, self.shape)
        return find_objects(self.labels, self.classes, confidence=confidence, min_area=min_area, split=split)

    def present(self, absent_above: float) -> 'Segmentation':
        """The segmentation without the classes that are probably not in the image.

        Args:
            absent_above: threshold in [0, 1], such as 0.55. A class whose `absent` is above it is left out.

        Returns:
            A Segmentation with the same classes, as `without` gives it.

        Raises:
            InputError: the threshold is no number.
        """
        if not isinstance(absent_above, numbers.Real):
            raise InputError(f'absent_above must be a number such as 0.55, got {absent_above!r}.')
        return self.without([name for name in self.classes if self.absent[name] > absent_above])

    def without(self, names: Collection[str]) -> 'Segmentation':
        """The segmentation without some classes: their pixels go to the likeliest other class, or to the background.

        Args:
            names: names of the classes to leave out, in any order.

        Returns:
            A Segmentation with the same `classes`, so that labels keep their meaning.

        Raises:
            InputError: there is no such class.
        """
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise InputError(f'there is no class {unknown[0]!r}; there are {", ".join(self.classes)}.')
        left_out = [False, *(name in names for name in self.classes)]
        return dataclasses.replace(self, logits=np.where(left_out, np.float32(NEVER), self.logits))


def absence(features: jax.Array, logits: jax.Array, prototypes: jax.Array) -> jax.Array:
    """How sure the network is that a class is not in an image.

    As in the paper's alignment, a prototype q_n is made of the image: the mean of its features, weighted by the
    probabilities of class n. It is compared with the prototype p_n of the references. With d(a, b) = 1 - cos(a, b)

        absence_n = d(q_n, p_n) / (d(q_n, p_n) + d(p_0, p_n)),

    which is 0 if the image shows what the references show, and 0.5 if q_n is as unlike the class as the background is.

    It ranks images by whether they show the class. With one reference and the ImageNet network its AUC is 0.81, the mean
    over 72 classes of 160 of COCO's photographs, where the largest probability has 0.72; on 20 classes in VOC's layout
    it is 0.74, and 0.68 (benchmarks/absence.py). It is no calibrated probability: choose a threshold on images of your
    own.

    Args:
        features: [h, w, C] float32, of the image.
        logits: [h, w, 1 + N] float32, the `cosine_logits` of features and prototypes.
        prototypes: [1 + N, C] float32, background first.

    Returns:
        [N] float32 in [0, 1].
    """
    log_probabilities = jnp.moveaxis(jax.nn.log_softmax(logits, axis=-1), -1, 0)[1:]
    # Cosines do not depend on the weights' scale, and all probabilities of a class may be too small for float32.
    weights = jnp.exp(log_probabilities - log_probabilities.max((1, 2), keepdims=True))
    query_sums = jax.vmap(masked_sum, (None, 0))(features, weights)
    query_distance = _distance(query_sums, prototypes[1:])
    background_distance = _distance(prototypes[:1], prototypes[1:])
    return query_distance / (query_distance + background_distance + LENGTH_EPSILON)


def _distance(a, b):
    """1 - cos: [..., C] -> [...] in [0, 2]."""
    return jnp.maximum(1 - (unit(a) * unit(b)).sum(-1), 0)


@jax.jit
def _band_labels(logits, rows, columns):
    return resample(logits, rows, columns).argmax(-1).astype(np.uint8)


@jax.jit
def _band_probabilities(logits, rows, columns):
    return jax.nn.softmax(resample(logits, rows, columns), axis=-1).transpose(2, 0, 1)


@jax.jit
def _band_confidence(logits, rows, columns):
    """The probability of the likeliest label of each pixel."""
    return jax.nn.softmax(resample(logits, rows, columns), axis=-1).max(-1)


def _in_bands(function: Callable, logits: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """function(logits, rows, columns) -> [..., BAND, width] for all bands of an image, put together: [..., H, W]."""
    rows, columns = (_padded(bilinear_matrix(*sizes)) for sizes in zip(shape, logits.shape, strict=False))
    image = None
    for first in range(0, shape[0], BAND):
        band = np.asarray(function(logits, rows[first : first + BAND], columns))
        image = np.empty((*band.shape[:-2], *shape), band.dtype) if image is None else image
        target = image[..., first : first + BAND, :]
        target[...] = band[..., : target.shape[-2], : shape[1]]
    return image


def _padded(matrix):
    """A matrix with rows of zeros up to a multiple of BAND."""
    return np.pad(matrix, ((0, -len(matrix) % BAND), (0, 0)))
