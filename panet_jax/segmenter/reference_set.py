"""The references as a value: adding or removing one gives another value, and computes only what is new."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.presence import Views
from panet_jax.method.prototypes import Pooled, pool
from panet_jax.segmenter.references import Marks


class NewReference(NamedTuple):
    """A reference of which nothing is computed yet.

    Attributes:
        name: name of the class.
        image: hash of the image's pixels, the same for all references of one image.
        marks: the annotation at the size of the network.
    """

    name: str
    image: str
    marks: Marks


class Negative(NamedTuple):
    """What is none of the classes.

    Attributes:
        image: hash of the image's pixels.
        region: [S, S] bool, pixels that show no class.
    """

    image: str
    region: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Reference:
    """One annotation of one image, and the features under it.

    Attributes:
        name: name of the class.
        image: hash of the image's pixels.
        marks: the annotation at the size of the network.
        foreground: features pooled under `marks.foreground`, [C] and [] float32.
    """

    name: str
    image: str
    marks: Marks
    foreground: Pooled


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceImage:
    """One image of the references.

    Attributes:
        features: [h, w, C] float32, the image's features, so that a further reference of it is not encoded again. They
            take 4 h w C bytes: 5.5 MiB for VGG-16 and 417 pixels. None in a segmenter that was loaded, as files leave
            them out.
        background: features pooled under the image's background, [C] and [] float32. See `background`.
    """

    features: np.ndarray | None
    background: Pooled


class Evidence(NamedTuple):
    """What the decision which classes an image shows takes of the references; see `evidence_of`.

    Attributes:
        views: what is found in the images of references, [R, ...] with N classes and C channels. They take 12 R N C bytes,
            and R is at most twice the number of images.
        descriptors: [I, C] float32, of the images that show a class.
        shown: [I, N] bool, which classes they show.
    """

    views: Views
    descriptors: np.ndarray
    shown: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class ReferenceSet:
    """References of any number of classes. It never changes: `with_references` and `without` return another set.

    Sets share the arrays of the images that they have in common.

    Attributes:
        references: in the order in which they came.
        images: {hash: ReferenceImage} of the images that the references are of, in the same order; then of the negatives.
        negatives: what is none of the classes; it is background.
        evidence: what a file had for the decision; None in all other sets, also in one that was made from a loaded one.
    """

    references: tuple[Reference, ...] = ()
    images: Mapping[str, ReferenceImage] = dataclasses.field(default_factory=dict)
    negatives: tuple[Negative, ...] = ()
    evidence: Evidence | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order in which they came."""
        return tuple(dict.fromkeys(reference.name for reference in self.references))

    @property
    def most_shots(self) -> int:
        """The most references that a class has; 0 without any."""
        return max((len(self.of_class(name)) for name in self.classes), default=0)

    def of_class(self, name: str) -> tuple[Reference, ...]:
        """The references of one class."""
        return tuple(reference for reference in self.references if reference.name == name)

    def lacks_features(self, image: str) -> bool:
        """Whether an image must be encoded before a reference of it can be added.

        Args:
            image: hash of the image's pixels.
        """
        return image not in self.images or self.images[image].features is None

    @property
    def can_decide(self) -> bool:
        """Whether it has what the decision takes which classes an image shows: the features of all images, or evidence."""
        return self.evidence is not None or not any(map(self.lacks_features, self.images))

    @property
    def shows_background(self) -> bool:
        """Whether a pixel of any image is background."""
        return any(image.background.count for image in self.images.values())

    @property
    def channels(self) -> int:
        """C of the features; there must be a reference."""
        return self.references[0].foreground.sum.size

    def with_references(self, references: Sequence[NewReference], features: Mapping[str, np.ndarray]) -> 'ReferenceSet':
        """The set with further references.

        Args:
            references: references of any images.
            features: {hash: [h, w, C] float32} of those images whose features the set lacks.

        Returns:
            The larger set. The background of an image that was there already may be smaller in it.
        """
        grids = {image: self.images[image].features for image in self.images} | dict(features)
        further = tuple(
            Reference(*reference, pooled(grids[reference.image], reference.marks.foreground))
            for reference in references
        )
        changed = {reference.image: grids[reference.image] for reference in further}
        return self._of(self.references + further, self.negatives, changed)

    def with_negative(self, negative: Negative, features: np.ndarray | None = None) -> 'ReferenceSet':
        """The set with one more negative.

        Args:
            negative: what is none of the classes.
            features: [h, w, C] float32 of its image, if the set lacks them.

        Returns:
            The larger set, with more background.
        """
        features = self.images[negative.image].features if features is None else features
        return self._of(self.references, (*self.negatives, negative), {negative.image: features})

    def without(self, number: int) -> 'ReferenceSet':
        """The set without one reference.

        Args:
            number: place of the reference, from 0.

        Returns:
            The smaller set.

        Raises:
            InputError: the set was loaded, and lacks the features of the image.
        """
        image, references = self.references[number].image, _without(self.references, number)
        return self._of(references, self.negatives, {image: self._features(image)})

    def without_negative(self, number: int) -> 'ReferenceSet':
        """The set without one negative.

        Args:
            number: place of the negative, from 0.

        Returns:
            The set with less background.

        Raises:
            InputError: the set was loaded, and lacks the features of the image.
        """
        image, negatives = self.negatives[number].image, _without(self.negatives, number)
        return self._of(self.references, negatives, {image: self._features(image)})

    def _features(self, image):
        if self.lacks_features(image):
            raise InputError(
                'a saved segmenter has no features of its images, which are needed to remove a reference; fit again.'
            )
        return self.images[image].features

    def prototypes(self) -> np.ndarray:
        """The prototypes of background and classes, as `class_prototypes` has them.

        Returns:
            [1 + N, C] float32, background first.

        Raises:
            InputError: there are no references, or they show no background.
        """
        if not self.references:
            raise InputError('the segmenter has no references yet; call fit or add first.')
        self.check_background()
        backgrounds = [image.background for image in self.images.values()]
        of_classes = [[reference.foreground for reference in self.of_class(name)] for name in self.classes]
        return np.stack([_prototype(group) for group in (backgrounds, *of_classes)])

    def check_background(self) -> None:
        """Refuses references that show no background; one that is added later may show some.

        Raises:
            InputError: no pixel of any image is background.
        """
        if not self.shows_background:
            raise InputError(
                'the references show no background; add one whose annotation does not cover its whole image.'
            )

    def _of(self, references, negatives, grids):
        """A set of references; the background of the images in `grids`, {hash: [h, w, C]}, is pooled anew."""
        marks, regions = {}, {}
        for reference in references:
            marks.setdefault(reference.image, []).append(reference.marks)
        for negative in negatives:
            regions.setdefault(negative.image, []).append(negative.region)
        images = {
            image: ReferenceImage(
                grids[image], pooled(grids[image], background(marks.get(image, ()), regions.get(image, ())))
            )
            if image in grids
            else self.images[image]
            for image in (marks | regions)
        }
        return ReferenceSet(references, images, negatives)


