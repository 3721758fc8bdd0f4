"""The published numbers of PANet with a VGG-16: mean-IoU in percent, with how sure each is.

From Wang et al., ICCV 2019, tables 1 to 5. Not every number could be checked against the paper itself.
"""

from typing import NamedTuple

PRINTED = ''  # in the paper or said by its authors
QUOTED = '†'  # from one other text
RECALLED = '*'  # from memory; only that the folds have the mean was checked
MEANING = {
    QUOTED: 'quoted from a text other than the paper',
    RECALLED: 'recalled, not checked against the paper',
}


class Published(NamedTuple):
    """One row of the paper.

    Attributes:
        mean: over the four folds.
        mean_source, folds_source: '', '†' or '*', as above.
        folds: of each fold; empty if they are not known.
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
# What a result must have been made with to stand beside the paper's. The paper and the authors' code
# differ on COCO's list; both are allowed.
LISTS = {'pascal5i': ('trainaug',), 'coco20i': ('val2014', 'train2014')}
SAME = {
    **{'protocol': ('panet2019',), 'size': (417,), 'fold_rule': ('contiguous',), 'queries': (1,)},
    **{'smallest_object': (1,), 'weights': ('imagenet',), 'width': (1,), 'checkpoint_step': (0, 30_000)},
    **{'left_out_classes': ([],), 'unseen': ([],)},
}


def published(row):
    """The paper's row for one row of results, and why there is none: (Published or None, sentence)."""
    known = PUBLISHED.get((row['dataset'], bool(row['checkpoint_step']), row['ways'], row['shots'], row['annotation']))
    if known is None:
        return None, ''
    for name, values in {'split': LISTS[row['dataset']], **SAME}.items():
        if row[name] not in values:
            wanted = ' or '.join(str(value) for value in values)
            return None, f"the paper's values do not compare: their {name} is {wanted}, not {row[name]}"
    return known, ''
