"""The table of settings of an experiment: default, allowed values, role and meaning of each.

`base_config`, `check_config`, the checks of a workdir, the training recipe of a result and docs/settings.md all derive
from this table. Choices that other modules implement are repeated here as texts, so that a command is parsed without
loading these modules; tests/test_settings.py keeps them equal.
"""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any


class Role(enum.Enum):
    """Whether a setting must keep its value in a workdir. The values are the texts of docs/settings.md."""

    EXPERIMENT = 'fixed'  # in a training and when it resumes
    SPLIT = (
        'fixed, in evaluation too'  # the unseen classes: with another value an evaluation could use training classes
    )
    START = 'fixed, untrained network too'  # the initial network
    FREE = 'free'  # how long, how often and where
    EVALUATION = 'free, of evaluation'


FIXED = (Role.EXPERIMENT, Role.SPLIT, Role.START)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: name after `--config.`.
        default: the paper's value, if there is one. It has the type of the setting.
        role: whether it must keep its value in a workdir.
        meaning: one line for docs/settings.md.
        least: lower bound; of each item if the setting is a list.
        most: upper bound.
        choices: allowed values; of each item if the setting is a list. evaluation.pictured may be numbers too.
        step: the value must be a positive multiple of this.
        items: type of the items of a list.
        wanted: description of the items of a list, for an error.
        nonempty: whether a list needs an item.
        path: 'local' for a path on this machine, 'workdir' for one that may be in a bucket, '' for anything else.
    """

    name: str
    default: Any
    role: Role
    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple = ()
    step: float | None = None
    items: type = str
    wanted: str = ''
    nonempty: bool = False
    path: str = ''


FOLDS = (0, 1, 2, 3)
EXPERIMENT, SPLIT, START, FREE, EVALUATION = Role
ANNOTATIONS = ('dense', 'scribble', 'box')
HEADS = ('panet', 'adapted')
MOST_PICTURES = 50  # episodes on a sheet: a WebP of the report is limited to 16383 pixels a side

# fmt: off
_ALL = (
    Setting('name', '', FREE, "first part of the workdir's name; each file in `configs/` has its own"),
    Setting('seed', 1234, START, 'seed of the training episodes, and of random weights', least=0),
    Setting('steps', 30_000, FREE, 'steps of training', least=1),
    Setting('batch', 1, EXPERIMENT, 'episodes of a step, over all devices of all processes', least=1),
    Setting('accumulate', 1, FREE,
        "number of parts of a device's share, computed one after the other to save memory", least=1),
    Setting('align_weight', 1.0, EXPERIMENT,
        'lambda, the weight of the alignment loss; 0 is PANet without it', least=0),
    Setting('annotation', 'dense', EXPERIMENT, 'annotation of the supports in training', choices=ANNOTATIONS),
    Setting('checkpoint', 'latest', FREE,
        "network to evaluate: `latest`, a step, another workdir, or `''`, the untrained network", path='workdir'),
    Setting('checkpoint_every', 1000, FREE, 'steps between checkpoints', least=1),
    Setting('checkpoint_minutes', 10.0, FREE,
        'longest time between checkpoints in minutes, in addition to `checkpoint_every`; 0 is off', least=0),
    Setting('checkpoints_kept', 2, FREE, 'number of newest checkpoints to keep', least=1),
    Setting('log_every', 100, FREE, 'steps for each line of `metrics.jsonl`', least=1),
    Setting('data.name', 'shapes', SPLIT,
        'the data set; each file in `configs/` has its own', choices=('shapes', 'pascal5i', 'coco20i', 'custom')),
    Setting('data.root', '', FREE, "folder of the files; `''` downloads a benchmark's archives", path='local'),
    Setting('data.prepared_dir', '', FREE,
        "folder of prepared data; `''` is `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`", path='local'),
    Setting('data.skip_unreadable', False, EXPERIMENT, 'leave out unreadable images, and print how many'),
    Setting('data.cache', False, FREE,
        'cache resized images: several times faster to load, 0.7 GB per 1000 images of 417 x 417'),
    Setting('data.train_split', '', EXPERIMENT, 'image list of training; each file in `configs/` has its own'),
    Setting('data.test_split', '', EVALUATION,
        "image list of evaluation; `''` is the protocol's list (PANet uses `trainaug` for training too, with other classes)"),
    Setting('data.unseen', (), SPLIT, 'names of the unseen classes; they replace the fold', wanted='names'),
    Setting('data.fold', 0, SPLIT, 'fold of the unseen classes', choices=FOLDS),
    Setting('data.fold_rule', 'contiguous', SPLIT,
        'assignment of classes to folds: `contiguous` (PANet), `4x+i` (FWB, HSNet) or `random`',
        choices=('contiguous', '4x+i', 'random')),
    Setting('data.fold_seed', 0, SPLIT, 'seed of the rule `random`', least=0),
    Setting('data.unseen_images', 'background', EXPERIMENT,
        'training images that show unseen classes: kept as `background` (PANet), or `drop` (BAM)',
        choices=('background', 'drop')),
    Setting('data.smallest_object', 1, EXPERIMENT,
        'fewest pixels that a class may have in an image drawn for it: 1 (PANet), 2048 (PFENet, HSNet, BAM)', least=1),
    Setting('data.annotation_seed', 0, EXPERIMENT,
        'seed of generated scribbles, and of the choice among several scribbles of a class', least=0),
    Setting('data.size', 417, EXPERIMENT, 'side in pixels; images are resized to a square', least=8),
    Setting('data.flip', True, EXPERIMENT, 'mirror training images at random'),
    Setting('loader.threads', 16, FREE,
        'threads that read episodes, of each worker if there are any; the episodes do not depend on it', least=0),
    Setting('loader.workers', 0, FREE, 'processes that read episodes, for machines with many cores', least=0),
    Setting('episode.ways', 1, EXPERIMENT, 'N, number of classes of an episode', least=1),
    Setting('episode.shots', 1, EXPERIMENT, 'K, number of support images of a class', least=1),
    Setting('episode.queries', 1, EXPERIMENT, 'Q, number of query images of an episode', least=1),
    Setting('encoder.name', 'vgg16', START,
        'the network: `vgg16` (the paper), `resnet50`, `dinov2-small`, ...: [weights](weights.md#encoders)'),
    Setting('encoder.weights', 'imagenet', START,
        "initial weights: `imagenet`, `random`, an encoder's name, a workdir, or a file: [weights](weights.md)", path='workdir'),
    Setting('encoder.frozen', 0, EXPERIMENT,
        'number of blocks, counted from the image, that training does not change', least=0),
    Setting('encoder.width', 1.0, START, 'multiplier of the channels of every layer', step=1 / 64),
    Setting('encoder.dtype', 'tf32', EXPERIMENT,
        'precision of the features: [scaling](scaling.md#precision)', choices=('float32', 'tf32', 'bfloat16')),
    Setting('encoder.rematerialize', False, FREE,
        "encode the images of an episode one by one in training: less memory, a third more work"),
    Setting('optimizer.name', 'sgd', EXPERIMENT, 'optimizer, as in PyTorch: `sgd` (the paper) or `adamw`',
        choices=('sgd', 'adamw')),
    Setting('optimizer.learning_rate', 1e-3, EXPERIMENT, 'highest learning rate', least=0),
    Setting('optimizer.schedule', 'milestones', EXPERIMENT,
        'decrease of the learning rate: at `milestones` (the paper), or along a `cosine` to 0 at the last step',
        choices=('milestones', 'cosine')),
    Setting('optimizer.warmup', 0, EXPERIMENT, 'number of first steps in which the learning rate rises linearly', least=0),
    Setting('optimizer.momentum', 0.9, EXPERIMENT, 'momentum of SGD'),
    Setting('optimizer.weight_decay', 5e-4, EXPERIMENT, 'weight decay, as in PyTorch', least=0),
    Setting('optimizer.milestones', (10_000, 20_000), EXPERIMENT,
        'steps at which the learning rate is multiplied by `optimizer.decay`',
        items=int, wanted='steps, such as 10000,20000'),
    Setting('optimizer.decay', 0.1, EXPERIMENT, 'factor of the learning rate at each milestone'),
    Setting('optimizer.clip_norm', 0.0, EXPERIMENT, "bound of the gradient's norm; 0 is none", least=0),
    Setting('evaluation.runs', 5, EVALUATION, 'runs of episodes, each with its own seed', least=1),
    Setting('evaluation.episodes', 1000, EVALUATION, 'episodes of a run', least=1),
    Setting('evaluation.seed', 1234, EVALUATION, 'seed of the first run; the others are the next numbers', least=0),
    Setting('evaluation.protocol', 'panet2019', EVALUATION,
        'rules of scoring: [protocols](protocols.md)', choices=('panet2019', 'standard')),
    Setting('evaluation.draw', 'seeded', EVALUATION,
        "`seeded`, or `panet2019`, exactly the episodes of the authors' code", choices=('seeded', 'panet2019')),
    Setting('evaluation.skip_small_classes', False, EVALUATION,
        'leave out classes with too few images for an episode, and name them'),
    Setting('evaluation.annotation', 'dense', EVALUATION, 'annotation of the supports in evaluation', choices=ANNOTATIONS),
    Setting('evaluation.head', 'panet', EVALUATION,
        "`panet`, the paper's prototypes, or `adapted`, prototypes adapted to each query: [method](method.md)",
        choices=HEADS),
    Setting('evaluation.debias', 0.0, EVALUATION,
        "share of the positional directions to remove from a vision transformer's features, such as 0.5: [method](method.md)",
        least=0, most=0.9),
    Setting('evaluation.batch', 4, EVALUATION, 'images of an encoder step, over all devices of a process', least=1),
    Setting('evaluation.cache_gib', 4.0, EVALUATION,
        'size in GiB of the cache of features and labels of each process; what does not fit is computed twice', least=0),
    Setting('evaluation.pictures', 6, EVALUATION, 'number of episodes to draw', least=0, most=MOST_PICTURES),
    Setting('evaluation.pictured', 'random', EVALUATION,
        'which episodes to draw; or numbers of episodes such as `3,17`', choices=('random', 'worst', 'first')),
    Setting('evaluation.untrained', False, EVALUATION, 'also evaluate the network before training'),
    Setting('table.folds', FOLDS, EVALUATION, 'folds of `--mode=table`', items=int, choices=FOLDS, nonempty=True),
    Setting('table.shots', (1, 5), EVALUATION, 'shots of `--mode=table`', items=int, least=1, nonempty=True),
    Setting('table.annotations', ANNOTATIONS, EVALUATION,
        'supports of `--mode=table`', choices=ANNOTATIONS, nonempty=True),
)
# fmt: on
SETTINGS = {setting.name: setting for setting in _ALL}


def flat(config: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Flattens the sections of a configuration.

    Args:
        config: nested dictionaries, as from `ConfigDict.to_dict` or a config.json.
        prefix: prefix of the names.

    Returns:
        {name: value} with names such as 'data.fold'; tuples become lists, as in JSON.
    """
    settings = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            settings |= flat(value, f'{prefix}{name}.')
        else:
            settings[prefix + name] = list(value) if isinstance(value, tuple) else value
    return settings


def defaults() -> dict[str, Any]:
    """{name: default} of all settings; tuples become lists, as in JSON."""
    return flat({name: setting.default for name, setting in SETTINGS.items()})


def with_role(*roles: Role) -> tuple[str, ...]:
    """The names of the settings with one of the given roles.

    Args:
        *roles: the roles.

    Returns:
        The names, in the order of the table.
    """
    return tuple(name for name, setting in SETTINGS.items() if setting.role in roles)


def is_fixed(name: str) -> bool:
    """Whether a setting must keep its value in a workdir.

    Args:
        name: name of the setting. An unknown one, of another version, is fixed if a setting of its section is.

    Returns:
        True or False.
    """
    if name in SETTINGS:
        return SETTINGS[name].role in FIXED
    section = name.partition('.')[0]
    roles = [setting.role for other, setting in SETTINGS.items() if other.startswith(f'{section}.')]
    return not roles or any(role in FIXED for role in roles)