def background(marks: Sequence[Marks], negatives: Sequence[np.ndarray] = ()) -> np.ndarray:
    """The background of one image, from all its annotations; there is one at least.

    If strokes or points mark background, that is it. Otherwise it is what all annotations leave. What negatives mark is
    background too. The foreground of any class is no background.

    Args:
        marks: the annotations of the image.
        negatives: [S, S] bool each, regions of the image that show no class.

    Returns:
        [S, S] bool.
    """
    marked = [annotation.background for annotation in marks if annotation.drawn]
    if not marked and marks:
        marked = [np.all([annotation.background for annotation in marks], 0)]
    foreground = [annotation.foreground for annotation in marks]
    outside = np.any([*marked, *negatives], 0)
    return outside & ~np.any(foreground, 0) if foreground else outside


def pooled(features: np.ndarray, mask: np.ndarray) -> Pooled:
    """Features summed under a mask, as numpy arrays.

    Args:
        features: [h, w, C] float32.
        mask: [S, S] bool.

    Returns:
        [C] and [] float32.
    """
    return Pooled(*map(np.asarray, _pool(features, mask)))


@jax.jit
def _pool(features, mask):
    return pool(features, mask.astype(np.float32))


def _without(items, number):
    return items[:number] + items[number + 1 :]


def _prototype(group):
    """The prototype of a group of Pooled, each of one annotation or image: [C] float32."""
    return Pooled(*map(np.stack, zip(*group, strict=True))).prototype(-1)
