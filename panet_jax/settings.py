"""Every setting of an experiment, once: its default, what it may be, what depends on it, and what it means.

`base_config`, `check_config`, what may change in a workdir, a result's training recipe and docs/settings.md all derive
from this table. The values that other modules implement stand here as plain texts, so that a command is parsed without
loading them; tests/test_settings.py holds them equal.
"""

import dataclasses
import enum
from typing import Any


class Role(enum.Enum):
    """What a setting decides, and so what must agree when a workdir is used again; the value says it in the page."""

    EXPERIMENT = 'fixed'  # training has it, and goes on with nothing else
    SPLIT = 'fixed, in evaluation too'  # which classes are unseen: another value would test on classes seen
    START = 'fixed, untrained network too'  # the network that training begins with
    FREE = 'free'  # how long, how often and where
    EVALUATION = 'free, of evaluation'


FIXED = (Role.EXPERIMENT, Role.SPLIT, Role.START)


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        name: as it is typed after `--config.`.
        default: the paper's value where it has one. Its type is the setting's.
        role: what it decides.
        meaning: one line for docs/settings.md.
        least: lower bound, of each item if the setting is a list.
        most: upper bound.
        choices: the values there are, of each item if the setting is a list; evaluation.pictured has numbers too.
        step: the value is a multiple of it, and at least it.
        items: type of the items of a list.
        wanted: what the items of a list are, for an error.
        nonempty: whether a list needs an item.
        path: 'local' if it may name a file or folder, which must be on this machine; 'workdir' if that may be in a bucket.
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
MOST_PICTURES = 50  # episodes on a sheet; WebP, for the report, allows no image of more than 16383 pixels

