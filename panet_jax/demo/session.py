"""What one visitor of the demonstration page has shown and found, apart from the page."""

import dataclasses
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from panet_jax.disk.read_ahead import in_threads
from panet_jax.errors import InputError
from panet_jax.images.decode import open_image
from panet_jax.images.overlays import annotated, heat_map
from panet_jax.images.resize import resize_image
from panet_jax.segmenter.outputs import output_stems, write_prediction
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.references import Box, Marks, Points, Scribble, read_marks, read_photo
from panet_jax.segmenter.segmentation import Segmentation
from panet_jax.segmenter.segmenter import THREADS, Segmenter

HEAT_SIDE = 1000  # pixels of the longer side of a heat map
LARGEST = 1200  # pixels of the longer side of an image that is drawn on; the network sees fewer
MOST_PIXELS = 64_000_000  # of an image; cameras have up to 50 million, and a small file can hold any number
MOST_IMAGES = 100  # references, and images to search, of one visitor
# How sure it is that a class is there, by the largest `absent` of each; see docs/limits.md.
LIKELY, UNSURE = 0.45, 0.55


class Shown(NamedTuple):
    """A reference as the visitor gave it.

    Attributes:
        name: name of the class.
        photo: [S, S, 3] uint8, as the network sees it.
        shape: (H, W) of the photograph.
        marks: the annotation at the size of the network.
        kind: how the annotation is drawn, as `annotated` takes it.
    """

    name: str
    photo: np.ndarray
    shape: tuple[int, int]
    marks: Marks
    kind: str


class Found(NamedTuple):
    """What was found in one image.

    Attributes:
        path: of the image.
        stem: what its files are called.
        whole: a Segmentation with all classes.
        segmentation: the same without the classes that were switched off in this image.
        labels, overlay: paths of the label PNG and of the overlay.
    """

    path: Path
    stem: str
    whole: Segmentation
    segmentation: Segmentation
    labels: Path
    overlay: Path


