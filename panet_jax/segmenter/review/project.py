"""A folder of drafts and of what a person decided about each, all of it on disk after every step.

    FOLDER/predictions.json, NAME.png, NAME-overlay.jpg, objects/NAME.json    the drafts, as `panet-jax predict` writes them
    FOLDER/references.safetensors                                             the references that they were made with
    FOLDER/answers.json                                                       which classes a person said that images show
    FOLDER/photos/                                                            copies of photographs that were uploaded
    FOLDER/review/NAME/steps.json, N.png, thumbnail-N.jpg                     the steps of an image, and its label maps

Photographs of drafts that `panet-jax predict` made stay where they are; records name them relative to the folder.
"""

import dataclasses
import json
import os
import shutil
import threading
from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from panet_jax.disk.atomic import replacing
from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.export.records import read_entries
from panet_jax.images.decode import ENDINGS
from panet_jax.segmenter.kept_answers import AllAnswers, read_answers, write_answers
from panet_jax.segmenter.outputs import RESULTS, output_stems, read_earlier
from panet_jax.segmenter.review.label_files import read_classes, read_labels, write_labels
from panet_jax.segmenter.review.steps import Review, Step, least_iou

REVIEW, PHOTOS = 'review', 'photos'  # folders in that of the project
STEPS = 'steps.json'
OF_DECISION = ('answers', 'presence_after')  # what predictions.json says of an image, but not its record
LOCK = f'{REVIEW}/.lock'  # which a page holds while it is served


class ProjectImage(NamedTuple):
    """An image with its draft.

    Attributes:
        stem: name of its files.
        path: file of the photograph.
        root: folder of the photographs, to which file names in exports are relative.
        number: its number, of which its ids in exports are made.
        shape: (H, W) of the image, upright.
        entry: what predictions.json says of it, without its path.
        descriptor: C numbers that describe the whole image, from which answers are generalized; None if it has none.
    """

    stem: str
    path: Path
    root: Path
    number: int
    shape: tuple[int, int]
    entry: dict[str, Any]
    descriptor: array | None


