"""The effect of negatives: IoU on photographs with the class, and false finds on photographs without it.

    python benchmarks/negatives.py --root=FOLDER [--classes all|tune|report] [--shots 1 3] [--draws 1] [--others 10]
        [--size 417] [--weights imagenet] [--features FILE.npy]

Episodes and options are those of quality.py, with masks as annotations. Of --others photographs without the class, those
with the most false finds become negatives, as whole photographs, like a user's choice. IoU is on photographs that show the class;
`found` is the share of pixels found on --others further photographs without it. Prints means over the classes.
"""

import sys
import tempfile

import numpy as np
from photo_folder import OPTIONS, Photographs, add_class_options, folder_parser, half, parse_folder, read
from quality import episodes, mask_scores, segment_by, show

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.option_parser import whole_number
from panet_jax.method.episode import IGNORE

COUNTS = 0, 1, 2  # numbers of negatives


def main(words):
    """Prints the table; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('negatives.py', OPTIONS)), tempfile.TemporaryDirectory() as folder:
        arguments = parse(words)
        photographs = read(arguments, folder)
        print(f'{"references":>10} {"negatives":>9} {"IoU":>6} {"found":>6} classes')
        for shots in arguments.shots:
            print_rows(photographs, shots, arguments)


def parse(words):
    parser = folder_parser('negatives.py', __doc__, draws=(1, 1), others=(10, 1))
    add_class_options(parser)
    parser.add_argument('--shots', nargs='*', type=whole_number(1), default=[1, 3])
    return parse_folder(parser, words)


def print_rows(photographs, shots, arguments):
    """Prints a row for each number of negatives."""
    segment = segment_by('adapted', shots, arguments.size)
    scores = {count: {} for count in COUNTS}
    for number, (column, drawn, queries) in enumerate(
        episodes(photographs, half(photographs.shares, arguments.classes), shots, arguments.draws)
    ):
        without = np.flatnonzero(photographs.shares[:, column] == 0)
        without = np.random.default_rng([column, number]).permutation(without)[: 2 * arguments.others]
        candidates, others = without[: arguments.others], without[arguments.others :]
        shown = show(photographs, {column: drawn}, 'dense')
        candidate_shares = [found_share(photographs, index, segment, shown.prototypes()) for index in candidates]
        worst = candidates[np.argsort(candidate_shares)[::-1]]
        for count, of_classes in scores.items():
            prototypes = with_negatives(photographs, shown, worst[:count])
            ious = [iou(photographs, index, column, segment, prototypes) for index in queries]
            shares = [found_share(photographs, index, segment, prototypes) for index in others]
            of_classes.setdefault(column, []).append((np.mean(ious), np.mean(shares)))
    for count, of_classes in scores.items():
        means = np.mean([np.mean(scores_of_class, 0) for scores_of_class in of_classes.values()], 0)
        print(f'{shots:10} {count:9} {means[0]:6.3f} {means[1]:6.3f} {len(of_classes)}', flush=True)


def with_negatives(photographs: Photographs, shown, negatives):
    """[2, C]: the prototypes with negatives as further backgrounds, as in `Segmenter.add_negative`."""
    backgrounds = [
        *shown.background.mean(),
        *(photographs.features[i].astype(np.float32).mean((0, 1)) for i in negatives),
    ]
    return np.stack([np.mean(backgrounds, 0), shown.prototypes()[1]]).astype(np.float32)


def found_share(photographs, index, segment, prototypes):
    """The share of the pixels of a photograph that is found."""
    return (segment(photographs, index, prototypes) == 1).mean()


def iou(photographs, index, column, segment, prototypes):
    """IoU of one photograph that shows the class."""
    label = photographs.labels[index]
    found = segment(photographs, index, prototypes) == 1
    return mask_scores(found, label == column + 1, label != IGNORE)[0]


if __name__ == '__main__':
    main(sys.argv[1:])
