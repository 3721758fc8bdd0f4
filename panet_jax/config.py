"""The paper's experiment as a configuration; the files in configs/ say what differs."""

import ml_collections

from panet_jax.datasets.folds import FOLD_RULES, FOLDS
from panet_jax.disk.paths import local_path, workdir_path
from panet_jax.episodes.annotations import KINDS
from panet_jax.episodes.sampling import UNSEEN_IMAGES
from panet_jax.errors import InputError
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.method.vgg16 import BLOCKS, scaled_channels
from panet_jax.results.protocols import PROTOCOLS
from panet_jax.results.sheets import MOST_PICTURES, PICTURED

# Settings that are counts, periods or sizes, and the least value of each.
LEAST = {
    **dict.fromkeys(('steps', 'batch', 'accumulate', 'log_every', 'checkpoint_every', 'checkpoints_kept'), 1),
    **{
        'loader.threads': 0,
        'loader.workers': 0,
        'data.smallest_object': 1,
        'data.fold_seed': 0,
        'data.annotation_seed': 0,
    },
    **{'data.size': 8, 'episode.ways': 1, 'episode.shots': 1, 'episode.queries': 1, 'optimizer.clip_norm': 0},
    **{
        'evaluation.runs': 1,
        'evaluation.episodes': 1,
        'evaluation.batch': 1,
        'evaluation.pictures': 0,
        'seed': 0,
        'evaluation.cache_gib': 0,
    },
    **dict.fromkeys(('optimizer.learning_rate', 'optimizer.weight_decay', 'align_weight', 'checkpoint_minutes'), 0),
    'evaluation.seed': 0,
}
CHOICES = {
    'data.fold': tuple(range(FOLDS)),
    'data.fold_rule': FOLD_RULES,
    'data.unseen_images': UNSEEN_IMAGES,
    'encoder.dtype': tuple(COMPUTATIONS),
    'annotation': tuple(KINDS),
    'evaluation.annotation': tuple(KINDS),
    'evaluation.protocol': tuple(PROTOCOLS),
    'evaluation.draw': ('seeded', 'panet2019'),
}


def base_config(name, preset=''):
    """PANet's recipe (section 4.1 and the reference's config.py), for full-width ImageNet weights.

    Args:
        name: of the experiment; its results go to runs/NAME-... by default.
        preset: '' or 'lite'; the file that asks says what a lite run changes.
    """
    if preset not in ('', 'lite'):
        raise InputError(f"configs/{name}.py has the preset 'lite' and, without one, the whole run; got {preset!r}.")
    config = ml_collections.ConfigDict()
    config.name = f'{name}-{preset}' if preset else name
    config.seed = 1234
    config.steps = 30_000
    config.batch = 1  # episodes a step, over all devices of all processes
    config.accumulate = 1  # parts of a device's share that are computed one after the other, to save memory
    config.align_weight = 1.0
    config.annotation = 'dense'  # of supports in training: 'dense', 'scribble' or 'box'
    config.checkpoint = 'latest'  # to evaluate: 'latest', a step, another workdir, '' for no training
    config.checkpoint_every = 1000
    config.checkpoint_minutes = 10.0  # without a checkpoint at most; 0 is off
    config.checkpoints_kept = 2
    config.log_every = 100

    config.data = data = ml_collections.ConfigDict()
    data.name = name  # 'shapes', 'pascal5i', 'coco20i' or 'custom'
    data.root = ''  # folder of the files; '' downloads a benchmark's official archives
    data.prepared_dir = ''  # where prepared data go; '' is $TFDS_DATA_DIR, else ~/tensorflow_datasets
    data.skip_unreadable = False  # leave out images that cannot be read, and say how many
    data.cache = False  # keep the resized images too: faster, and larger on disk
    data.train_split = ''
    data.test_split = ''  # '' is the protocol's list
    data.unseen = ()  # names of the unseen classes, in place of a fold
    data.fold = 0
    data.fold_rule = 'contiguous'
    data.fold_seed = 0  # of the rule 'random'
    data.unseen_images = 'background'  # training images that show unseen classes: kept so, or 'drop'
    data.smallest_object = 1  # pixels of a class that an image must show to be drawn for it
    data.annotation_seed = 0  # of scribbles, and of which one is taken of a class
    data.size = 417
    data.flip = True

    config.loader = loader = ml_collections.ConfigDict()
    loader.threads = 16  # that read and assemble episodes; in each worker, if there are any
    loader.workers = 0  # processes, for machines with many cores

    config.episode = episode = ml_collections.ConfigDict()
    episode.ways = 1
    episode.shots = 1
    episode.queries = 1

    config.encoder = encoder = ml_collections.ConfigDict()
    encoder.weights = 'imagenet'  # or 'random', or a path
    encoder.width = 1.0
    encoder.dtype = 'tf32'  # the device's fast float32; 'float32', 'bfloat16'; parameters are float32 in all
    encoder.rematerialize = False  # in training: an episode's images one by one, a third more work for less memory

    config.optimizer = optimizer = ml_collections.ConfigDict()
    optimizer.learning_rate = 1e-3
    optimizer.momentum = 0.9
    optimizer.weight_decay = 5e-4
    optimizer.milestones = (10_000, 20_000)
    optimizer.decay = 0.1
    optimizer.clip_norm = 0.0  # 0 is off

    config.evaluation = evaluation = ml_collections.ConfigDict()
    evaluation.runs = 5
    evaluation.episodes = 1000
    evaluation.seed = 1234  # of the first run; the next ones count on
    evaluation.protocol = 'panet2019'  # or 'standard'; panet_jax/results/protocols.py says how they differ
    evaluation.draw = 'seeded'  # episodes of our own, or 'panet2019', the very ones of the authors' code
    evaluation.skip_small_classes = False  # leave out classes with too few images for an episode, and say which
    evaluation.annotation = 'dense'  # of supports: 'dense', 'scribble' or 'box'
    evaluation.batch = 4  # images an encoder step, over all devices of a process
    evaluation.cache_gib = 4.0  # for their features and labels, of a process; what does not fit is computed twice
    evaluation.pictures = 6  # episodes on the sheet
    evaluation.pictured = 'random'  # which: 'random', 'worst', 'first', or numbers such as '3,17'
    evaluation.untrained = False  # also evaluate the network as it was before training

    config.table = table = ml_collections.ConfigDict()  # of --mode=table
    table.folds = tuple(range(FOLDS))
    table.shots = (1, 5)
    table.annotations = tuple(KINDS)
    config.lock()
    return config


