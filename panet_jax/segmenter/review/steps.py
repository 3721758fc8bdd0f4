"""What a reviewer decided about one image, step by step: values without files, so that a step can be taken back."""

import dataclasses
from collections.abc import Mapping
from typing import Literal

from panet_jax.segmenter.outputs import LEAST_SHARE

Decision = Literal['to do', 'accepted', 'rejected']
DECISIONS = ('to do', 'accepted', 'rejected')
MOST_STEPS = 50  # of an image; earlier ones are forgotten


@dataclasses.dataclass(frozen=True)
class Step:
    """The state of an image after a step.

    Attributes:
        number: number of the step among those of all images, from 1; 0 is the beginning.
        decision: 'to do', 'accepted' or 'rejected'.
        labels: number of the step whose label map it has; None is the draft, which changes when it is segmented again.
        corrected: whether its label map was drawn on.
        reference: number of the step whose label map is a reference; None if the image is none.
    """

    number: int = 0
    decision: Decision = 'to do'
    labels: int | None = None
    corrected: bool = False
    reference: int | None = None


@dataclasses.dataclass(frozen=True)
class Review:
    """The steps of an image, the present state last."""

    steps: tuple[Step, ...] = (Step(),)

    @property
    def now(self) -> Step:
        """The present state."""
        return self.steps[-1]

    @property
    def label_maps(self) -> set[int]:
        """Numbers of the steps whose label maps are still needed."""
        return {number for step in self.steps for number in (step.labels, step.reference) if number is not None}

    def accept(self, number: int) -> 'Review':
        """The image's labels are right.

        Args:
            number: number of the step. If the labels are a draft's, this is their number from now on.
        """
        return self._then(number, decision='accepted', labels=self._labels(number))

    def reject(self, number: int) -> 'Review':
        """The image is left out of exports. It is no reference either.

        Args:
            number: number of the step.
        """
        return self._then(number, decision='rejected', reference=None)

    def correct(self, number: int) -> 'Review':
        """The image has a new label map, of this number. If it was rejected, it is to do again.

        Args:
            number: number of the step.
        """
        decision = 'to do' if self.now.decision == 'rejected' else self.now.decision
        return self._then(number, decision=decision, labels=number, corrected=True)

    def use_as_reference(self, number: int) -> 'Review':
        """The image is accepted, and its labels are a reference; if they are one, they no longer are.

        Args:
            number: number of the step. If the labels are a draft's, this is their number from now on.
        """
        labels = self._labels(number)
        if self.now.reference == labels:
            return self._then(number, reference=None)
        return self._then(number, decision='accepted', labels=labels, reference=labels)

    def undo(self) -> 'Review':
        """The state before the last step; the same if there is none."""
        return Review(self.steps[:-1] or self.steps)

    def _labels(self, number):
        return number if self.now.labels is None else self.now.labels

    def _then(self, number, **changes):
        step = dataclasses.replace(self.now, number=number, **changes)
        return Review((*self.steps, step)[-MOST_STEPS:])


def least_iou(entry: Mapping) -> float | None:
    """How good the draft of an image is: the least `expected_iou` of the classes that are shown.

    Args:
        entry: the image's entry in predictions.json.

    Returns:
        A number in [0, 1]; None if no class is shown, or nothing is known.
    """
    expected, shares = entry.get('expected_iou') or {}, entry.get('shares', {})
    values = [value for name, value in expected.items() if shares.get(name, 0) >= LEAST_SHARE]
    return min(values, default=None)
