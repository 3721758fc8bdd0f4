"""What one visitor of the demonstration page has shown and found, apart from the page."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from panet_jax.commands.demo_page.choices import NONE, Choices
from panet_jax.commands.demo_page.uploads import fitting, has_too_many_pixels, shrunk, too_large
from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.resize import resize_image
from panet_jax.method.answers import FOLDER_IMAGES
from panet_jax.segmenter.outputs import output_stems, write_prediction
from panet_jax.segmenter.reference_pictures import reference_picture
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.references import Annotation, Marks, read_marks, read_photo
from panet_jax.segmenter.segmentation import Segmentation
from panet_jax.segmenter.segmenter import Segmenter
from panet_jax.segmenter.stream import THREADS

MOST_IMAGES = 100  # references, and images to search, of one visitor


class ShownReference(NamedTuple):
    """A reference as the page shows it.

    Attributes:
        name: name of the class.
        photo: [S, S, 3] uint8, as the network sees it.
        shape: (H, W) of the photograph.
        marks: the annotation as it was drawn, at the size of the network.
        region: [S, S] bool, what was understood from it.
    """

    name: str
    photo: np.ndarray
    shape: tuple[int, int]
    marks: Marks
    region: np.ndarray


class ShownNegative(NamedTuple):
    """A picture without any of the classes, as the page shows it.

    Attributes:
        path: path of the image.
        photo: [S, S, 3] uint8, as the network sees it.
        shape: (H, W) of the photograph.
    """

    path: Path
    photo: np.ndarray
    shape: tuple[int, int]


class Result(NamedTuple):
    """What was found in one image.

    Attributes:
        path: path of the image.
        stem: name of its result files, without their endings.
        full: the segmentation with all classes.
        segmentation: the same without the classes that are switched off in this image.
        labels: path of the label map, a PNG.
        overlay: path of the overlay, a JPEG.
        names_off: names of the classes that are switched off in this image.
    """

    path: Path
    stem: str
    full: Segmentation
    segmentation: Segmentation
    labels: Path
    overlay: Path
    names_off: set[str]


class Session:
    """References and results of one visitor, who shares the network with all others.

    The features of its images take 5.5 MiB a reference for VGG-16 and 417 pixels; see `ReferenceSet`.

    Args:
        segmenter: the Segmenter whose network is shared; its own references stay as they are.
        home: folder in which the session makes its own folder.

    Attributes:
        references: list of ShownReference.
        negatives: list of ShownNegative.
        queries: paths of the images to search; whoever changes them calls `segment`.
        results: list of Result, what `segment` found.
        complaints: list of str, what `segment` returned.
        choices: which classes are in each image; of FOLDER_IMAGES or more it is decided.
        chosen: index of the result whose legend and heat map are shown.
        heat_class: name of the class of the heat map, or None.
        folder: folder of the result files.
    """

    def __init__(self, segmenter: Segmenter, home: Path):
        self._segmenter = segmenter.without_references()
        self._added = self._segmenter.references  # without the drawing that is tried out
        self.folder = Path(tempfile.mkdtemp(dir=home))
        self.references: list[ShownReference] = []
        self.negatives: list[ShownNegative] = []
        self.queries: list[Path] = []
        self.results: list[Result] = []
        self.complaints: list[str] = []
        self.choices = Choices()
        self.chosen, self.heat_class = 0, None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes of the references, and of the drawing that is tried out."""
        return self._segmenter.classes

    @property
    def encoder(self) -> str:
        """Name of the encoder."""
        return self._segmenter.network.encoder.name

    @property
    def reference_set(self) -> ReferenceSet:
        """The references that were added, with the features of their images."""
        return self._added

    def try_out(self, reference: tuple[str, np.ndarray, Annotation] | None) -> bool:
        """Uses a drawing as a reference before it is added, until another is tried out or a reference is added or removed.

        Args:
            reference: (name, photo, annotation) as for `add`; None to try out nothing.

        Returns:
            Whether anything has changed.

        Raises:
            InputError: the reference is wrong. Nothing has changed.
        """
        before = self._segmenter.references
        self._segmenter.references = self._with(*reference) if reference else self._added
        return self._segmenter.references is not before

    def add(self, name: str, photo: np.ndarray, annotation: Annotation) -> None:
        """Adds a reference.

        Args:
            name: name of the class.
            photo: [H, W, 3] uint8.
            annotation: annotation as for `read_marks`.

        Raises:
            InputError: there is no name, the annotation is wrong, or there are too many references. Nothing has changed.
        """
        name = name.strip()
        if not name:
            raise InputError('Say what it is, such as cat, before you add it.')
        self._check_free()
        reference_set, shown = self._shown(name, photo, annotation)
        self._keep(reference_set, [*self.references, shown], self.negatives)

    def preview(self, name: str, photo: np.ndarray, annotation: Annotation) -> np.ndarray:
        """What a drawing would be understood as, before it is added; nothing changes.

        Args:
            name: name of the class.
            photo: [H, W, 3] uint8.
            annotation: annotation as for `read_marks`.

        Returns:
            [h, w, 3] uint8, the photograph with the drawing and its region in the color of the class.

        Raises:
            InputError: the annotation is wrong.
        """
        reference_set, shown = self._shown(name, photo, annotation)
        return _reference_thumbnail(shown, 1 + reference_set.classes.index(name))

    def add_negative(self, index: int) -> None:
        """Takes an image that was searched as one without any class: all are switched off there, and it is background.

        Args:
            index: place of the image in `results`.

        Raises:
            InputError: it is one already, or a reference, or there are none or too many. Nothing has changed.
        """
        path, size = self.results[index].path, self._segmenter.size
        self._check_free()
        if not self._added.classes:
            raise InputError('Add what you drew as a reference first.')
        if path in self.choices.without:
            raise InputError(f'{path.name} is taken for a picture without these classes already.')
        photo = read_photo(path, path.name)
        pixels = [
            resize_image(image, size) for image in (photo, shrunk(photo))
        ]  # a reference was shrunk to be drawn on
        for reference in self.references:
            if any(np.array_equal(reference.photo, one) for one in pixels):
                raise InputError(f'{path.name} is a reference of {reference.name!r}; remove that first.')
        shown = ShownNegative(path, pixels[0], photo.shape[:2])
        reference_set = self._segmenter.extended_by_negative(self._added, photo)
        self._keep(reference_set, self.references, [*self.negatives, shown])

    @property
    def left_out(self) -> dict[str, int]:
        """{class: number of results that it was left out of, because they probably do not show it}."""
        names = [name for result in self.results for name in self.choices.left_out(result.path, result.full.classes)]
        return {name: names.count(name) for name in self.classes if name in names}

    def take_every_class(self, on: bool) -> None:
        """Takes every image to show every class, or not. What the visitor switched stays so.

        Args:
            on: whether every image shows every class.
        """
        self.choices.every_class = on
        self._write_changed()

    def remove(self, index: int) -> None:
        """Removes a reference or a negative.

        Args:
            index: its place in `thumbnails`.
        """
        count = len(self.references)
        if index < count:
            self._keep(self._added.without(index), _without(self.references, index), self.negatives)
        else:
            place = index - count
            self._keep(self._added.without_negative(place), self.references, _without(self.negatives, place))

    def remove_all(self) -> None:
        """Removes all references and negatives."""
        self._keep(ReferenceSet(), [], [])

    def thumbnails(self) -> list[tuple[np.ndarray, str]]:
        """(picture [H, W, 3] uint8, caption) of each reference, with marks and region in its class's color; then the negatives."""
        pictures = [
            _reference_thumbnail(reference, 1 + self.classes.index(reference.name)) for reference in self.references
        ]
        pictures += [_fitted(negative.photo, negative.shape) for negative in self.negatives]
        return list(zip(pictures, self.captions, strict=True))

    @property
    def captions(self) -> list[str]:
        """What `thumbnails` says of each picture."""
        return [reference.name for reference in self.references] + [NONE] * len(self.negatives)

    def segment(self) -> list[str]:
        """Segments the queries with the present references, and replaces the earlier results.

        Of FOLDER_IMAGES images or more, the classes that an image probably does not show are switched off there. What the
        visitor switched on or off stays so, and the other images learn from it.

        Returns:
            A sentence for each image that could not be read.

        Raises:
            InputError: there are no references, or they show no background.
        """
        self.clear()
        queries, self.complaints = self._allowed()
        results, segmentations = [], self._stream(queries)
        for path, stem, (segmentation, photo) in zip(queries, output_stems(queries), segmentations, strict=True):
            if not self.folder.exists():  # the page has ended, and a file that is written now would stay
                return self.complaints
            if isinstance(segmentation, InputError):
                self.complaints.append(_complaint(segmentation, path))
                continue
            if segmentation.presence is not None:
                self.choices.presence[path] = segmentation.presence
            results.append(self._write(path, stem, segmentation, photo))
        self.results = results
        if self.choices.can_decide:
            paths, found = [result.path for result in results], [result.full for result in results]
            self.choices.decide(paths, found, self._segmenter.references)
            self._write_changed()
        return self.complaints

    def check(self) -> list[str]:
        """Reads the queries without searching them.

        Returns:
            A sentence for each image that cannot be read.
        """
        queries, complaints = self._allowed()
        errors = in_threads(_read_error, queries, THREADS)
        return complaints + [_complaint(error, path) for path, error in errors if error]

    def switch(self, index: int, name: str, on: bool) -> None:
        """Switches a class on or off in one image. It stays so when the image is searched again.

        Args:
            index: place of the image in `results`.
            name: name of the class.
            on: whether the class is to be there.

        Raises:
            InputError: the image is a negative.
        """
        self.choices.switch(self.results[index].path, name, on)
        self._write_changed()

    def clear(self) -> None:
        """Removes the results and their files."""
        self.results, self.choices.presence = [], {}
        for path in self.folder.iterdir():
            path.unlink()

    def close(self) -> None:
        """Removes the session's files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _check_free(self):
        if len(self.references) + len(self.negatives) >= MOST_IMAGES:
            raise InputError(f'There are {MOST_IMAGES} references, and the page takes no more; remove one of them.')

    def _allowed(self) -> tuple[list[Path], list[str]]:
        """The queries that are neither too many nor too large, and a sentence on the others."""
        queries, complaints = self.queries[:MOST_IMAGES], []
        if surplus := len(self.queries) - len(queries):
            complaints.append(f'The page searches {MOST_IMAGES} images at once; the last {surplus} are left out.')
        refused = [path for path in queries if has_too_many_pixels(path)]
        return [path for path in queries if path not in refused], complaints + [too_large(path) for path in refused]

    def _stream(self, queries):
        """(Segmentation with all classes, photograph) of images; with `presence` if they are FOLDER_IMAGES or more."""
        references, options = self._segmenter.references, {}
        if len(queries) >= FOLDER_IMAGES and references.can_decide:
            options = {'present_above': 0}
        return self._segmenter.stream_photos(queries, on_error='yield', **options)

    def _write_changed(self):
        """Writes the results again whose switched-off classes have changed."""
        for index, (path, stem, full, *_, names_off) in enumerate(self.results):
            if not self.folder.exists():
                return
            if names_off != self.choices.names_off(path, full.classes):
                self.results[index] = self._write(path, stem, full, read_photo(path, path.name))

    def _write(self, path, stem, full, photo) -> Result:
        """Writes the segmentation of an image without the classes that are switched off there."""
        names = self.choices.names_off(path, full.classes)
        segmentation = full.without(names)
        entry = write_prediction(segmentation, photo, self.folder, stem, legend=False)
        labels, overlay = self.folder / entry['labels'], self.folder / f'{stem}-overlay.jpg'
        return Result(path, stem, full, segmentation, labels, overlay, names)

    def _shown(self, name, photo, annotation) -> tuple[ReferenceSet, ShownReference]:
        """The references that were added and one more, and that one as the page shows it."""
        shape, size = photo.shape[:2], self._segmenter.size
        marks = read_marks(annotation, shape, size, f'the annotation of {name!r}')
        reference_set = self._with(name, photo, annotation)
        region = reference_set.references[-1].marks.foreground
        return reference_set, ShownReference(name, resize_image(photo, size), shape, marks, region)

    def _with(self, name, photo, annotation):
        """The references that were added, and one more."""
        return self._segmenter.extended(self._added, {name: [(photo, annotation)]})

    def _keep(self, reference_set, references, negatives):
        """Uses these references, shown like this, without a drawing that is tried out."""
        self._segmenter.references = self._added = reference_set
        self.references, self.negatives = references, negatives
        self.choices.without = {negative.path for negative in negatives}


def _reference_thumbnail(reference: ShownReference, way: int) -> np.ndarray:
    return _fitted(reference_picture(reference.photo, reference.marks, reference.region, way), reference.shape)


def _fitted(picture, shape):
    """A square picture [S, S, 3] in the shape of its photograph, at most S pixels a side."""
    return np.asarray(Image.fromarray(picture).resize(fitting(shape, len(picture))))


def _without(items, index):
    return items[:index] + items[index + 1 :]


def _read_error(path):
    """The InputError of an image that cannot be read, or None."""
    try:
        read_photo(path, path.name)
    except InputError as error:
        return error
    return None


def _complaint(error, path):
    """The sentence of an error about an image, without the server's folders."""
    return str(error).replace(str(path), path.name)
