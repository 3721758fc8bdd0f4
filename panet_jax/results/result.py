"""One result of an evaluation: the setting, the network, and the scores."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Identity:
    """The setting of an evaluation: the same network has the same scores in the same setting.

    `split` is the image list. Fingerprints and hashes are hexadecimal digits. `weights` are the initial weights of the
    training, or those of an untrained network. All other fields are as in the settings.
    """

    scoring_version: int  # changes when the same network would get other scores on the same episodes
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
    authors_order: bool  # whether the episodes are exactly those of the authors' code
    episodes_hash: str
    protocol: str
    head: str
    debias: float  # share of the positional directions that the features lack
    encoder: str
    weights: str
    width: float
    dtype: str
    seed: int
    left_out_classes: list[str]  # unseen classes with too few images


@dataclasses.dataclass(frozen=True)
class NetworkRecord:
    """The network of an evaluation.

    Attributes:
        checkpoint: workdir of its training; '' without training.
        checkpoint_step: step of its training; 0 without training.
        network_hash: hash of its parameters.
        trained_on: data set of its training; '' without training, or if that is unknown.
        unknown_training: name of the initial weights if their training is unknown, else ''.
        training: recipe of its training, {setting: value}; {} without training.
    """

    checkpoint: str
    checkpoint_step: int
    network_hash: str
    trained_on: str
    unknown_training: str
    training: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Scores:
    """IoU as fractions in [0, 1]: means and population standard deviations over runs; None without a score.

    `class_iou` and `class_iou_std` are {class name: value}; a class that no query showed is None and not part of the
    means. `empty_supports` counts supports without an annotated pixel. `seconds` is the duration.
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
        """All fields in one dictionary, as in results.json."""
        return {
            name: value for part in (self.identity, self.network, self.scores) for name, value in vars(part).items()
        }


# Values of the fields that rows of earlier versions lack.
EARLIER = {'encoder': 'vgg16', 'head': 'panet', 'debias': 0.0, 'unknown_training': ''}
IDENTITY, NETWORK, SCORES = (
    tuple(field.name for field in dataclasses.fields(part)) for part in (Identity, NetworkRecord, Scores)
)
