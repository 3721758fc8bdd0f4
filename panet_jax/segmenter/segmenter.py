"""The Segmenter: classes are shown to it on a few annotated photographs, and it finds them in others."""

import copy
import dataclasses
import numbers
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from panet_jax.errors import InputError
from panet_jax.images.resize import resize_mask
from panet_jax.method.adapt import HEADS
from panet_jax.method.answers import FOLDER_ABOVE
from panet_jax.method.encoder import COMPUTATIONS, Params
from panet_jax.networks.choose import load_network
from panet_jax.networks.debias import debiased
from panet_jax.networks.network import Network
from panet_jax.segmenter.comparison import Comparison
from panet_jax.segmenter.encoding import ImageEncoder
from panet_jax.segmenter.folder_references import folder_references
from panet_jax.segmenter.new_references import Pairs, extended, extended_by_negative
from panet_jax.segmenter.presence import check_evidence, is_segmented_with, presence_in_folder, taken_classes
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.references import Annotation, Photo, read_photo
from panet_jax.segmenter.saved import OPTIONS, Settings, read_file, write_file
from panet_jax.segmenter.segmentation import Segmentation
from panet_jax.segmenter.stream import Answers, OnError, check_answers, check_folder, read_queries, segment_queries


class Segmenter:
    """Finds classes in images that it was shown on other images.

    It holds a network and a `ReferenceSet`, a value that never changes: `fit` and `add` put another one in its place.
    The set keeps the features of each reference's image, 5.5 MiB for VGG-16 and 417 pixels; a segmenter that was saved
    and loaded does without them, and decides as the one that was saved. After `add` it decides nothing more, since
    that takes the features of all references.

    Args:
        weights: 'imagenet'; the name of an encoder, for its published weights; the workdir of a training, whose newest
            network is taken; a folder that `panet-jax export` wrote, or 'hf://USER/NAME' for one on the Hugging Face
            hub; a file of weights, as for `load_network`; the parameters of a VGG-16; or a Network.
        size: side in pixels to which images are squashed for the network, from 8. By default the size that the
            workdir's network was trained with, otherwise the encoder's own, 417 for VGG-16.
        dtype: how the encoder computes: 'float32', 'tf32' or 'bfloat16', as in `encode`.
        batch: number of images in a step of the encoder, from 1. The last few images of a list go one by one.
        head: 'adapted', whose prototypes are adapted to each image, which makes better masks; or 'panet', the paper's.
        understand: whether points and boxes become the region that they stand for, as `understood` returns it, before
            they become a prototype. Otherwise the pixels that they cover are taken as they are.
        edges: whether masks follow the edges of the image, which makes better masks; if not, they end where the grid of the
            features does, as in the paper.
        debias: share of the positional directions to remove from a vision transformer's features, in [0, 0.9], as for
            `debiased`.

    Attributes:
        network: the Network.
        dtype: how the encoder computes.
        batch: number of images in a step of the encoder.
        head: the head, 'adapted' or 'panet'.
        understand: whether points and boxes become regions.
        edges: whether masks follow edges.
        references: the ReferenceSet; another one may be assigned.

    Raises:
        InputError: an argument is wrong, or there are no such weights.
    """

    def __init__(
        self,
        weights: str | Path | Params | Network = 'imagenet',
        size: int | None = None,
        dtype: str = 'float32',
        batch: int = 4,
        *,
        head: str = 'adapted',
        understand: bool = True,
        edges: bool = True,
        debias: float = 0.0,
    ):
        _check_whole('batch', batch, 1)
        if size is not None:
            _check_whole('size', size, 8)
        if dtype not in COMPUTATIONS:
            raise InputError(f'dtype must be {", ".join(COMPUTATIONS)}, got {dtype!r}.')
        if head not in HEADS:
            raise InputError(f'head must be {" or ".join(HEADS)}, got {head!r}.')
        self.network = load_network(weights, size=size)
        self.network.encoder.check_size(self.size, self.size)
        self.network = debiased(self.network, debias)
        self.dtype, self.batch, self.head = dtype, int(batch), head
        self.understand, self.edges = bool(understand), bool(edges)
        self.references = ReferenceSet()
        self._encoder = ImageEncoder(self.network, dtype=dtype, batch=self.batch)

    @property
    def weights(self) -> str | None:
        """What loads the network again: 'imagenet', an encoder's name or a path; None if the parameters came from no file."""
        return self.network.origin

    @property
    def size(self) -> int:
        """Side in pixels of the images that the network sees."""
        return self.network.size

    @property
    def debias(self) -> float:
        """Share of the positional directions that the features lack, as for `debiased`."""
        return self.network.debias

    @property
    def settings(self) -> Settings:
        """All that results depend on besides the references."""
        return {
            **{name: getattr(self, name) for name in OPTIONS},
            'encoder': self.network.encoder.name,
            'weights': self.weights,
            'network': self.network.hash,
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes in the order in which they came; label n is classes[n - 1]."""
        return self.references.classes

    def __repr__(self) -> str:
        counts = [f'{name}: {len(self.references.of_class(name))} reference(s)' for name in self.classes]
        network = f'{self.weights or "given parameters"}, {self.size} x {self.size}'
        return f'Segmenter({network}, {", ".join(counts) or "no references"})'

    def without_references(self) -> 'Segmenter':
        """Copies the Segmenter without its references.

        Returns:
            Another Segmenter with the same network and settings.
        """
        other = copy.copy(self)
        other._encoder = copy.copy(self._encoder)  # with an image of its own that was encoded last
        other.references = ReferenceSet()
        return other

    def fit(self, references: Pairs) -> Self:
        """Takes these references in place of all earlier ones and of all negatives. If one is wrong, nothing changes.

        Args:
            references: {class: [(image, annotation), ...]}. An image is a path, a Pillow image or an array, as for
                `read_photo`; an annotation is a mask, a Box, Points or a Scribble, as for `read_marks`. One image may
                come several times, for one class or for several.

        Returns:
            The Segmenter itself.

        Raises:
            InputError: an image or an annotation is wrong, there are more than 254 classes, or no image shows
                background.
        """
        if not isinstance(references, dict) or not references:
            raise InputError(f"fit wants {{'cat': [(image, mask), ...], ...}}, got {str(references)[:60]!r}.")
        reference_set = self.extended(ReferenceSet(), references)
        reference_set.check_background()
        self.references = reference_set
        return self

    def fit_folder(self, folder: str | Path) -> Self:
        """Takes the annotated photographs of a folder in place of all earlier references.

        Args:
            folder: images/ with masks/, or a folder of COCO, YOLO, VOC, CVAT, Label Studio or labelme; docs/own-data.md
                describes them.

        Returns:
            The Segmenter itself.

        Raises:
            InputError: the folder cannot be read, or nothing is annotated in it. Nothing has changed.
        """
        return self.fit(folder_references(folder))

    def add(self, name: str, image: Photo, annotation: Annotation) -> Self:
        """Takes one more reference. Only its image is encoded, and not even that if another reference is of it.

        A further annotation of an image may make the image's background smaller.

        Args:
            name: name of a class, old or new.
            image: path, Pillow image or array, as for `read_photo`.
            annotation: mask, Box, Points or Scribble, as for `read_marks`.

        Returns:
            The Segmenter itself.

        Raises:
            InputError: the image or the annotation is wrong, or there are more than 254 classes. Nothing has changed.
        """
        self.references = self.extended(self.references, {name: [(image, annotation)]})
        return self

    def add_negative(self, image: Photo, annotation: Annotation | None = None) -> Self:
        """Takes an image that shows no class, though something in it may look like one: it becomes background.

        The best negatives are images in which something is found that is not there.

        Args:
            image: path, Pillow image or array, as for `read_photo`.
            annotation: what shows no class, where a part of the image may show one: mask, Box, Points or Scribble, as for
                `read_marks`; points and boxes become regions. None is the whole image, which is better if it is true.

        Returns:
            The Segmenter itself.

        Raises:
            InputError: the image or the annotation is wrong. Nothing has changed.
        """
        self.references = self.extended_by_negative(self.references, image, annotation)
        return self

    def extended(self, reference_set: ReferenceSet, references: Pairs) -> ReferenceSet:
        """A set of references with further ones. The Segmenter's own set stays as it is.

        Args:
            reference_set: set to start from, made with the same network.
            references: {class: [(image, annotation), ...]}, as for `fit`.

        Returns:
            The larger set. The Segmenter uses it once it is assigned to `references`.

        Raises:
            InputError: an image or an annotation is wrong, or there are more than 254 classes.
        """
        return extended(reference_set, references, **self._extending)

    def extended_by_negative(
        self, reference_set: ReferenceSet, image: Photo, annotation: Annotation | None = None
    ) -> ReferenceSet:
        """A set of references with one more negative. The Segmenter's own set stays as it is.

        Args:
            reference_set: set to start from, made with the same network.
            image: path, Pillow image or array, as for `read_photo`.
            annotation: as for `add_negative`.

        Returns:
            The larger set, with more background.

        Raises:
            InputError: the image or the annotation is wrong.
        """
        return extended_by_negative(reference_set, image, annotation, **self._extending)

    def understood(self, image: Photo, annotation: Annotation) -> np.ndarray:
        """The region of an image that an annotation stands for, as `fit` and `add` take it.

        Look at it, and correct it with a further point on the class or on the background. Images of the references and
        the image that was encoded last are not encoded again.

        Args:
            image: path, Pillow image or array, as for `read_photo`.
            annotation: mask, Box, Points or Scribble, as for `read_marks`.

        Returns:
            [H, W] bool, at the size of the image. Masks and scribbles stay as they are.

        Raises:
            InputError: the image or the annotation is wrong.
        """
        photo = read_photo(image, 'the image')
        name = self.classes[0] if self.classes else 'class'
        reference_set = self.extended(self.references, {name: [(photo, annotation)]})
        return resize_mask(reference_set.references[-1].marks.foreground, photo.shape[:2])

    def predict(
        self,
        images: Photo | Sequence[Photo],
        *,
        present_above: float | None = None,
        answers: Answers | Sequence[Answers] | None = None,
    ) -> Segmentation | list[Segmentation]:
        """Segments images.

        Args:
            images: one image, as for `read_photo`, or a list of images of any sizes.
            present_above: threshold in [0, 1], such as 0.1. A class is left out of an image if the probability that the
                image shows it is below the threshold: 0 leaves none out, but has `presence` computed. None takes every
                class to be in every image.
            answers: {class: whether the image shows it}, such as {'cat': True}, where that is known; of a list of images a
                list of them. An answer overrides the threshold.

        Returns:
            A Segmentation, or a list of them.

        Raises:
            InputError: there are no references, or they show no background, or an image cannot be read, or an answer is
                wrong, or the references cannot decide, as `check_evidence` has it.
        """
        if isinstance(images, list | tuple):
            return list(self.stream(images, present_above=present_above, answers=answers))
        return next(self.stream([images], present_above=present_above, answers=None if answers is None else [answers]))

    def predict_folder(
        self,
        images: Sequence[Photo],
        *,
        present_above: float = FOLDER_ABOVE,
        answers: Sequence[Answers] | None = None,
    ) -> list[Segmentation]:
        """Segments images most of which do not show a class. It is left out of those that probably do not.

        What decides is what is found of the class, and how much an image looks like those of its references, compared with
        the other images. Give ten images or more.

        Args:
            images: images, as for `read_photo`.
            present_above: threshold in [0, 1]. A class is left out of an image if the probability that the image shows
                it is below the threshold.
            answers: what is known of each image, as for `predict`; other images learn from it.

        Returns:
            A Segmentation of each image; its `presence` has the probabilities.

        Raises:
            InputError: there are no references, or they show no background, or an image cannot be read, or an answer is
                wrong, or the images are no list, or the references cannot decide, as `check_evidence` has it.
        """
        check_folder(images, present_above)
        check_evidence(self.references, 'call predict')
        answers = [{}] * len(images) if answers is None else answers
        results = self.predict(images, present_above=present_above, answers=answers)
        presence = presence_in_folder(results, self.references, answers)
        taken = [taken_classes(one, own, present_above) for one, own in zip(presence, answers, strict=True)]
        changed = [
            place for place, result in enumerate(results) if not is_segmented_with(result.expected_iou, taken[place])
        ]
        again = self.predict([images[place] for place in changed], answers=[taken[place] for place in changed])
        final = dict(enumerate(results)) | dict(zip(changed, again, strict=True))
        return [
            dataclasses.replace(final[place], presence=one, descriptor=result.descriptor)
            for place, (result, one) in enumerate(zip(results, presence, strict=True))
        ]

    def stream(
        self,
        images: Iterable[Photo],
        *,
        on_error: OnError = 'raise',
        present_above: float | None = None,
        answers: Sequence[Answers] | None = None,
    ) -> Iterator[Segmentation | InputError]:
        """Segments any number of images, one batch after the other. Images are read a little ahead, in threads.

        Args:
            images: images, as for `read_photo`.
            on_error: what happens to an image that cannot be read: 'raise', or 'yield' the InputError in its place.
            present_above: threshold as for `predict`.
            answers: what is known of each image, as for `predict`; the images are then listed before the first is read.

        Returns:
            An iterator of Segmentations, in the order of the images.

        Raises:
            InputError: there are no references, or they show no background, or an image cannot be read, or an answer is wrong.
        """
        results = self._results(images, on_error, present_above, answers, keep_photos=False)
        return (segmentation for segmentation, _ in results)

    def stream_photos(
        self,
        images: Iterable[Photo],
        *,
        on_error: OnError = 'raise',
        present_above: float | None = None,
        answers: Sequence[Answers] | None = None,
    ) -> Iterator[tuple[Segmentation, np.ndarray] | tuple[InputError, None]]:
        """Segments images as `stream` does, and gives the decoded photographs too, for whoever draws on them.

        At most 2 + batch + THREADS photographs are in memory at a time, however many there are.

        Args:
            images: images, as for `read_photo`.
            on_error: what happens to an image that cannot be read: 'raise', or 'yield' the InputError in its place.
            present_above: threshold as for `predict`.
            answers: what is known of each image, as for `predict`; the images are then listed before the first is read.

        Returns:
            An iterator of pairs, in the order of the images: a Segmentation and its photograph, [H, W, 3] uint8 and
            upright; or an InputError and None.

        Raises:
            InputError: there are no references, or they show no background, or an image cannot be read, or an answer is wrong.
        """
        return self._results(images, on_error, present_above, answers, keep_photos=True)

    def save(self, path: str | Path) -> None:
        """Writes the references, and which weights they belong to. The file appears whole or not at all.

        For each reference it keeps the marks and the pooled features, about 50 KB for 417 pixels. What a decision takes adds
        up to 24 N C bytes for each image, with N classes and C channels: 25 KB with 2 classes and VGG-16, 1 MB with 80. A
        loaded segmenter to which references were added is saved without it. Photographs and grids of features are left
        out. What a decision takes is computed here, if no decision came before: on two cores 0.1 s for an image of VGG-16.

        Args:
            path: file to write, NAME.safetensors.

        Raises:
            InputError: there are no references, or no file can be written there.
        """
        if not self.classes:
            raise InputError('the segmenter has no references to save; call fit or add first.')
        write_file(path, self.settings, self.references)

    @classmethod
    def load(
        cls, path: str | Path, weights: str | Path | Params | Network | None = None, batch: int = 4
    ) -> 'Segmenter':
        """Loads a Segmenter that was saved.

        Args:
            path: file that `save` wrote, or an .npz file of an earlier version.
            weights: weights as for `Segmenter`, if they have moved since the file was saved.
            batch: number of images in a step of the encoder.

        Returns:
            The Segmenter with its references.

        Raises:
            InputError: the file cannot be read, or its weights are missing or others.
        """
        settings, reference_set = read_file(path)
        weights = settings['weights'] if weights is None else weights
        if weights is None:
            raise InputError(
                f'{path} was saved with parameters that came from no file; give them as {{segmenter.weights=}}.'
            )
        try:
            segmenter = cls(weights, batch=batch, **{name: settings[name] for name in OPTIONS})
        except InputError as error:
            raise InputError(
                f'the weights of {path} cannot be loaded ({str(error).rstrip(".")}); name them as {{segmenter.weights=}}.'
            ) from error
        network = segmenter.network
        if network.hash != settings['network'] or network.channels != reference_set.channels:
            raise InputError(
                f'{path} was made with other weights than {segmenter.weights or "those given"}: the hash of these is '
                f'{network.hash}, wanted {settings["network"]}; name the right ones as {{segmenter.weights=}}, or fit again.'
            )
        segmenter.references = reference_set
        return segmenter

    @property
    def _extending(self):
        """What a set of references is extended with."""
        return {'size': self.size, 'features_of': self._encoder.features_of, 'understand': self.understand}

    def _results(self, images, on_error, present_above, answers, keep_photos):
        """An iterator of (Segmentation, photograph or None) or (InputError, None). Checks before it iterates."""
        if on_error not in ('raise', 'yield'):
            raise InputError(f"on_error must be 'raise' or 'yield', got {on_error!r}.")
        compare = Comparison(self.references, self.head, present_above, edges=self.edges)
        if answers is not None:
            images = list(images)
            check_answers(answers, len(images), self.classes)
        queries = read_queries(images, self.size, keep_photos=keep_photos, answers=answers)
        return segment_queries(queries, self._encoder.encode, compare, batch=self.batch, on_error=on_error)


def _check_whole(name, value, least):
    if not isinstance(value, numbers.Integral) or value < least:
        raise InputError(f'{name} must be a whole number from {least}, got {value!r}.')
