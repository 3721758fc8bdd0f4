"""One result: what was evaluated on what, with which network, and how it scored."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Identity:
    """What was evaluated on what: two evaluations of one network and one Identity have the same scores.

    `split` is the image list, `fingerprint`s and hashes are hexadecimal digits, `weights` is what training began with
    or, without one, what was evaluated; the rest is as in the settings.
    """

    scoring_version: int  # another number if the same network gets other scores on the same episodes
    dataset: str
    split: str
    fold: int
    fold_rule: str
    fold_seed: int
    unseen: list[str]
    data_fingerprint: str
    images: int
    skipped_images: int
    smallest_object: int
    ways: int
    shots: int
    queries: int
    annotation: str
    annotation_seed: int
    size: int
    runs: int
    episodes: int
    seeds: list[int]
    draw: str
    authors_order: bool  # whether the episodes are the very ones of the authors' code
    episodes_hash: str
    protocol: str
    head: str
    encoder: str
    weights: str
    width: float
    dtype: str
    seed: int
    left_out_classes: list[str]  # unseen classes with too few images


@dataclasses.dataclass(frozen=True)
class NetworkRecord:
    """Which network was evaluated.

    Attributes:
        checkpoint: workdir of its training; '' without one.
        checkpoint_step: of the training; 0 without one.
        network_hash: of its parameters.
        trained_on: name of the data set that it was trained on; '' for none, or none that is known.
        unknown_training: name of weights of which it is not known what they were trained on; '' for none.
        training: the recipe, {setting: value}; {} without training.
    """

    checkpoint: str
    checkpoint_step: int
    network_hash: str
    trained_on: str
    unknown_training: str
    training: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Scores:
    """IoU as fractions in [0, 1], means and population standard deviations over runs; None where there is no score.

    `class_iou` and `class_iou_std` are {class name: value}; a class that no query showed is None and left out of
    means. `empty_supports` counts supports without an annotated pixel; `seconds` is what it took.
    """

    class_iou: dict[str, float | None]
    class_iou_std: dict[str, float | None]
    mean_iou: float | None
    mean_iou_std: float | None
    binary_iou: float | None
    binary_iou_std: float | None
    background_iou: float | None
    foreground_iou: float | None
    mean_iou_by_run: list[float | None]
    binary_iou_by_run: list[float | None]
    empty_supports: int
    seconds: float


@dataclasses.dataclass(frozen=True)
class Result:
    """One evaluation."""

    identity: Identity
    network: NetworkRecord
    scores: Scores

    def row(self) -> dict[str, Any]:
        """All fields in one dictionary, as results.json, tables and pages have them."""
        return {
            name: value for part in (self.identity, self.network, self.scores) for name, value in vars(part).items()
        }


# What rows of earlier versions do not say.
EARLIER = {'encoder': 'vgg16', 'head': 'panet', 'unknown_training': ''}
IDENTITY, NETWORK, SCORES = (
    tuple(field.name for field in dataclasses.fields(part)) for part in (Identity, NetworkRecord, Scores)
)
