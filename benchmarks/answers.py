"""What answers of a user bring: the decision which photographs show a class, after so many questions a class.

    python benchmarks/answers.py --root=FOLDER [--classes all|tune|report] [--draws=3] [--together=8] [--names CLASS ...]
        [--size 417] [--weights imagenet] [--features FILE.npy]

The folder is the one of quality.py's second table, and so are the draws, three masks a class, and IoU, precision and recall,
of all pairs of a photograph and a class; those that were answered count as answered. Questions are asked as `panet-jax predict
--review` does, and answered from the masks: yes if any pixel shows the class. `large` is the recall of pairs in which the
class covers 5 % of the photograph. `rest` is precision and recall of the pairs without an answer, `base` the share of them
that is true. `all` takes every class to be in every photograph, `presence` decides of each photograph alone, 0 answers is the
decision of `panet-jax predict` for a folder; `known` is told all. Medians over the draws.
"""

import sys
import tempfile

import numpy as np
from photo_folder import OPTIONS, add_class_options, folder_parser, half, parse_folder, read
from quality import FOLDER_SHOTS, SOUGHT, decide, draw_folder, folder_scores, segment_by

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.method.answers import (
    FOLDER_ABOVE,
    UNKNOWN,
    descriptor,
    next_question,
    presence_after,
)

COUNTS = 0, 3, 5, 10, 20  # of answers a class


def main(words):
    """Prints the table; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('answers.py', OPTIONS)), tempfile.TemporaryDirectory() as folder:
        arguments = parse(words)
        photographs = read(arguments, folder)
        classes = half(photographs.shares, arguments.classes)
        rows = {}
        for draw in range(arguments.draws):
            for way, numbers in scores_of(photographs, classes, draw, arguments).items():
                rows.setdefault(way, []).append(numbers)
    print(
        f'{"answers a class":18} {"IoU":>6} {"precis":>6} {"recall":>6} {"large":>6} {"rest p":>6} {"recall":>6} {"base":>6}'
    )
    for way, numbers in rows.items():
        print(f'{way:18} ' + ' '.join(f'{value:6.3f}' for value in np.median(numbers, 0)))


def parse(words):
    parser = folder_parser('answers.py', __doc__, draws=(3, 1), together=(8, 1))
    add_class_options(parser)
    parser.add_argument('--names', nargs='*', help='of the classes, in place of drawn ones')
    return parse_folder(parser, words)


def scores_of(photographs, classes, draw, arguments):
    """{way: IoU, precision, recall, that of large ones, both of the rest, and its share of true pairs} of one draw."""
    shown, columns, prototypes, others, truth = draw_folder(photographs, classes, draw, arguments)
    presence = decide(photographs, shown, prototypes, others)
    nothing = np.full(truth.shape, UNKNOWN)
    large = photographs.shares[np.ix_(others, columns)] >= SOUGHT
    decisions = {'all': (np.ones_like(truth), nothing)}
    decisions |= {f'presence >= {FOLDER_ABOVE}': (presence >= FOLDER_ABOVE, nothing)}
    described = [
        np.stack([descriptor(photographs.features[i].astype(np.float32)) for i in some])
        for some in (others, shown.images)
    ]
    known = np.asarray(shown.foreground.count) > 0
    decisions |= {str(count): decided(presence, truth, count, (*described, known)) for count in COUNTS}
    decisions['known'] = (truth, truth.astype(int))
    segment = segment_by('edges', FOLDER_SHOTS, arguments.size)
    return {
        way: (
            *folder_scores(photographs, others, columns, prototypes, taken, truth, segment),
            (taken & large).sum() / max(large.sum(), 1),
            *of_rest(taken, truth, answers == UNKNOWN),
        )
        for way, (taken, answers) in decisions.items()
    }


def decided(presence, truth, count, descriptors):
    """The decision after `count` answers a class, [M, N] bool, and the answers, [M, N] int."""
    answers = np.full(truth.shape, UNKNOWN)
    for _ in range(min(count, len(truth))):
        after = presence_after(presence, answers, *descriptors)
        for column in range(truth.shape[1]):
            asked = next_question(after[:, column], answers[:, column] == UNKNOWN)
            answers[asked, column] = truth[asked, column]
    taken = presence_after(presence, answers, *descriptors) >= FOLDER_ABOVE
    return np.where(answers == UNKNOWN, taken, answers == 1), answers


def of_rest(taken, truth, rest):
    """Precision, recall, and the share of true pairs, of the pairs without an answer."""
    hits = (taken & truth & rest).sum()
    return (
        hits / max((taken & rest).sum(), 1),
        hits / max((truth & rest).sum(), 1),
        truth[rest].mean() if rest.any() else 0.0,
    )


if __name__ == '__main__':
    main(sys.argv[1:])
