"""The Segmenter: classes are shown to it on a few annotated photographs, and it finds them in others."""

import functools
import hashlib
import numbers
import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.method.episode import IGNORE, normalize
from panet_jax.method.prototypes import Pooled, cosine_logits, pool
from panet_jax.networks.choose import load_network
from panet_jax.segmenter.references import Marks, read_marks, read_photo
from panet_jax.segmenter.saved import read_file, write_file
from panet_jax.segmenter.segmentation import Segmentation, absence

THREADS = min(8, os.cpu_count() or 1)  # that read images


class Reference(NamedTuple):
    """One annotation of one image, and what was computed from it.

    Attributes:
        name: of the class.
        image: a hash of the image, by which annotations of the same one are told.
        marks: Marks.
        foreground: Pooled under the marks' foreground, [C] and [] float32.
    """

    name: str
    image: str
    marks: Marks
    foreground: Pooled


class Segmenter:
    """Finds classes in images that it was shown on other images.

    Args:
        weights: 'imagenet'; the workdir of a training, of which it takes the network that training
            has come to; a file as for `load_encoder_params`; or the parameters.
        size: side in pixels to which images are squashed for the network. By default the one that the
            workdir's network was trained with, otherwise 417.
        dtype: of the encoder's computation: 'float32', 'tf32' or 'bfloat16', as in `encode`.
        batch: images an encoder step, where there are so many.
    """

    def __init__(self, weights='imagenet', size=None, dtype='float32', batch=4):
        given = {'batch': (batch, 1)} | ({} if size is None else {'size': (size, 8)})
        for name, (value, least) in given.items():
            if not isinstance(value, numbers.Integral) or value < least:
                raise InputError(f'{name} must be a whole number from {least}, got {value!r}.')
        if dtype not in COMPUTATIONS:
            raise InputError(f'dtype must be {", ".join(COMPUTATIONS)}, got {dtype!r}.')
        self.network = load_network(weights, size=size)
        self.dtype, self.batch = dtype, int(batch)
        self._references, self._backgrounds = [], {}

    @property
    def weights(self):
        """What loads the network again: 'imagenet' or a path; None for parameters that were given."""
        return self.network.origin

    @property
    def size(self):
        """Side in pixels of the images that the network sees."""
        return self.network.size

    @property
    def classes(self):
        """Names of the classes in the order in which they came; label value n is classes[n - 1]."""
        return tuple(dict.fromkeys(reference.name for reference in self._references))

    def __repr__(self):
        counts = {name: sum(each.name == name for each in self._references) for name in self.classes}
        shown = ', '.join(f'{name}: {count} reference(s)' for name, count in counts.items()) or 'no references'
        return f'Segmenter({self.weights or "given parameters"}, {self.size} x {self.size}, {shown})'

    def fit(self, references):
        """Takes these references in place of all that it had. One that is wrong changes nothing.

        Args:
            references: {class: [(image, annotation), ...]}; images as for `read_photo`, annotations as for
                `read_marks`. An image may be there several times, for one class or for several.

        Returns:
            The Segmenter itself.
        """
        if not isinstance(references, dict) or not references:
            raise InputError(f"fit wants {{'cat': [(image, mask), ...], ...}}, got {str(references)[:60]!r}.")
        learnt, backgrounds = self._learn([], {}, list(_listed(references)))
        _check_backgrounds(backgrounds)
        self._references, self._backgrounds = learnt, backgrounds
        return self

    def add(self, name, image, annotation):
        """Takes one more reference of a class, old or new; of the others none is computed again.

        Unless it is of an image that is there already, whose background it may make smaller.

        Returns:
            The Segmenter itself.
        """
        new = list(_listed({name: [(image, annotation)]}))
        self._references, self._backgrounds = self._learn(self._references, self._backgrounds, new)
        return self

    def predict(self, images):
        """Segments images.

        Args:
            images: one image, as for `read_photo`, or a list of them, of any sizes.

        Returns:
            A Segmentation, or a list of them.
        """
        if isinstance(images, list | tuple):
            return list(self.stream(images))
        return next(self.stream([images]))

    def stream(self, images, *, on_error='raise'):
        """Segments any number of images one batch after the other; reads them a little ahead, in threads.

        Args:
            images: an iterable of images, as for `read_photo`.
            on_error: of an image that cannot be read: 'raise', or 'yield' the InputError in its place.

        Returns:
            An iterator of Segmentations.
        """
        if on_error not in ('raise', 'yield'):
            raise InputError(f"on_error must be 'raise' or 'yield', got {on_error!r}.")
        return self._stream(images, self._prototypes(), self.classes, on_error)

    def save(self, path):
        """Writes the references' sums and marks, a few KB each, and which weights they belong to.

        Args:
            path: of the file, NAME.npz, which appears whole or not at all.
        """
        if not self._references:
            raise InputError('the segmenter has no references to save; call fit or add first.')
        about = {'size': self.size, 'dtype': self.dtype, 'weights': self.weights, 'network': self.network.hash}
        write_file(path, about, self._references, self._backgrounds)

    @classmethod
    def load(cls, path, weights=None, batch=4):
        """A Segmenter that was saved.

        Args:
            path: of the file.
            weights: as for `Segmenter`, if they have moved since the file was saved.
            batch: as for `Segmenter`.

        Raises:
            InputError: the file cannot be read, or its weights are missing or others.
        """
        about, references, backgrounds = read_file(path)
        taken = about['weights'] if weights is None else weights
        if taken is None:
            raise InputError(
                f'{path} was saved with parameters that came from no file; give them as {{segmenter.weights=}}.'
            )
        try:
            segmenter = cls(taken, about['size'], about['dtype'], batch)
        except InputError as error:
            raise InputError(
                f'the weights of {path} cannot be had ({str(error).rstrip(".")}); name them as {{segmenter.weights=}}.'
            ) from error
        channels = {each[3][0].size for each in references}
        if segmenter.network.hash != about['network'] or channels != {segmenter.network.channels}:
            raise InputError(
                f'{path} was made with other weights than {segmenter.weights or "those given"}: their hash is '
                f'{segmenter.network.hash}, wanted {about["network"]}; name the right ones as {{segmenter.weights=}}, or fit anew.'
            )
        segmenter._references = [
            Reference(name, image, Marks(*marks), _loaded(foreground)) for name, image, marks, foreground in references
        ]
        segmenter._backgrounds = {image: _loaded(background) for image, background in backgrounds.items()}
        return segmenter

    def _learn(self, references, backgrounds, new):
        """The old references and backgrounds with new ones; each image of the new ones is encoded once."""
        read = [self._read(*each) for each in new]
        names = {name for name, *_ in read} | {reference.name for reference in references}
        if len(names) >= IGNORE:
            raise InputError(
                f'a segmenter has at most {IGNORE - 1} classes, as a label is stored in one byte, got {len(names)}.'
            )
        images = {image: pixels for _, image, pixels, _ in read}
        marks = [(each.image, each.marks) for each in references] + [(image, marks) for _, image, _, marks in read]
        foregrounds, anew = {}, {}
        for image, features in zip(images, self._encode(images.values()), strict=True):
            anew[image] = _sum(features, background([some for of, some in marks if of == image]))
            mine = [number for number, (_, of, _, _) in enumerate(read) if of == image]
            foregrounds |= {number: _sum(features, read[number][3].foreground) for number in mine}
        learnt = [
            Reference(name, image, some, foregrounds[number]) for number, (name, image, _, some) in enumerate(read)
        ]
        return references + learnt, backgrounds | anew

    def _read(self, name, photo, annotation, where):
        """A reference's name, hash of the image, [size, size, 3] uint8 and Marks."""
        if not isinstance(name, str) or not name.strip():
            raise InputError(f'the name of a class must be a text, got {name!r}.')
        whole = read_photo(photo, where)
        pixels = resize_image(whole, self.size)
        called = photo if isinstance(photo, str | Path) else where
        marks = read_marks(annotation, whole.shape[:2], self.size, f'the annotation of {called}')
        return name, hashlib.sha256(pixels.tobytes()).hexdigest()[:16], pixels, marks

    def _prototypes(self):
        """[1 + N, C] float32, background first, as `class_prototypes` has them."""
        if not self._references:
            raise InputError('the segmenter has no references yet; call fit or add first.')
        _check_backgrounds(self._backgrounds)
        of_class = [[each.foreground for each in self._references if each.name == name] for name in self.classes]
        groups = [list(self._backgrounds.values()), *of_class]
        return np.stack([Pooled(*map(np.stack, zip(*group, strict=True))).prototype(-1) for group in groups])

    def _encode(self, images):
        """Yields the features [h, w, C] of images [size, size, 3] uint8: whole batches, then one by one."""
        images = list(images)
        whole = len(images) // self.batch * self.batch
        steps = [images[first : first + self.batch] for first in range(0, whole, self.batch)]
        for step in steps + [[image] for image in images[whole:]]:
            yield from _features(self.network.params, np.stack(step), encoder=self.network.encoder, dtype=self.dtype)

    def _stream(self, images, prototypes, classes, on_error):
        def read(item):
            number, image = item
            try:
                whole = read_photo(image, f'image {number}')
            except InputError as error:
                return error
            return resize_image(whole, self.size), whole.shape[:2]

        def segmented(waiting):
            features = self._encode(one[0] for one in waiting if not isinstance(one, InputError))
            for one in waiting:
                if isinstance(one, InputError):
                    yield one
                    continue
                logits, absent = map(np.asarray, _compare(next(features), prototypes))
                yield Segmentation(logits, one[1], classes, dict(zip(classes, absent.tolist(), strict=True)))

        waiting = []
        for _, one in in_threads(read, enumerate(images, 1), THREADS):
            if isinstance(one, InputError) and on_error == 'raise':
                raise one
            waiting.append(one)
            if sum(not isinstance(each, InputError) for each in waiting) == self.batch:
                yield from segmented(waiting)
                waiting = []
        yield from segmented(waiting)


