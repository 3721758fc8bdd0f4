"""What decides which classes the photographs of a run are taken to show: probabilities, and the answers that are kept.

The default threshold is FOLDER_ABOVE in method/answers.py; `labeling` takes it, or what --present-above says.
"""

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from panet_jax.commands.answers import AllAnswers

if TYPE_CHECKING:
    from panet_jax.segmenter.reference_set import ReferenceSet

Outcomes = Mapping[Path, dict[str, Any]]  # {photograph: its entry in predictions.json}


class Decision(NamedTuple):
    """The decision for the photographs of a run.

    Attributes:
        out: folder of the results.
        stems: {photograph: name of its results}.
        references: the segmenter's.
        above: probability above which a class is there; None if all classes are taken to be everywhere.
        answers: {name of results: {class: answer}}; questions add to it.
        learns: whether probabilities are those of the folder, after the answers; otherwise they are `presence`.
    """

    out: Path
    stems: Mapping[Path, str]
    references: 'ReferenceSet'
    above: float | None
    answers: AllAnswers
    learns: bool

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
        values = self._after([list(own.values()) for own in presence.values()], list(presence)).tolist()
        return {
            path: dict(zip(self.references.classes, row, strict=True))
            for path, row in zip(presence, values, strict=True)
        }

    def _after(self, presence, paths):
        import numpy as np

        from panet_jax.export.records import record_path
        from panet_jax.method.answers import UNKNOWN, presence_after
        from panet_jax.segmenter.presence import reference_descriptors

        known = [self.answers.get(self.stems[path], {}) for path in paths]
        answers = np.array([[own.get(name, UNKNOWN) for name in self.references.classes] for own in known], int)
        records = [record_path(self.out, self.stems[path]) for path in paths]
        described = np.array([_descriptor(record, record.stat().st_mtime_ns) for record in records])
        return presence_after(np.array(presence), answers, described, *reference_descriptors(self.references))

    def after(self, outcomes: Outcomes) -> dict[Path, dict[str, dict[str, float]]]:
        """What predictions.json says of the decision, of photographs that are done, if it is learned.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {'presence_after': {class: probability}}}.
        """
        if not self.learns:
            return {}
        rows = self.probabilities(outcomes)
        return {
            path: {'presence_after': {name: round(value, 4) for name, value in row.items()}}
            for path, row in rows.items()
        }

    def wanted(self, outcomes: Outcomes) -> dict[Path, dict[str, bool]]:
        """Which classes the photographs are to have.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {class: whether it is taken to be there}}; the answers alone, of a photograph that is not done.
        """
        own = {path: self.answers.get(stem, {}) for path, stem in self.stems.items()}
        decided = {
            path: {name: own[path].get(name, value > self.above) for name, value in row.items()}
            for path, row in self.probabilities(outcomes).items()
        }
        return own | decided

    def changed(self, outcomes: Outcomes) -> list[Path]:
        """The photographs that were segmented with other classes than they are to have.

        Args:
            outcomes: what is done.

        Returns:
            Their paths, in order.
        """
        wanted = self.wanted(outcomes)
        return [path for path in self.probabilities(outcomes) if _classes_of(outcomes[path]) != wanted[path]]


@functools.cache  # they are asked for at each question
def _descriptor(record, _):
    return json.loads(record.read_text(encoding='utf-8'))['descriptor']


def _classes_of(entry):
    """{class: whether a photograph was segmented with it}."""
    return {name: name in entry.get('expected_iou', ()) for name in entry['presence']}