class Session:
    """References and results of one visitor, who shares the network with all others.

    Args:
        segmenter: the Segmenter whose network is shared; its own references stay as they are.
        home: folder in which the session makes one of its own.

    Attributes:
        references: list of Shown.
        queries: paths of the images to search; whoever changes them calls `segment`.
        found: list of Found, what `segment` made of them.
        off: {path: set of the names of classes that are switched off in this image}.
        chosen: number of the one whose legend and heat map are shown.
        heat_of: class that it is of, or None.
        folder: of the results.
    """

    def __init__(self, segmenter, home):
        self._segmenter = Segmenter(segmenter.network, dtype=segmenter.dtype, batch=segmenter.batch)
        self._added = self._segmenter.references  # without what is tried out
        self.folder = Path(tempfile.mkdtemp(dir=home))
        self.references, self.queries, self.found = [], [], []
        self.off, self.chosen, self.heat_of = {}, 0, None

    @property
    def classes(self):
        """Names of the classes shown so far, and of the one that is tried out."""
        return self._segmenter.classes

    def try_out(self, reference):
        """Has a drawing count before it is added, until the next one is tried out, or anything is added or removed.

        Args:
            reference: (name, photo, annotation) as for `add`, or None, which ends it.

        Returns:
            Whether anything has changed.
        """
        before = self._segmenter.references
        self._segmenter.references = self._with(*reference) if reference else self._added
        return self._segmenter.references is not before

    def add(self, name, photo, annotation):
        """Takes one more reference; one that is wrong changes nothing.

        Args:
            name: of the class.
            photo: [H, W, 3] uint8.
            annotation: as for `read_marks`.
        """
        if not name.strip():
            raise InputError('Say what it is, such as cat, before you add it.')
        if len(self.references) >= MOST_IMAGES:
            raise InputError(f'There are {MOST_IMAGES} references, and the page takes no more; remove one of them.')
        name, where = name.strip(), f'the annotation of {name.strip()!r}'
        shape, size = photo.shape[:2], self._segmenter.size
        marks = read_marks(annotation, shape, size, where)
        self._keep(self._with(name, photo, annotation))
        kind = 'box' if isinstance(annotation, Box) else 'dense'
        kind = 'scribble' if isinstance(annotation, Scribble | Points) else kind
        self.references = [*self.references, Shown(name, resize_image(photo, size), shape, marks, kind)]

    def remove(self, number):
        """Forgets reference `number`, counted from 0."""
        self._keep(self._added.without(number))
        self.references = self.references[:number] + self.references[number + 1 :]

    def remove_all(self):
        """Forgets all references."""
        self._keep(ReferenceSet())
        self.references = []

    def thumbnails(self):
        """(picture [H, W, 3] uint8, name of the class) of each reference, marks in the class's colour."""
        return [(self._thumbnail(each), each.name) for each in self.references]

    def segment(self):
        """Segments the queries with the references there are, in place of what was found before.

        Returns:
            A sentence for each image that could not be read.
        """
        self.clear()
        queries, complaints = self._allowed()
        found, results = [], self._segmenter.stream_photos(queries, on_error='yield')
        for path, stem, (result, photo) in zip(queries, output_stems(queries), results, strict=True):
            if not self.folder.exists():  # the page ends, and what is written now would stay
                return complaints
            if isinstance(result, InputError):
                complaints.append(_told(result, path))
            else:
                found.append(self._write(path, stem, result, photo))
        self.found = found
        return complaints

    def check(self):
        """Reads the queries without searching them.

        Returns:
            A sentence for each image that could not be read.
        """
        queries, complaints = self._allowed()
        read = in_threads(_read_error, queries, THREADS)
        return complaints + [_told(error, path) for path, error in read if error]

    def switch(self, number, name, on):
        """Switches a class on or off in one of the images found; it stays so when they are searched anew.

        Args:
            number: of the image in `found`.
            name: of the class.
            on: whether it is to be there.
        """
        found = self.found[number]
        names = self.off.setdefault(found.path, set())
        (names.discard if on else names.add)(name)
        self.found[number] = self._write(found.path, found.stem, found.whole, read_photo(found.path, found.path.name))

    def clear(self):
        """Forgets what was found."""
        self.found = []
        for path in self.folder.iterdir():
            path.unlink()

    def close(self):
        """Removes the session's files."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _allowed(self):
        """The queries that are neither too many nor too large, and a sentence on the others."""
        queries, complaints = self.queries[:MOST_IMAGES], []
        if left := len(self.queries) - len(queries):
            complaints.append(f'The page searches {MOST_IMAGES} images at once; the last {left} are left out.')
        large = [path for path in queries if has_too_many_pixels(path)]
        return [path for path in queries if path not in large], complaints + [_too_large(path) for path in large]

    def _write(self, path, stem, whole, photo):
        """Writes what was found in an image, without what is switched off there; a Found."""
        off = self.off.get(path, set()).intersection(whole.classes)
        shown = whole.without(off)
        entry = write_prediction(shown, photo, self.folder, stem, legend=False)
        return Found(path, stem, whole, shown, self.folder / entry['labels'], self.folder / f'{stem}-overlay.jpg')

    def _thumbnail(self, shown):
        way = 1 + self.classes.index(shown.name)
        background = shown.marks.background & shown.marks.drawn
        drawn = annotated(shown.photo, shown.marks.foreground, background, way, shown.kind)
        return np.asarray(Image.fromarray(drawn).resize(_fitting(shown.shape, len(drawn))))

    def _with(self, name, photo, annotation):
        """The references that were added, and one more."""
        return self._segmenter.extended(self._added, {name: [(photo, annotation)]})

    def _keep(self, references):
        """Has these references count, and nothing that is tried out."""
        self._segmenter.references = self._added = references


def class_heat_map(found, name):
    """How probable a class is in each pixel, as a picture of at most HEAT_SIDE pixels a side.

    Args:
        found: a Found.
        name: of the class.

    Returns:
        [h, w, 3] uint8, from dark (0) to bright (1).
    """
    columns, rows = _fitting(found.segmentation.shape, HEAT_SIDE)
    small = dataclasses.replace(found.segmentation, shape=(rows, columns))
    photo = Image.fromarray(read_photo(found.path, found.path.name)).resize((columns, rows))
    elsewhere = 1 - small.probabilities[1 + small.classes.index(name)]
    return heat_map(np.asarray(photo), elsewhere[..., None])


def read_mask(path):
    """The Pillow image of a mask that was uploaded, shrunk as its photograph was; an error calls it by its name alone."""
    if has_too_many_pixels(path):
        raise InputError(_too_large(Path(path)))
    whole = open_image(Path(path).read_bytes(), Path(path).name)
    small = whole.resize(_fitting(whole.size[::-1], LARGEST), Image.Resampling.NEAREST)
    small.format = whole.format  # by which a JPEG, which is no mask, is told
    return small


def presence(absent):
    """How likely a class is in an image, in a word, by its `absent` in [0, 1]: a ranking, no probability."""
    return 'likely' if absent <= LIKELY else 'unsure' if absent <= UNSURE else 'unlikely'


def has_too_many_pixels(path):
    """Whether an image has more than MOST_PIXELS, by its header, before it is decoded."""
    try:
        with Image.open(path) as image:
            return image.width * image.height > MOST_PIXELS
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return True
    except Exception:  # whatever Pillow says of a torn file; who decodes it tells what is wrong
        return False


def shrunk(photo):
    """A photograph that one can draw on without waiting for each stroke to travel: [H, W, C] uint8 -> [h, w, C]."""
    return np.asarray(Image.fromarray(photo).resize(_fitting(photo.shape, LARGEST)))


def _fitting(shape, side):
    """(width, height) of an image [H, W, ...] made to fit a square, never larger than it is."""
    scale = min(1, side / max(shape[:2]))
    return max(1, round(shape[1] * scale)), max(1, round(shape[0] * scale))


def _too_large(path):
    return f'{path.name} has more than {MOST_PIXELS // 10**6} million pixels; make it smaller.'


def _read_error(path):
    """The InputError of an image that cannot be read, or None."""
    try:
        read_photo(path, path.name)
    except InputError as error:
        return error
    return None


def _told(error, path):
    """An error about an image, without the server's folders."""
    return str(error).replace(str(path), path.name)
