"""References as they are handed to `Segmenter.fit`: listed, checked and read."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.segmenter.reference_set import NewReference
from panet_jax.segmenter.references import Annotation, Photo, read_marks, read_photo

Pairs = Mapping[str, Sequence[tuple[Photo, Annotation]]]  # {class: [(image, annotation), ...]}


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
