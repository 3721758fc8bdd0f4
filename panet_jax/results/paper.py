"""The published results of PANet with a VGG-16: mean-IoU in percent, with the source of each number.

From Wang et al., ICCV 2019, tables 1 to 5. Not every number could be checked in the paper itself.
"""

from typing import NamedTuple

from panet_jax.results.result import EARLIER
from panet_jax.settings import defaults

# The source of a number, as a mark after it.
PRINTED = ''  # the paper, or its authors elsewhere
QUOTED = '†'  # another text that quotes it
RECALLED = '*'  # from memory; only that the folds have this mean was checked
# Their names in CSV and JSON files.
SOURCES = {PRINTED: 'printed', QUOTED: 'quoted', RECALLED: 'recalled'}
MEANING = {
    QUOTED: 'quoted from a text other than the paper',
    RECALLED: 'recalled, not checked against the paper',
}


class Published(NamedTuple):
    """One row of the paper.

    Attributes:
        mean: mean over the four folds.
        mean_source, folds_source: '', '†' or '*', as above.
        folds: value of each fold; empty if unknown.
    """

    mean: float
    mean_source: str = PRINTED
    folds: tuple[float, ...] = ()
    folds_source: str = RECALLED


# (data set, trained, ways, shots, annotation of the supports)
PUBLISHED = {
    ('pascal5i', True, 1, 1, 'dense'): Published(48.1, PRINTED, (42.3, 58.0, 51.1, 41.2)),
    ('pascal5i', True, 1, 5, 'dense'): Published(55.7, PRINTED, (51.8, 64.6, 59.8, 46.5)),
    ('pascal5i', False, 1, 1, 'dense'): Published(35.3, RECALLED, (30.8, 40.7, 38.3, 31.4)),
    ('pascal5i', False, 1, 5, 'dense'): Published(46.7, RECALLED, (41.6, 52.7, 51.6, 40.8)),
    ('pascal5i', True, 2, 1, 'dense'): Published(45.1, QUOTED),
    ('pascal5i', True, 2, 5, 'dense'): Published(53.1, QUOTED),
    ('pascal5i', True, 1, 1, 'scribble'): Published(44.8, QUOTED),
    ('pascal5i', True, 1, 5, 'scribble'): Published(54.6, QUOTED),
    ('pascal5i', True, 1, 1, 'box'): Published(45.1, QUOTED),
    ('pascal5i', True, 1, 5, 'box'): Published(52.8, QUOTED),
    ('coco20i', True, 1, 1, 'dense'): Published(20.9),
    ('coco20i', True, 1, 5, 'dense'): Published(29.7),
}
# The image lists of evaluation, with their numbers of images as prepared here (for COCO, images that show an object).
# The paper and the authors' code name different lists of COCO; both are allowed.
LISTS = {'pascal5i': {'trainaug': 10_582}, 'coco20i': {'val2014': 40_137, 'train2014': 82_081}}
TRAIN_LIST = {'pascal5i': 'trainaug', 'coco20i': 'train2014'}
# The settings that an evaluation must have to compare with the paper's.
EVALUATION = {
    **{
        'protocol': ('panet2019',),
        'head': ('panet',),
        'debias': (0,),
        'size': (417,),
        'fold_rule': ('contiguous',),
        'queries': (1,),
    },
    **{'runs': (5,), 'episodes': (1000,), 'smallest_object': (1,), 'skipped_images': (0,)},
    **{'encoder': ('vgg16',), 'width': (1,), 'left_out_classes': ([],), 'unseen': ([],)},
}
# The settings that a training must have to compare with the paper's. Scribbles and boxes were used in evaluation only.
TRAINING = {
    **{'batch': (1,), 'align_weight': (1,), 'annotation': ('dense',), 'episode.queries': (1,)},
    **{'data.size': (417,), 'data.flip': (True,), 'data.smallest_object': (1,), 'data.unseen_images': ('background',)},
    **{'data.skip_unreadable': (False,), 'encoder.weights': ('imagenet', 'vgg16'), 'encoder.width': (1,)},
    **{'optimizer.learning_rate': (1e-3,), 'optimizer.momentum': (0.9,), 'optimizer.weight_decay': (5e-4,)},
    **{'optimizer.milestones': ([10_000, 20_000],), 'optimizer.decay': (0.1,), 'optimizer.clip_norm': (0,)},
    **{
        'encoder.frozen': (0,),
        'optimizer.name': ('sgd',),
        'optimizer.schedule': ('milestones',),
        'optimizer.warmup': (0,),
    },
}


def published(row: dict) -> tuple[Published | None, str]:
    """The paper's values for one row of results.

    Args:
        row: a row of results.

    Returns:
        The values and ''; or None and the reason why they do not compare, '' if the paper has none.
    """
    row = EARLIER | row
    values = PUBLISHED.get((row['dataset'], bool(row['checkpoint_step']), row['ways'], row['shots'], row['annotation']))
    if values is None:
        return None, ''
    if row['checkpoint_step'] and not row.get('training'):
        return None, "the paper's values do not compare: the result does not say how its network was trained"
    different = [
        f'their {name} is {" or ".join(map(str, allowed))}, not {value}'
        for name, allowed, value in _compared(row)
        if value not in allowed
    ]
    return (None, f"the paper's values do not compare: {'; '.join(different)}") if different else (values, '')


def _compared(row):
    """(name, allowed values, value of this row) of each setting that must agree."""
    lists = LISTS[row['dataset']]
    of_all = {'split': tuple(lists), 'images': (lists.get(row['split'], row['images']),), **EVALUATION}
    of_network = {'weights': ('imagenet',)}
    of_training = {}
    if row['checkpoint_step']:
        of_network = {'trained_on': (row['dataset'],), 'checkpoint_step': (30_000,)}
        as_here = {f'episode.{name}': (row[name],) for name in ('ways', 'shots')}
        of_training = TRAINING | as_here | {'data.train_split': (TRAIN_LIST[row['dataset']],)}
    return [
        *((name, values, row.get(name)) for name, values in (of_all | of_network).items()),
        *(
            (f"training's {name}", values, (defaults() | row['training']).get(name))
            for name, values in of_training.items()
        ),
    ]
