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
from panet_jax.method.prototypes import cosine_logits
from panet_jax.networks.choose import load_network
from panet_jax.segmenter.reference_set import Annotation, ReferenceSet
from panet_jax.segmenter.references import read_marks, read_photo
from panet_jax.segmenter.saved import read_file, write_file
from panet_jax.segmenter.segmentation import Segmentation, absence

THREADS = min(8, os.cpu_count() or 1)  # that read images


class _Query(NamedTuple):
    """An image to segment: as the network sees it, [S, S, 3] uint8; its own (H, W); and itself, where it is kept."""

    pixels: np.ndarray
    shape: tuple[int, int]
    photo: np.ndarray | None


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
        self.references = ReferenceSet()

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
        return self.references.classes

    def __repr__(self):
        counts = [f'{name}: {len(self.references.of_class(name))} reference(s)' for name in self.classes]
        network = f'{self.weights or "given parameters"}, {self.size} x {self.size}'
        return f'Segmenter({network}, {", ".join(counts) or "no references"})'

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
        fitted = self.learn(ReferenceSet(), references)
        fitted.check_background()
        self.references = fitted
        return self

    def add(self, name, image, annotation):
        """Takes one more reference of a class, old or new; of the others none is computed again.

        Unless it is of an image that is there already, whose background it may make smaller.

        Returns:
            The Segmenter itself.
        """
        self.references = self.learn(self.references, {name: [(image, annotation)]})
        return self

    def learn(self, references, pairs):
        """A set of references with further ones, for whoever keeps several; the Segmenter's own stay as they are.

        Only images whose features the set lacks are encoded.

        Args:
            references: the ReferenceSet to start from.
            pairs: {class: [(image, annotation), ...]}, as for `fit`.

        Returns:
            The larger ReferenceSet; assigned to `segmenter.references`, it is what the Segmenter finds.

        Raises:
            InputError: an image or an annotation is wrong, or there are too many classes.
        """
        shown = [self._read(*reference) for reference in list(_listed(pairs))]
        classes = {*references.classes, *(annotation.name for annotation, _ in shown)}
        if len(classes) >= IGNORE:
            raise InputError(
                f'a segmenter has at most {IGNORE - 1} classes, as a label is stored in one byte, got {len(classes)}.'
            )
        images = {
            annotation.image: pixels for annotation, pixels in shown if references.lacks_features(annotation.image)
        }
        features = dict(zip(images, map(np.asarray, self._encode(images.values())), strict=True))
        return references.with_annotations([annotation for annotation, _ in shown], features)

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
        return (segmentation for segmentation, _ in self._results(images, on_error, keep_photos=False))

    def stream_photos(self, images, *, on_error='raise'):
        """Segments as `stream` does, and gives each photograph too, so that nobody has to decode it again.

        At most 2 + batch + THREADS photographs are held at a time, however many there are.

        Args:
            images: an iterable of images, as for `read_photo`.
            on_error: of an image that cannot be read: 'raise', or 'yield' the InputError in its place.

        Returns:
            An iterator of pairs: a Segmentation and its photograph, [H, W, 3] uint8, upright; or an InputError and None.

        Raises:
            InputError: there are no references, or they show no background; or an image cannot be read.
        """
        return self._results(images, on_error, keep_photos=True)

    def save(self, path):
        """Writes the references, and which weights they belong to; the file appears whole or not at all.

        Of each reference it keeps the marks and the pooled features, about 50 KB for 417 pixels, and not the photograph.

        Args:
            path: file to write, NAME.safetensors.

        Raises:
            InputError: there are no references, or no file can be written there.
        """
        if not self.classes:
            raise InputError('the segmenter has no references to save; call fit or add first.')
        settings = {
            'size': self.size,
            'dtype': self.dtype,
            'encoder': self.network.encoder.name,
            'weights': self.weights,
            'network': self.network.hash,
        }
        write_file(path, settings, self.references)

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
        about, references = read_file(path)
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
        channels = {reference.foreground.sum.size for reference in references.references}
        if segmenter.network.hash != about['network'] or channels != {segmenter.network.channels}:
            raise InputError(
                f'{path} was made with other weights than {segmenter.weights or "those given"}: their hash is '
                f'{segmenter.network.hash}, wanted {about["network"]}; name the right ones as {{segmenter.weights=}}, or fit anew.'
            )
        segmenter.references = references
        return segmenter

    def _read(self, name, photo, annotation, where):
        """An Annotation, and its image as [size, size, 3] uint8."""
        if not isinstance(name, str) or not name.strip():
            raise InputError(f'the name of a class must be a text, got {name!r}.')
        whole = read_photo(photo, where)
        pixels = resize_image(whole, self.size)
        called = photo if isinstance(photo, str | Path) else where
        marks = read_marks(annotation, whole.shape[:2], self.size, f'the annotation of {called}')
        return Annotation(name, hashlib.sha256(pixels.tobytes()).hexdigest()[:16], marks), pixels

    def _encode(self, images):
        """Yields the features [h, w, C] of images [size, size, 3] uint8: whole batches, then one by one."""
        images = list(images)
        whole = len(images) // self.batch * self.batch
        steps = [images[first : first + self.batch] for first in range(0, whole, self.batch)]
        for step in steps + [[image] for image in images[whole:]]:
            yield from _features(self.network.params, np.stack(step), encoder=self.network.encoder, dtype=self.dtype)

    def _results(self, images, on_error, keep_photos):
        """Checks, and an iterator of (Segmentation, photograph or None) or (InputError, None)."""
        if on_error not in ('raise', 'yield'):
            raise InputError(f"on_error must be 'raise' or 'yield', got {on_error!r}.")
        read = functools.partial(self._query, keep_photo=keep_photos)
        ahead = 1 if keep_photos else 4  # photographs of many megapixels are large, what the network sees is small
        queries = in_threads(read, enumerate(images, 1), THREADS, ahead)
        segment = functools.partial(self._segment, prototypes=self.references.prototypes(), classes=self.classes)
        return self._in_batches(queries, segment, on_error)

    def _in_batches(self, queries, segment, on_error):
        """Yields the results of queries, which are segmented as soon as there are enough for a step of the encoder."""
        batch = []
        for _, query in queries:
            if isinstance(query, InputError) and on_error == 'raise':
                raise query
            batch.append(query)
            if sum(isinstance(query, _Query) for query in batch) == self.batch:
                yield from segment(batch)
                batch = []
        yield from segment(batch)

    def _query(self, numbered, keep_photo):
        """A _Query of (number, image), or the InputError that it cannot be read."""
        number, image = numbered
        try:
            photo = read_photo(image, f'image {number}')
        except InputError as error:
            return error
        return _Query(resize_image(photo, self.size), photo.shape[:2], photo if keep_photo else None)

    def _segment(self, batch, prototypes, classes):
        """Yields the results of a list of _Query and InputError."""
        features = self._encode(query.pixels for query in batch if isinstance(query, _Query))
        for query in batch:
            if isinstance(query, InputError):
                yield query, None
                continue
            logits, absent = map(np.asarray, _compare(next(features), prototypes))
            absent_of = dict(zip(classes, absent.tolist(), strict=True))
            yield Segmentation(logits, query.shape, classes, absent_of), query.photo


@functools.partial(jax.jit, static_argnames=('encoder', 'dtype'))
def _features(params, images, *, encoder, dtype):
    return encoder.encode(params, normalize(images), dtype=dtype)


@jax.jit
def _compare(features, prototypes):
    logits = cosine_logits(features, prototypes)
    return logits, absence(features, logits, prototypes)


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