# fmt: off
_ALL = (
    Setting('name', '', FREE, "first part of the workdir's name; each file in `configs/` has its own"),
    Setting('seed', 1234, START, 'seed of the training episodes, and of random weights', least=0),
    Setting('steps', 30_000, FREE, 'steps of training', least=1),
    Setting('batch', 1, EXPERIMENT, 'episodes a step, over all devices of all processes', least=1),
    Setting('accumulate', 1, FREE,
        "parts of a device's share that are computed one after the other, to save memory", least=1),
    Setting('align_weight', 1.0, EXPERIMENT,
        'lambda, the weight of the alignment loss; 0 is PANet without it', least=0),
    Setting('annotation', 'dense', EXPERIMENT, 'how supports are annotated in training', choices=ANNOTATIONS),
    Setting('checkpoint', 'latest', FREE,
        "what to evaluate: `latest`, a step, another workdir, or `''`, the untrained network", path='workdir'),
    Setting('checkpoint_every', 1000, FREE, 'steps between checkpoints', least=1),
    Setting('checkpoint_minutes', 10.0, FREE,
        'minutes without a checkpoint at most, whatever `checkpoint_every` says; 0 is off', least=0),
    Setting('checkpoints_kept', 2, FREE, 'how many of the newest checkpoints stay', least=1),
    Setting('log_every', 100, FREE, 'steps a line of `metrics.jsonl`', least=1),
    Setting('data.name', 'shapes', SPLIT,
        'the data set; each file in `configs/` has its own', choices=('shapes', 'pascal5i', 'coco20i', 'custom')),
    Setting('data.root', '', FREE, "folder of the files; `''` downloads a benchmark's archives", path='local'),
    Setting('data.prepared_dir', '', FREE,
        'where prepared data go: `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`', path='local'),
    Setting('data.skip_unreadable', False, EXPERIMENT, 'leave out images that cannot be read, and say how many'),
    Setting('data.cache', False, FREE,
        'keep the images resized as well: several times faster to load, 0.7 GB per 1000 at 417 x 417'),
    Setting('data.train_split', '', EXPERIMENT, 'image list of training; each file in `configs/` has its own'),
    Setting('data.test_split', '', EVALUATION,
        "image list of evaluation; `''` is the protocol's: PANet takes `trainaug` for both, the classes being separate"),
    Setting('data.unseen', (), SPLIT, 'names of the unseen classes, in place of a fold', wanted='names'),
    Setting('data.fold', 0, SPLIT, 'which part of the classes is unseen', choices=FOLDS),
    Setting('data.fold_rule', 'contiguous', SPLIT,
        'how classes form folds: `contiguous` (PANet), `4x+i` (FWB, HSNet) or `random`',
        choices=('contiguous', '4x+i', 'random')),
    Setting('data.fold_seed', 0, SPLIT, 'seed of the rule `random`', least=0),
    Setting('data.unseen_images', 'background', EXPERIMENT,
        'training images that show unseen classes: kept as `background` (PANet), or `drop` (BAM)',
        choices=('background', 'drop')),
    Setting('data.smallest_object', 1, EXPERIMENT,
        'pixels of a class that an image must show to be drawn: 1 (PANet), 2048 (PFENet, HSNet, BAM)', least=1),
    Setting('data.annotation_seed', 0, EXPERIMENT,
        'seed of scribbles that are made, and of which one is taken of a class', least=0),
    Setting('data.size', 417, EXPERIMENT, 'side in pixels to which images are squashed', least=8),
    Setting('data.flip', True, EXPERIMENT, 'mirror training images at random'),
    Setting('loader.threads', 16, FREE,
        'threads that read episodes, of each worker if there are any; the episodes are the same for any number', least=0),
    Setting('loader.workers', 0, FREE, 'processes that read episodes, for machines with many cores', least=0),
    Setting('episode.ways', 1, EXPERIMENT, 'N, classes of an episode', least=1),
    Setting('episode.shots', 1, EXPERIMENT, 'K, support images of a class', least=1),
    Setting('episode.queries', 1, EXPERIMENT, 'Q, query images of an episode', least=1),
    Setting('encoder.name', 'vgg16', START, 'the network, one of `ENCODERS` in `networks/encoders.py`: `vgg16`'),
    Setting('encoder.weights', 'imagenet', START,
        'what training begins with: `imagenet`, `random`, or a file: [weights](weights.md)', path='workdir'),
    Setting('encoder.width', 1.0, START, 'factor of the channels of every layer', step=1 / 64),
    Setting('encoder.dtype', 'tf32', EXPERIMENT,
        'how features are computed: [scaling](scaling.md#precision)', choices=('float32', 'tf32', 'bfloat16')),
    Setting('encoder.rematerialize', False, FREE,
        "in training: an episode's images one by one, a third more work for less memory"),
    Setting('optimizer.learning_rate', 1e-3, EXPERIMENT, "of SGD, as PyTorch has it", least=0),
    Setting('optimizer.momentum', 0.9, EXPERIMENT, 'of SGD'),
    Setting('optimizer.weight_decay', 5e-4, EXPERIMENT, 'of SGD', least=0),
    Setting('optimizer.milestones', (10_000, 20_000), EXPERIMENT,
        'steps at which the learning rate is multiplied by `optimizer.decay`',
        items=int, wanted='steps, such as 10000,20000'),
    Setting('optimizer.decay', 0.1, EXPERIMENT, 'factor of the learning rate'),
    Setting('optimizer.clip_norm', 0.0, EXPERIMENT, "bound of the gradient's norm; 0 is none", least=0),
    Setting('evaluation.runs', 5, EVALUATION, 'runs of episodes, each with its own seed', least=1),
    Setting('evaluation.episodes', 1000, EVALUATION, 'episodes of a run', least=1),
    Setting('evaluation.seed', 1234, EVALUATION, 'seed of the first run; the next ones count on', least=0),
    Setting('evaluation.protocol', 'panet2019', EVALUATION,
        'how results are scored: [protocols](protocols.md)', choices=('panet2019', 'standard')),
    Setting('evaluation.draw', 'seeded', EVALUATION,
        "`seeded`, or `panet2019`: the very episodes of the authors' code", choices=('seeded', 'panet2019')),
    Setting('evaluation.skip_small_classes', False, EVALUATION,
        'leave out classes with too few images for an episode, and say which'),
    Setting('evaluation.annotation', 'dense', EVALUATION, 'how supports are annotated in evaluation', choices=ANNOTATIONS),
    Setting('evaluation.head', 'panet', EVALUATION,
        "what is made of the features: `panet`, the paper's prototypes, or those `adapted` to each query: [method](method.md)",
        choices=HEADS),
    Setting('evaluation.batch', 4, EVALUATION, 'images an encoder step, over all devices of a process', least=1),
    Setting('evaluation.cache_gib', 4.0, EVALUATION,
        'GiB for features and labels that are kept, of a process; the rest is computed twice', least=0),
    Setting('evaluation.pictures', 6, EVALUATION, 'how many episodes to draw', least=0, most=MOST_PICTURES),
    Setting('evaluation.pictured', 'random', EVALUATION,
        'which episodes to draw; or numbers of episodes such as `3,17`', choices=('random', 'worst', 'first')),
    Setting('evaluation.untrained', False, EVALUATION, 'also evaluate the network as it was before training'),
    Setting('table.folds', FOLDS, EVALUATION, 'folds of `--mode=table`', items=int, choices=FOLDS, nonempty=True),
    Setting('table.shots', (1, 5), EVALUATION, 'shots of `--mode=table`', items=int, least=1, nonempty=True),
    Setting('table.annotations', ANNOTATIONS, EVALUATION,
        'supports of `--mode=table`', choices=ANNOTATIONS, nonempty=True),
)
# fmt: on
SETTINGS = {setting.name: setting for setting in _ALL}


def flat(config: dict, prefix: str = '') -> dict[str, Any]:
    """The settings of a configuration by their whole names.

    Args:
        config: a configuration as `ConfigDict.to_dict` or a config.json has it, sections within sections.
        prefix: of the names.

    Returns:
        {name: value}; lists in place of tuples, as JSON has them.
    """
    settings = {}
    for name, value in config.items():
        if isinstance(value, dict):
            settings |= flat(value, f'{prefix}{name}.')
        else:
            settings[prefix + name] = list(value) if isinstance(value, tuple) else value
    return settings


def defaults() -> dict[str, Any]:
    """{name: default} of all settings, with lists as `flat` has them."""
    return flat({name: setting.default for name, setting in SETTINGS.items()})


def with_role(*roles: Role) -> tuple[str, ...]:
    """The names of the settings that have one of some roles."""
    return tuple(name for name, setting in SETTINGS.items() if setting.role in roles)


def is_fixed(name: str) -> bool:
    """Whether a workdir holds one value of a setting.

    Args:
        name: of a setting; of another version perhaps, which is taken for what its section is.
    """
    if name in SETTINGS:
        return SETTINGS[name].role in FIXED
    section = name.partition('.')[0]
    roles = [setting.role for known, setting in SETTINGS.items() if known.startswith(f'{section}.')]
    return not roles or any(role in FIXED for role in roles)