def background(marks):
    """The background of one image from all its annotations: [S, S] bool.

    It is what they mark as background, taken together; where none does, what all of them leave. The
    foreground of any class is no background.

    Args:
        marks: list of Marks.
    """
    drawn = [each.background for each in marks if each.drawn]
    outside = np.any(drawn, 0) if drawn else np.all([each.background for each in marks], 0)
    return outside & ~np.any([each.foreground for each in marks], 0)


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype'))
def _features(params, images, *, encoder, dtype):
    return encoder.encode(params, normalize(images), dtype=dtype)


@jax.jit
def _compare(features, prototypes):
    logits = cosine_logits(features, prototypes)
    return logits, absence(features, logits, prototypes)


@jax.jit
def _pooled(features, mask):
    return pool(features, mask.astype(np.float32))


def _sum(features, mask):
    return Pooled(*map(np.asarray, _pooled(features, mask)))


def _check_backgrounds(backgrounds):
    """Refuses references that no background can be learnt from; a later one may show some."""
    if not any(each.count for each in backgrounds.values()):
        raise InputError('the references show no background at all; add one whose annotation leaves some of its image.')


def _loaded(pooled):
    """Pooled of a file's sum and count."""
    return Pooled(*(np.asarray(array, np.float32) for array in pooled))


def _listed(references):
    """Yields (class, image, annotation, what to call the image) of {class: [(image, annotation), ...]}."""
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
