"""Any number of images: read ahead in threads, gathered for a step of the encoder, segmented in order."""

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.segmenter.references import Photo, read_photo
from panet_jax.segmenter.segmentation import Segmentation

THREADS = min(8, os.cpu_count() or 1)  # that read images

OnError = Literal['raise', 'yield']
Answers = Mapping[str, bool]  # {class: whether an image shows it}, where that is known
# Features [h, w, C], the image as the network sees it [S, S, 3], its own (H, W), its answers -> its Segmentation.
Compare = Callable[[np.ndarray, np.ndarray, tuple[int, int], Answers], Segmentation]
Result = tuple[Segmentation, np.ndarray | None] | tuple[InputError, None]


class Query(NamedTuple):
    """An image to segment.

    Attributes:
        pixels: [S, S, 3] uint8, as the network sees it.
        shape: its own (H, W).
        photo: [H, W, 3] uint8, the image itself; None where it is not kept.
        answers: what is known of it.
    """

    pixels: np.ndarray
    shape: tuple[int, int]
    photo: np.ndarray | None
    answers: Answers


def check_answers(answers: Sequence[Answers], count: int, classes: Sequence[str]) -> None:
    """Checks what is known of images.

    Args:
        answers: what is known of each.
        count: number of images.
        classes: names of the classes.

    Raises:
        InputError: there are not as many answers as images, one is no mapping, or names no class, or is not True or False.
    """
    if not isinstance(answers, list | tuple) or len(answers) != count:
        raise InputError(f'answers must be a list with one item for each of {count} image(s), got {answers!r:.60}.')
    for one in answers:
        if not isinstance(one, Mapping):
            raise InputError(
                f"answers must be {{class: whether it is there}}, such as {{'cat': True}}, got {one!r:.60}."
            )
        for name, value in one.items():
            if name not in classes:
                raise InputError(f'there is no class {name!r} to answer for; there are {", ".join(classes)}.')
            if not isinstance(value, bool | np.bool_):
                raise InputError(
                    f'an answer must be True or False, got {value!r} for {name!r}; leave out what is not known.'
                )


def check_folder(images: Sequence[Photo], present_above: float) -> None:
    """Checks what `predict_folder` does not take, but `predict` does.

    Args:
        images: the images.
        present_above: threshold of the probability that an image shows a class.

    Raises:
        InputError: the images are no list, or the threshold is None.
    """
    if not isinstance(images, list | tuple):
        raise InputError(
            f"images must be a list, such as sorted(Path('folder').glob('*.jpg')), got {images!r:.60}; predict takes one image."
        )
    if present_above is None:
        raise InputError('present_above must be a number from 0 to 1 such as 0.1, got None; predict takes None.')


def read_queries(
    images: Iterable[Photo], size: int, *, keep_photos: bool, answers: Sequence[Answers] | None = None
) -> Iterator[Query | InputError]:
    """Reads images a little ahead, in threads.

    Args:
        images: images, as for `read_photo`.
        size: side in pixels of the images that the network sees.
        keep_photos: whether the decoded photographs are kept.
        answers: what is known of each image; None for nothing.

    Returns:
        An iterator of the Query of each image, in order; an InputError in place of one that cannot be read.
    """
    read = functools.partial(_read_query, size=size, keep_photo=keep_photos)
    ahead = 1 if keep_photos else 4  # a photograph may be large, what the network sees of it is small
    items = zip(itertools.count(1), images, itertools.repeat({}) if answers is None else answers, strict=False)
    return (query for _, query in in_threads(read, items, THREADS, ahead))


def _read_query(item, size, keep_photo) -> Query | InputError:
    """What is read of an item (number, image, answers), or why it cannot be."""
    number, image, answers = item
    try:
        photo = read_photo(image, f'image {number}')
    except InputError as error:
        return error
    return Query(resize_image(photo, size), photo.shape[:2], photo if keep_photo else None, answers)


def segment_queries(
    queries: Iterable[Query | InputError],
    encode: Callable[[Iterable[np.ndarray]], Iterator[np.ndarray]],
    compare: Compare,
    *,
    batch: int,
    on_error: OnError,
) -> Iterator[Result]:
    """Segments images as soon as there are enough for a step of the encoder.

    Args:
        queries: the images, or why they cannot be read.
        encode: from [S, S, 3] uint8 images to their features [h, w, C].
        compare: makes the Segmentation of an image.
        batch: number of images in a step.
        on_error: what happens to an InputError: 'raise', or 'yield' it in the place of the image.

    Yields:
        (Segmentation, photograph or None) or (InputError, None), in order.

    Raises:
        InputError: an image cannot be read.
    """
    waiting, images = [], 0
    for query in queries:
        if isinstance(query, InputError) and on_error == 'raise':
            raise query
        waiting.append(query)
        images += isinstance(query, Query)
        if images == batch:
            yield from _segment(waiting, encode, compare)
            waiting, images = [], 0
    yield from _segment(waiting, encode, compare)


def _segment(queries, encode, compare):
    features = encode(query.pixels for query in queries if isinstance(query, Query))
    for query in queries:
        if isinstance(query, InputError):
            yield query, None
        else:
            yield compare(next(features), query.pixels, query.shape, query.answers), query.photo
