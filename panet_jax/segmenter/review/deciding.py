"""Which classes new drafts are to have: as `panet-jax predict` decided it, with what a person said in the review since."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from panet_jax.segmenter.kept_answers import FOLDER
from panet_jax.segmenter.presence import Seen, presence_in_folder, taken_classes
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.review.label_files import read_labels
from panet_jax.segmenter.review.project import Project
from panet_jax.segmenter.review.steps import Review


class Decided(NamedTuple):
    """The decision for the images of a project.

    Attributes:
        classes: {name: {class: whether the image is taken to show it}}; a class that is missing is taken to be there.
        entries: {name: what predictions.json says of the decision}, of images about which it says anything.
        by_folder: whether the images were compared with each other; None if the references cannot decide.
    """

    classes: dict[str, dict[str, bool]]
    entries: dict[str, dict[str, Any]]
    by_folder: bool | None


def decide(project: Project, references: ReferenceSet, run: Mapping[str, Any]) -> Decided:
    """Decides as `panet-jax predict` did in a run: with its threshold, and from what is recorded of each image.

    Images are compared with each other if they were so in the run, or as soon as anything is known of one. If the references
    cannot do that, because a file of an earlier version had them, or others were added to them, images keep the classes
    that their drafts have. No image is read.

    Args:
        project: the project.
        references: the set that the run had, without images of the review: for those there are answers.
        run: entry of predictions.json; without a threshold every class is taken to be in every image.

    Returns:
        The decision.

    Raises:
        InputError: answers.json or a label map is damaged.
    """
    kept, above = project.answers(), run.get('present_above')
    answers = {stem: kept.get(stem, {}) | _reviewed(project, stem) for stem in {*kept, *project.images}}
    entries = {stem: {'answers': own} for stem, own in kept.items() if own}
    if above is None:
        return Decided(answers, entries, by_folder=False)
    if not references.can_decide:
        return Decided({stem: _of_draft(project, stem) | own for stem, own in answers.items()}, entries, by_folder=None)
    seen = {stem: one for stem in project.images if (one := _seen(project, stem, references.classes))}
    rows = {stem: one.presence for stem, one in seen.items()}
    by_folder = run.get('decided_by') == FOLDER or any(answers.values())
    if by_folder:
        after = presence_in_folder(list(seen.values()), references, [answers[stem] for stem in seen])
        rows = dict(zip(seen, after, strict=True))
        entries = {
            stem: entries.get(stem, {}) | ({'presence_after': rows[stem]} if stem in rows else {}) for stem in answers
        }
    taken = {stem: taken_classes(rows.get(stem, {}), own, above) | own for stem, own in answers.items()}
    return Decided(taken, entries, by_folder)


def _reviewed(project, stem) -> dict[str, bool]:
    """What a review says of an image: all of an accepted one; of a corrected one, what was drawn, kept or cleared."""
    now = project.reviews.get(stem, Review()).now  # an image that waits for its draft has no review yet
    if now.labels is None or now.decision == 'rejected':
        return {}
    path = project.label_file(stem, now.labels)
    written = path.stat().st_mtime_ns if path.exists() else None
    shown = {project.classes[number - 1] for number in _numbers(path, project.classes, written)}
    shares = project.images[stem].entry.get('shares', {})  # of the draft
    seen = project.classes if now.decision == 'accepted' else shown | {name for name, share in shares.items() if share}
    return {name: name in shown for name in seen}


@functools.lru_cache(maxsize=10_000)  # of images that were reviewed
def _numbers(path: Path, classes: tuple[str, ...], _: int | None) -> frozenset[int]:
    """The labels of a file that are classes."""
    return frozenset(np.unique(read_labels(path, classes)).tolist()).difference({0, 255})


def _seen(project, stem, classes) -> Seen | None:
    """What is recorded of an image; None if that is not enough to decide."""
    image = project.images[stem]
    presence = image.entry.get('presence') or {}
    if image.descriptor is None or not presence.keys() >= set(classes):
        return None
    return Seen({name: presence[name] for name in classes}, np.asarray(image.descriptor))


def _of_draft(project, stem) -> dict[str, bool]:
    """The classes that the draft of an image was made with, where that was decided."""
    entry = project.images[stem].entry if stem in project.images else {}
    return {name: name in entry.get('expected_iou', ()) for name in entry.get('presence') or ()}
