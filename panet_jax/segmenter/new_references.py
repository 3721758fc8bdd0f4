"""References as they are handed to the Segmenter: listed, checked, read, and added to a set."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.method.episode import IGNORE
from panet_jax.segmenter.reference_set import Negative, NewReference, ReferenceSet
from panet_jax.segmenter.references import Annotation, Photo, read_marks, read_photo
from panet_jax.segmenter.understanding import understood

Pairs = Mapping[str, Sequence[tuple[Photo, Annotation]]]  # {class: [(image, annotation), ...]}
# A set and new references with their pixels -> {hash: [h, w, C] float32} of the images whose features the set lacks.
FeaturesOf = Callable[[ReferenceSet, Sequence[tuple[NewReference, np.ndarray]]], Mapping[str, np.ndarray]]


def extended(
    reference_set: ReferenceSet, references: Pairs, *, size: int, features_of: FeaturesOf, understand: bool
) -> ReferenceSet:
    """A set of references with further ones.

    Args:
        reference_set: set to start from.
        references: {class: [(image, annotation), ...]}.
        size: side S in pixels of the images that the network sees.
        features_of: encodes the images that are new.
        understand: whether points and boxes become the region that they stand for.

    Returns:
        The larger set.

    Raises:
        InputError: an image or an annotation is wrong, or there are more than 254 classes.
    """
    items = [read_reference(*item, size=size) for item in list(listed(references))]
    class_names = {*reference_set.classes, *(reference.name for reference, _ in items)}
    if len(class_names) >= IGNORE:
        raise InputError(
            f'a segmenter has at most {IGNORE - 1} classes, as a label is stored in one byte, got {len(class_names)}.'
        )
    features = features_of(reference_set, items)
    grids = {**{name: image.features for name, image in reference_set.images.items()}, **features}
    new = [reference for reference, _ in items]
    if understand:
        new = [new_._replace(marks=understood(grids[new_.image], new_.marks)) for new_ in new]
    return reference_set.with_references(new, features)


def extended_by_negative(
    reference_set: ReferenceSet,
    image: Photo,
    annotation: Annotation | None,
    *,
    size: int,
    features_of: FeaturesOf,
    understand: bool,
) -> ReferenceSet:
    """A set of references with one more negative.

    Args:
        reference_set: set to start from.
        image: path, Pillow image or array, as for `read_photo`.
        annotation: what shows no class; None for the whole image.
        size: side S in pixels of the images that the network sees.
        features_of: encodes the image if it is new.
        understand: whether points and boxes become the region that they stand for.

    Returns:
        The larger set, with more background.

    Raises:
        InputError: the image or the annotation is wrong.
    """
    photo = read_photo(image, 'the negative')
    source_name = str(image) if isinstance(image, str | Path) else 'the negative'
    region = np.ones(photo.shape[:2], bool) if annotation is None else annotation
    new, pixels = read_reference('negative', photo, region, source_name, size=size)
    features = features_of(reference_set, [(new, pixels)]).get(new.image)
    grid = reference_set.images[new.image].features if features is None else features
    marks = understood(grid, new.marks) if understand else new.marks
    return reference_set.with_negative(Negative(new.image, marks.foreground), features)


def listed(references: Pairs) -> Iterator[tuple[str, Photo, Annotation, str]]:
    """The references of all classes, one by one.

    Args:
        references: {class: [(image, annotation), ...]}.

    Yields:
        (class, image, annotation, what errors call the image).

    Raises:
        InputError: they have another form.
    """
    for name, pairs in references.items():
        if not isinstance(pairs, list | tuple) or not pairs:
            raise InputError(
                f'the references of {name!r} must be a list [(image, annotation), ...], got {pairs!r:.60}.'
            )
        for number, pair in enumerate(pairs, 1):
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise InputError(
                    f'reference {number} of {name!r} must be a pair (image, annotation), got {pair!r:.60}.'
                )
            yield name, *pair, f'reference {number} of {name!r}'


def read_reference(
    name: str, image: Photo, annotation: Annotation, source_name: str, *, size: int
) -> tuple[NewReference, np.ndarray]:
    """Reads a reference.

    Args:
        name: name of the class.
        image: path, Pillow image or array, as for `read_photo`.
        annotation: mask, Box, Points or Scribble, as for `read_marks`.
        source_name: what errors call an image that is no path.
        size: side S in pixels of the images that the network sees.

    Returns:
        The reference, and its image as the network sees it, [S, S, 3] uint8.

    Raises:
        InputError: the name, the image or the annotation is wrong.
    """
    if not isinstance(name, str) or not name.strip():
        raise InputError(f'the name of a class must be a text, got {name!r}.')
    photo = read_photo(image, source_name)
    pixels = resize_image(photo, size)
    image_name = image if isinstance(image, str | Path) else source_name
    marks = read_marks(annotation, photo.shape[:2], size, f'the annotation of {image_name}')
    return NewReference(name, hashlib.sha256(pixels.tobytes()).hexdigest()[:16], marks), pixels