class Project:
    """The images of a folder, and the review of each. Threads may use it together.

    Args:
        folder: the folder, as from `make_project`.

    Attributes:
        folder: the folder.
        results: content of predictions.json when it was read.
        classes: names of the classes; label n is classes[n - 1].
        images: {name: ProjectImage}, those that have a draft.
        reviews: {name: Review} of the images.
        holder: who works on it; the newest, if several opened it.

    Raises:
        InputError: a file in it is damaged.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.results = read_earlier(folder)
        self.holder: object = None
        self._lock = threading.RLock()
        self.images: dict[str, ProjectImage] = {}
        for entry in self.results['images']:
            self._add_image(Path(entry['labels']).stem)
        for path in self._own_photos():
            self._add_image(path.stem)
        self.reviews = {stem: self._read_review(stem) for stem in self.images}
        maps = (self.label_file(stem, n) for stem, review in self.reviews.items() for n in review.label_maps)
        names = [*self.results.get('classes', ()), *(name for path in maps for name in read_classes(path))]
        self.classes = tuple(dict.fromkeys(names))

    @property
    def waiting(self) -> list[Path]:
        """Photographs of the project's own that have no draft yet."""
        return [path for path in self._own_photos() if path.stem not in self.images]

    @property
    def references(self) -> list[tuple[str, int]]:
        """(name, number of the label map) of the images that are references, in the order in which they became so."""
        steps = [(stem, review.now.reference) for stem, review in self.reviews.items()]
        return sorted((item for item in steps if item[1] is not None), key=lambda item: item[1])

    def count(self, decision: str) -> int:
        """The number of images about which this was decided.

        Args:
            decision: one of DECISIONS.
        """
        return sum(review.now.decision == decision for review in self.reviews.values())

    def ordered(self, decision: str | None = None) -> list[str]:
        """Names of the images: those to do first, then by the least expected IoU; without one, last.

        Args:
            decision: only images about which this was decided; None is all.
        """
        reviews = self.reviews.items()
        stems = [stem for stem, review in reviews if decision in (None, review.now.decision)]
        doubts = {stem: least_iou(self.images[stem].entry) for stem in stems}
        return sorted(
            stems,
            key=lambda stem: (
                self.reviews[stem].now.decision != 'to do',
                2 if doubts[stem] is None else doubts[stem],  # an IoU is at most 1
                stem,
            ),
        )

    def labels(self, stem: str) -> np.ndarray:
        """The label map of an image: its own once it was accepted or corrected, its draft's until then.

        Args:
            stem: name of the image.

        Returns:
            [H, W] uint8.

        Raises:
            InputError: the file is missing or damaged.
        """
        number = self.reviews[stem].now.labels
        path = self.folder / f'{stem}.png' if number is None else self.label_file(stem, number)
        return read_labels(path, self.classes)

    def label_file(self, stem: str, number: int) -> Path:
        """The file of the label map of a step."""
        return self.folder / REVIEW / stem / f'{number}.png'

    def thumbnail_file(self, stem: str) -> Path:
        """The file of the thumbnail of an image as it is now; whoever shows it makes it if there is none."""
        number = self.reviews[stem].now.labels
        return self._thumbnail_file(stem, self.images[stem].entry.get('run', 'draft') if number is None else number)

    def accept(self, stem: str, labels: np.ndarray) -> None:
        """The labels of an image are right.

        Args:
            stem: name of the image.
            labels: [H, W] uint8, the labels that the person saw: the draft may have changed since.
        """
        self._step(stem, Review.accept, labels)

    def reject(self, stem: str) -> None:
        """Leaves an image out of exports.

        Args:
            stem: name of the image.
        """
        self._step(stem, Review.reject)

    def correct(self, stem: str, labels: np.ndarray) -> None:
        """Gives an image another label map.

        Args:
            stem: name of the image.
            labels: [H, W] uint8.
        """
        self._step(stem, Review.correct, labels)

    def use_as_reference(self, stem: str, labels: np.ndarray) -> None:
        """Accepts an image, and uses its labels as a reference; or no longer, if they are one.

        Args:
            stem: name of the image.
            labels: [H, W] uint8, the labels that the person saw.

        Raises:
            InputError: no class is in them.
        """
        if not labels.any():
            raise InputError('An image without any class cannot be a reference; draw one first, or accept it as it is.')
        self._step(stem, Review.use_as_reference, labels)

    def undo(self) -> str | None:
        """Takes the last step back, of whatever image.

        Returns:
            The name of that image; None if there is no step left.
        """
        with self._lock:
            changed = [stem for stem, review in self.reviews.items() if len(review.steps) > 1]
            if not changed:
                return None
            stem = max(changed, key=lambda stem: self.reviews[stem].now.number)
            self._keep(stem, self.reviews[stem].undo())
            return stem

    def add_photos(self, paths: Iterable[Path]) -> list[str]:
        """Copies photographs into the project; they wait for their drafts.

        Args:
            paths: files to copy.

        Returns:
            The name of each.

        Raises:
            InputError: they cannot be copied.
        """
        paths = list(paths)
        known = {path: path.stem for path in self._own_photos()} | {Path(stem): stem for stem in self.images}
        stems = output_stems(paths, {path.resolve(): stem for path, stem in known.items()})
        for path, stem in zip(paths, stems, strict=True):
            try:
                with replacing(self.folder / PHOTOS / f'{stem}{path.suffix.lower()}') as temporary:
                    shutil.copyfile(path, temporary)
            except OSError as error:
                raise InputError(f'{path.name} cannot be copied to {self.folder} ({error.strerror}).') from error
        return stems

    def answers(self) -> AllAnswers:
        """What is known of images from answers: of `panet-jax predict --review`, and of the first view.

        Returns:
            {name: {class: whether the image shows it}}.

        Raises:
            InputError: the file cannot be read, or names another class or image.
        """
        # Those of an earlier version have no record to draw from, and are no images here.
        listed = {Path(entry['labels']).stem for entry in self.results['images']}
        return read_answers(self.folder, self.classes, {*listed, *self.images, *(path.stem for path in self.waiting)})

    def keep_answers(self, answers: Mapping[str, Mapping[str, bool]]) -> None:
        """Keeps further answers; of an image and a class that were answered before, the new one counts.

        Args:
            answers: {name: {class: whether the image shows it}}.

        Raises:
            InputError: the earlier answers cannot be read.
        """
        with self._lock:
            kept = self.answers()
            write_answers(
                self.folder, kept | {stem: kept.get(stem, {}) | dict(own) for stem, own in answers.items() if own}
            )

    def add_draft(self, stem: str, write: Callable[[int], object]) -> bool:
        """Writes a draft, unless the image has labels of its own by now.

        Args:
            stem: name of the image.
            write: writes its files, given the image's number.

        Returns:
            Whether it was written.
        """
        with self._lock:
            known = self.images.get(stem)
            if known and self.reviews[stem].now.labels is not None:
                return False
            number = known.number if known else 1 + max((image.number for image in self.images.values()), default=0)
            write(number)
            self._add_image(stem)
            self.reviews.setdefault(stem, Review())
            return True

    def write_results(
        self,
        settings: dict[str, Any],
        run: dict[str, Any],
        decided: Mapping[str, Mapping[str, Any]],
        *,
        keep: bool,
    ) -> None:
        """Writes predictions.json, from the entries of all images.

        Args:
            settings: those of `outputs.SAME`.
            run: what it says of the run of the newest drafts.
            decided: {name: what it says of the decision for an image}.
            keep: whether it keeps what it said of the decision where `decided` says nothing.
        """
        with self._lock:
            kept = {
                Path(entry['labels']).stem: {name: entry[name] for name in OF_DECISION if name in entry}
                for entry in (self.results['images'] if keep else ())
            }
            images = [
                {'image': str(image.path), **image.entry, **kept.get(stem, {}), **decided.get(stem, {})}
                for stem, image in self.images.items()
            ]
            used = {entry.get('run') for entry in images}
            runs = [one for one in self.results.get('runs', []) if one['id'] in used - {run['id']}] + [run]
            names = tuple(dict.fromkeys((*settings['classes'], *self.classes)))
            self.results = {**settings, 'runs': runs, 'images': images, 'failed': self.results['failed']}
            self.classes = names
            write_json(self.folder / RESULTS, self.results)

    def _step(self, stem, change, labels=None):
        """Takes a step. Its label map is written first: a state never names one that is not there."""
        with self._lock:
            number = 1 + max(review.now.number for review in self.reviews.values())
            review = change(self.reviews[stem], number)
            if number in review.label_maps:
                self._thumbnail_file(stem, number).unlink(missing_ok=True)  # of a step that was taken back
                write_labels(self.label_file(stem, number), labels, self.classes)
            self._keep(stem, review)

    def _keep(self, stem, review):
        """Writes the steps of an image, and removes the label maps that none of them needs."""
        folder = self.folder / REVIEW / stem
        with replacing(folder / STEPS) as temporary:
            steps = [dataclasses.asdict(step) for step in review.steps]
            temporary.write_text(json.dumps({'steps': steps}), encoding='utf-8')
        unused = self.reviews[stem].label_maps - review.label_maps
        self.reviews[stem] = review
        for path in (self.label_file(stem, number) for number in unused):
            path.unlink(missing_ok=True)

    def _read_review(self, stem) -> Review:
        path = self.folder / REVIEW / stem / STEPS
        try:
            text = path.read_text(encoding='utf-8') if path.exists() else None
            return Review(tuple(Step(**step) for step in json.loads(text)['steps'])) if text else Review()
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InputError(
                f'{path} cannot be read ({type(error).__name__}); remove its folder to begin that image anew.'
            ) from error

    def _thumbnail_file(self, stem, version) -> Path:
        return self.folder / REVIEW / stem / f'thumbnail-{version}.jpg'

    def _own_photos(self) -> list[Path]:
        folder = self.folder / PHOTOS
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        return [path for path in paths if path.suffix.lower() in ENDINGS and not path.name.startswith('.')]

    def _add_image(self, stem):
        """Notes the draft of an image, if its record is there."""
        record = read_entries(self.folder, stem)
        if record is None or 'entry' not in record:
            return
        path, root = (Path(os.path.normpath(self.folder.absolute() / record[name])) for name in ('photo', 'root'))
        shape, described = (record['height'], record['width']), record.get('descriptor')
        descriptor = None if described is None else array('f', described)
        self.images[stem] = ProjectImage(stem, path, root, record['id'], shape, record['entry'], descriptor)
