"""Makes the drafts of a project: with its references, and with the images that became references in the review."""

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from panet_jax.errors import InputError
from panet_jax.segmenter.draft_files import write_draft
from panet_jax.segmenter.fingerprint import fingerprint
from panet_jax.segmenter.kept_answers import FOLDER
from panet_jax.segmenter.outputs import REFERENCES, SAME
from panet_jax.segmenter.reference_set import NewReference, ReferenceSet
from panet_jax.segmenter.references import read_photo
from panet_jax.segmenter.review.deciding import Decided, decide
from panet_jax.segmenter.review.label_files import read_labels
from panet_jax.segmenter.review.project import PHOTOS, Project
from panet_jax.segmenter.segmenter import Segmenter

OWN = 'review-'  # beginning of the ids of runs that a review made


class Drafting:
    """Segments the images of a project that are to do, whenever its references change.

    Args:
        project: the project.
        segmenter: a Segmenter with the project's references; none for a new project. It stays as it is.
    """

    def __init__(self, project: Project, segmenter: Segmenter):
        self.project = project
        self._segmenter = copy.copy(segmenter)
        self._base = segmenter.references  # without the images of the review
        self._used: list[tuple[str, int]] = []  # images of the review among the references

    @property
    def segmenter(self) -> Segmenter:
        """The Segmenter with all references of now."""
        self._follow()
        return self._segmenter

    def add_references(self, references: ReferenceSet) -> None:
        """Takes further references and negatives into the project, and writes them.

        Args:
            references: the references, with the features of their images.
        """
        new = [NewReference(one.name, one.image, one.marks) for one in references.references]
        features = {name: image.features for name, image in references.images.items()}
        self._base, self._used = self._base.with_references(new, features), []
        for negative in references.negatives:
            self._base = self._base.with_negative(negative, features[negative.image])
        self._segmenter.references = self._base
        self._segmenter.save(self.project.folder / REFERENCES)
        self._write_results(self._decided())

    def outdated(self) -> list[str]:
        """Names of the images to segment: those without a draft, and drafts with other references than those of now.

        Drafts of `panet-jax predict` stay as long as no image of the review is a reference.
        """
        project, run = self.project, self._about()[1]['id']
        stems = [stem for stem in project.ordered('to do') if project.reviews[stem].now.labels is None]
        runs = {stem: project.images[stem].entry.get('run') or '' for stem in stems}
        kept = {stem for stem in stems if not project.references and not runs[stem].startswith(OWN)}
        outdated = [stem for stem in stems if runs[stem] != run and stem not in kept]
        return [*(path.stem for path in project.waiting), *outdated]

    def segment(self) -> Iterator[tuple[str, InputError | None]]:
        """Segments the images that `outdated` names, and writes each draft at once. It ends if the references change again.

        Each draft has the classes that `decide` takes to be there.

        Yields:
            (name of the image, why it could not be read or None), the most doubtful first.

        Raises:
            InputError: there are no references, or the folder does not have them.
        """
        stems, run, references = self.outdated(), self._about()[1], self.project.references
        paths = {path.stem: path for path in self.project.waiting}
        paths |= {stem: image.path for stem, image in self.project.images.items()}
        if not stems:
            return
        decided, classes = self._decided(), self.segmenter.classes
        answers = [
            {name: on for name, on in decided.classes.get(stem, {}).items() if name in classes} for stem in stems
        ]
        photos = [paths[stem] for stem in stems]
        results = self.segmenter.stream_photos(photos, on_error='yield', answers=answers)
        try:
            for stem, (segmentation, photo) in zip(stems, results, strict=True):
                if isinstance(segmentation, InputError):
                    yield stem, segmentation
                    continue
                if run['absent_above'] is not None:
                    segmentation = segmentation.present(run['absent_above'])
                if self.project.references != references:
                    return
                self._write(stem, paths[stem], segmentation, photo, run['id'])
                yield stem, None
        finally:
            self._write_results(decided)

    def _write(self, stem, path, segmentation, photo, run):
        project, image = self.project, self.project.images.get(stem)
        root = image.root if image else project.folder / PHOTOS
        if image and image.descriptor is not None:  # what the next decision takes
            presence, descriptor = image.entry.get('presence'), np.asarray(image.descriptor)
            segmentation = dataclasses.replace(segmentation, presence=presence, descriptor=descriptor)
        project.add_draft(
            stem,
            lambda number: write_draft(
                path, segmentation, photo, out=project.folder, root=root, stem=stem, number=number, run=run
            ),
        )

    def _decided(self) -> Decided:
        return decide(self.project, self._base, self._last_run())

    def _write_results(self, decided: Decided) -> None:
        settings, run = self._about()
        run |= {'decided_by': FOLDER} if decided.by_folder else {}
        self.project.write_results(settings, run, decided.entries, keep=decided.by_folder is None)

    def _last_run(self) -> dict[str, Any]:
        """The last run of `panet-jax predict`; that of a review, if it has replaced all others."""
        runs = self.project.results.get('runs') or [{}]
        return next((run for run in reversed(runs) if not run.get('id', '').startswith(OWN)), runs[-1])

    def _about(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings and the run that predictions.json has, of drafts that are made now."""
        last, segmenter = self._last_run(), self.segmenter
        thresholds = {name: last.get(name) for name in ('absent_above', 'present_above')}
        settings = {'classes': list(segmenter.classes), **segmenter.settings}
        run = {'id': OWN + fingerprint(segmenter, *thresholds.values()), **thresholds}
        run |= {'decided_by': last.get('decided_by')}
        run |= {name: [] for name in ('references', 'negatives', 'folders')} | {'segmenter': REFERENCES}
        return {name: settings[name] for name in SAME}, {**run, 'images': [stem for stem, _ in self._used]}

    def _follow(self) -> None:
        """Brings the references up to those of the project."""
        wanted = self.project.references
        if wanted == self._used:
            return
        grows = wanted[: len(self._used)] == self._used
        base, new = (self._segmenter.references, wanted[len(self._used) :]) if grows else (self._base, wanted)
        if new and not self._base.references:
            raise InputError(
                f'{self.project.folder} has no {REFERENCES}; type the command that wrote it once more, and open it again.'
            )
        pairs: dict[str, list] = {}
        for stem, number in new:
            photo = read_photo(self.project.images[stem].path, stem)
            labels = read_labels(self.project.label_file(stem, number), self.project.classes)
            for label, name in enumerate(self.project.classes, 1):
                if (labels == label).any():
                    pairs.setdefault(name, []).append((photo, labels == label))
        self._segmenter.references = self._segmenter.extended(base, pairs) if pairs else base
        self._used = wanted
