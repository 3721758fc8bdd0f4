"""What decides which classes the photographs of a run are taken to show: probabilities, and the answers that are kept.

The default threshold is FOLDER_ABOVE in method/answers.py; `labeling` takes it, or what --present-above says.
"""

import argparse
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from panet_jax.errors import InputError
from panet_jax.segmenter.kept_answers import FILE, FOLDER, PHOTOGRAPH, AllAnswers, read_answers

if TYPE_CHECKING:
    from panet_jax.segmenter.reference_set import ReferenceSet

Outcomes = Mapping[Path, dict[str, Any]]  # {photograph: its entry in predictions.json}


def decided_by(entry: Mapping[str, Any]) -> str | None:
    """What decided which classes were left out of a photograph.

    Args:
        entry: its entry in predictions.json.

    Returns:
        FOLDER or PHOTOGRAPH; None if every class was taken to be there.
    """
    return FOLDER if 'presence_after' in entry else PHOTOGRAPH if 'presence' in entry else None


def has_answers(answers: AllAnswers, stems: Mapping[Path, str]) -> bool:
    """Whether anything is known of the photographs of a run.

    Args:
        answers: what is known, as from `read_answers`.
        stems: {photograph: name of its results}.

    Returns:
        True if there is an answer for one of them.
    """
    return any(answers.get(stem) for stem in stems.values())


def why_undecided(options: argparse.Namespace) -> str:
    """Why a saved segmenter cannot decide, for a sentence.

    Args:
        options: what was typed.

    Returns:
        A clause about the file of --segmenter.
    """
    if options.support or options.support_dir or options.negative:
        return 'because you typed further references beside it'
    return 'because an earlier version saved it, or references were added before'


def check_can_decide(can_decide: bool, options: argparse.Namespace) -> None:
    """Checks that references can decide, if what was typed wants that.

    Args:
        can_decide: whether they can.
        options: what was typed.

    Raises:
        InputError: they cannot.
    """
    wanted = '--review' if options.review else None if options.present_above is None else '{segmenter.present_above}'
    if wanted and not can_decide:
        raise InputError(_cannot_decide(options, f'leave {wanted} out'))


def known_answers(
    out: Path,
    stems: Mapping[Path, str],
    earlier: Iterable[Mapping[str, Any]],
    classes: Sequence[str],
    *,
    can_decide: bool,
    options: argparse.Namespace,
) -> AllAnswers:
    """The answers that are kept in a folder of results, if what was typed goes with them.

    Args:
        out: the folder.
        stems: {photograph: name of its results}.
        earlier: entries of earlier results.
        classes: names of the classes.
        can_decide: whether the references can decide.
        options: what was typed.

    Returns:
        The answers, as from `read_answers`.

    Raises:
        InputError: the file is wrong, or has answers for these photographs that something typed excludes.
    """
    names = {*stems.values(), *(Path(entry['labels']).stem for entry in earlier)}
    answers = read_answers(out, classes, names)
    if not has_answers(answers, stems):
        return answers
    if options.all_present:
        raise InputError(
            f'the answers in {out / FILE} say which classes are there; leave --all-present out, or name another folder with '
            '--out.'
        )
    if not can_decide:
        raise InputError(
            f'the answers in {out / FILE} decide nothing: {_cannot_decide(options, "name another folder with --out")}'
        )
    return answers


def _cannot_decide(options, otherwise):
    return (
        f'{options.segmenter} cannot decide which classes are present, {why_undecided(options)}; give all references with '
        f'--support, without --segmenter, or {otherwise}.'
    )


class Decision(NamedTuple):
    """The decision for the photographs of a run.

    Attributes:
        out: folder of the results.
        stems: {photograph: name of its results}.
        references: the segmenter's.
        above: probability from which a class is there; None if all classes are taken to be everywhere.
        answers: {name of results: {class: answer}}; questions add to it.
        learns: whether probabilities are those of the folder, after the answers; otherwise they are `presence`.
    """

    out: Path
    stems: Mapping[Path, str]
    references: 'ReferenceSet'
    above: float | None
    answers: AllAnswers
    learns: bool

    @property
    def decided_by(self) -> str | None:
        """What decides, as `decided_by` says it of an entry."""
        return None if self.above is None else FOLDER if self.learns else PHOTOGRAPH

    def probabilities(self, outcomes: Outcomes) -> dict[Path, dict[str, float]]:
        """How probable it is that the photographs that are done show each class.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {class: probability}}, in order; {} if all classes are taken to be everywhere.
        """
        if self.above is None:
            return {}
        presence = {path: outcomes[path]['presence'] for path in self.stems if 'presence' in outcomes.get(path, ())}
        if not presence or not self.learns:
            return presence
        from panet_jax.segmenter.presence import Seen, presence_in_folder

        seen = [Seen(own, self._descriptor(path)) for path, own in presence.items()]
        rows = presence_in_folder(seen, self.references, [self._answers(path) for path in presence])
        return dict(zip(presence, rows, strict=True))

    def _answers(self, path):
        return self.answers.get(self.stems[path], {})

    def _descriptor(self, path):
        from panet_jax.export.records import record_path

        record = record_path(self.out, self.stems[path])
        return _descriptor(record, record.stat().st_mtime_ns)

    def after(self, outcomes: Outcomes) -> dict[Path, dict[str, dict[str, float]]]:
        """What predictions.json says of the decision, of photographs that are done, if it is learned.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {'presence_after': {class: probability}}}.
        """
        if not self.learns:
            return {}
        return {path: {'presence_after': row} for path, row in self.probabilities(outcomes).items()}

    def wanted(self, outcomes: Outcomes) -> dict[Path, dict[str, bool]]:
        """Which classes the photographs are to have.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {class: whether it is taken to be there}}; the answers alone, of a photograph that is not done.
        """
        return {path: self._answers(path) for path in self.stems} | self._taken(outcomes)

    def changed(self, outcomes: Outcomes) -> list[Path]:
        """The photographs that were segmented with other classes than they are to have.

        Args:
            outcomes: what is done.

        Returns:
            Their paths, in order.
        """
        from panet_jax.segmenter.presence import is_segmented_with

        return [
            path
            for path, taken in self._taken(outcomes).items()
            if not is_segmented_with(outcomes[path].get('expected_iou', ()), taken)
        ]

    def _taken(self, outcomes):
        """{photograph: {class: whether it is taken to be there}} of those that are done."""
        from panet_jax.segmenter.presence import taken_classes

        rows = self.probabilities(outcomes)
        return {path: taken_classes(row, self._answers(path), self.above) for path, row in rows.items()}


@functools.cache  # they are asked for at each question
def _descriptor(record, _):
    import numpy as np

    return np.array(json.loads(record.read_text(encoding='utf-8'))['descriptor'], np.float32)
