"""Draws masks to look at: of each query the reference, the truth, the mask by the paper's head and the one by default.

    python benchmarks/quality_pictures.py --root=FOLDER --out FILE.png [--dataset custom] [--classes all|tune|report]
        [--count 24] [--seed 0] [--size 417] [--weights imagenet] [--features FILE.npy]

The queries are drawn at random from those of quality.py's first table with one mask: two of a class at most. FOLDER is the one
of quality.py. Each strip has the class, and IoU by both heads. Prints the same, and how many queries became better.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from photo_folder import OPTIONS, add_class_options, folder_parser, half, parse_folder, read
from PIL import Image, ImageDraw
from quality import episodes, mask_scores, segment_by, show

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.images.overlays import overlay
from panet_jax.images.resize import resize
from panet_jax.method.episode import IGNORE

HEADS = 'panet', 'edges'
OF_CLASS = 2  # most queries of a class
SIDE = 200  # pixels of a picture
SAME = 0.02  # a smaller difference of IoU counts as none


def main(words):
    """Draws the strips in two columns; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('quality_pictures.py', OPTIONS)), tempfile.TemporaryDirectory() as folder:
        arguments = parse(words)
        photographs = read(arguments, folder)
        drawn = draw(photographs, half(photographs.shares, arguments.classes), arguments)
        strips, scores = zip(*(strip(photographs, *one, arguments.size) for one in drawn), strict=True)
        left, right = strips[0::2], [*strips[1::2], *[np.zeros_like(strips[0])] * (len(strips) % 2)]
        picture = Image.fromarray(np.concatenate([np.concatenate(column) for column in (left, right)], 1))
        with replacing(arguments.out) as temporary:
            picture.save(temporary, 'png')
    gains = np.diff(scores, axis=1)[:, 0]
    print(
        f'{len(gains)} queries: {(gains > SAME).sum()} better by more than {SAME}, {(gains < -SAME).sum()} worse; '
        f'IoU {np.mean(scores, 0)[0]:.2f} -> {np.mean(scores, 0)[1]:.2f}; they are in {arguments.out}'
    )


def parse(words):
    parser = folder_parser('quality_pictures.py', __doc__, count=(24, 1), seed=(0, 0))
    add_class_options(parser)
    parser.add_argument('--out', type=Path, required=True, help='file to draw, NAME.png')
    return parse_folder(parser, words)


def draw(photographs, classes, arguments):
    """Some (class, references, query) of the table, at random."""
    found = [
        (column, shown, query)
        for column, shown, queries in episodes(photographs, classes, 1, 1)
        for query in queries[:OF_CLASS]
    ]
    if not found:
        raise InputError(f'no class of {arguments.root} covers enough of two photographs.')
    order = np.random.default_rng(arguments.seed).permutation(len(found))
    return [found[place] for place in order[: arguments.count]]


def strip(photographs, column, shown, query, size):
    """[SIDE, 4 SIDE, 3] uint8 of one query, and its IoU by each of the HEADS."""
    prototypes = show(photographs, {column: shown}, 'dense').prototypes()
    masks = [segment_by(head, 1, size)(photographs, query, prototypes) == 1 for head in HEADS]
    label = photographs.labels[query]
    ious = [mask_scores(mask, label == column + 1, label != IGNORE)[0] for mask in masks]
    pairs = [(shown[0], photographs.labels[shown[0]] == column + 1), (query, label == column + 1)]
    pairs += [(query, mask) for mask in masks]
    picture = Image.fromarray(np.concatenate([small(photographs, *pair, size) for pair in pairs], 1))
    text = f'{photographs.source.classes[column]} {ious[0]:.2f} -> {ious[1]:.2f}'
    ImageDraw.Draw(picture).text((4, 4), text, fill='yellow', stroke_width=2, stroke_fill='black')
    print(text, flush=True)
    return np.asarray(picture), ious


def small(photographs, index, mask, size):
    """A photograph with a mask in color, [SIDE, SIDE, 3] uint8."""
    image = resize(photographs.source[index], size).image
    return np.asarray(Image.fromarray(overlay(image, mask.astype(int))).resize((SIDE, SIDE)))


if __name__ == '__main__':
    main(sys.argv[1:])