def shrink(config):
    """Makes a run fit a laptop: 200 steps at 129 x 129 pixels, 2 x 100 episodes."""
    config.data.size = 129
    config.steps = 200
    config.log_every = 10
    config.checkpoint_every = 50
    config.evaluation.runs = 2
    config.evaluation.episodes = 100


def check_config(config):
    """Checks the values of a configuration before anything is done with it.

    Raises:
        InputError: the setting, what it may be and what it is.
    """
    values = config.to_dict()

    def value(name):
        section, _, field = name.rpartition('.')
        try:
            return values[section][field] if section else values[field]
        except KeyError as error:
            raise InputError(
                f'the configuration has no {name}; begin it with base_config, as those in configs/ do.'
            ) from error

    for name, least in LEAST.items():
        if not value(name) >= least:  # nan too
            raise InputError(f'{name} must be at least {least}, got {value(name)}.')
    for name, choices in CHOICES.items():
        if value(name) not in choices:
            *rest, last = map(str, choices)
            wanted = f'{", ".join(rest)} or {last}' if rest else last
            raise InputError(f'{name} must be {wanted}, got {value(name)}.')
    for name, choices in (('folds', range(FOLDS)), ('shots', range(1, 10**6)), ('annotations', KINDS)):
        cells = config.table[name]
        if not cells or not all(cell in choices for cell in cells):
            wanted = 'a whole number from 1' if name == 'shots' else f'of {", ".join(map(str, choices))}'
            raise InputError(f'table.{name} must be one or more, each {wanted}; got {cells}.')
    for name, kind, wanted in (
        ('optimizer.milestones', int, 'steps, such as 10000,20000'),
        ('data.unseen', str, 'names'),
    ):
        if not all(isinstance(each, kind) for each in value(name)):
            raise InputError(f'{name} must be {wanted}, got {value(name)}.')
    for name in ('data.root', 'data.prepared_dir'):
        local_path(value(name), f'--config.{name}')
    for name in ('encoder.weights', 'checkpoint'):
        workdir_path(value(name), f'--config.{name}')
    _check_pictures(config.evaluation)
    scaled_channels(BLOCKS[0][1], config.encoder.width)


def _check_pictures(evaluation):
    if evaluation.pictures > MOST_PICTURES:
        raise InputError(f'evaluation.pictures must be at most {MOST_PICTURES}, got {evaluation.pictures}.')
    picked, last = evaluation.pictured, evaluation.episodes - 1
    numbers = [number.strip() for number in picked.split(',')]
    if picked not in PICTURED and not all(number.isdigit() and int(number) <= last for number in numbers):
        raise InputError(
            f'evaluation.pictured must be {", ".join(PICTURED)}, or numbers of episodes up to {last} such as 3,17; '
            f'got {picked!r}.'
        )
    if picked not in PICTURED and len(numbers) > MOST_PICTURES:
        raise InputError(f'evaluation.pictured may name at most {MOST_PICTURES} episodes, got {len(numbers)}.')
