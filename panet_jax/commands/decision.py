"""What decides which classes the photographs of a run are taken to show: a threshold, and the answers that are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from panet_jax.commands.answers import AllAnswers, Entries, thresholds

Outcomes = Mapping[Path, dict[str, Any]]  # {photograph: its entry in predictions.json}


class Decision(NamedTuple):
    """The decision for the photographs of a run.

    Attributes:
        stems: {photograph: name of its results}.
        classes: names of the classes.
        above: threshold of a class without answers; None if all classes are taken to be everywhere.
        answers: {name of results: {class: answer}}; questions add to it.
    """

    stems: Mapping[Path, str]
    classes: tuple[str, ...]
    above: float | None
    answers: AllAnswers

    def entries(self, outcomes: Outcomes) -> Entries:
        """The entries with a `presence`, by the name of the results.

        Args:
            outcomes: what is done.

        Returns:
            {name of results: entry}, in the order of the photographs.
        """
        return {stem: outcomes[path] for path, stem in self.stems.items() if 'presence' in outcomes.get(path, ())}

    def limits(self, outcomes: Outcomes) -> dict[str, float] | None:
        """The threshold of each class, after the answers for photographs that are done.

        Args:
            outcomes: what is done.

        Returns:
            {class: threshold in [0, 1]}; None if all classes are taken to be everywhere.
        """
        if self.above is None:
            return None
        return thresholds(self.entries(outcomes), self.answers, self.classes, self.above)

    def wanted(self, outcomes: Outcomes) -> dict[Path, dict[str, bool]]:
        """Which classes the photographs are to have.

        Args:
            outcomes: what is done.

        Returns:
            {photograph: {class: whether it is taken to be there}}; the answers alone, of a photograph that is not done.
        """
        limits, done = self.limits(outcomes), self.entries(outcomes)

        def of(stem):
            own = self.answers.get(stem, {})
            if limits is None or stem not in done:
                return own
            return {name: own.get(name, done[stem]['presence'][name] > limit) for name, limit in limits.items()}

        return {path: of(stem) for path, stem in self.stems.items()}

    def changed(self, outcomes: Outcomes) -> list[Path]:
        """The photographs that were segmented with other classes than they are to have.

        Args:
            outcomes: what is done.

        Returns:
            Their paths, in order.
        """
        if self.above is None:
            return []
        done, wanted = self.entries(outcomes), self.wanted(outcomes)
        return [path for path, stem in self.stems.items() if stem in done and _classes_of(done[stem]) != wanted[path]]


def _classes_of(entry):
    """{class: whether a photograph was segmented with it}."""
    return {name: name in entry.get('expected_iou', ()) for name in entry['presence']}
