"""Whether anything is found outside natural photographs: one annotated picture, a quarter of it as reference for the others.

    python benchmarks/other_domain.py --image FILE --mask FILE [--size 417] [--weights imagenet]

FILE is a picture that scikit-image reads, of any depth, in gray or color, and a mask that is as large; anything but 0 is the class.
Each quarter that shows the class is the reference once, and the other three are segmented. Prints the mean IoU by the paper's head, by
adapted prototypes, and by these with edges, which is the default; the mean of `absent`, where the class is there; and the IoU of
taking everything for the class.
"""

import argparse
import sys

import numpy as np
from photo_folder import OPTIONS
from skimage import exposure, io

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.option_parser import OptionParser, whole_number

HEADS = {'panet': {'head': 'panet', 'edges': False}, 'adapted': {'edges': False}, 'default': {}}
DARK, BRIGHT = 1, 99  # percentiles that become black and white in a picture of more than 8 bits


def main(words):
    """Prints a line; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('other_domain.py', OPTIONS)):
        arguments = parse(words)
        picture, mask = read(arguments.image, arguments.mask)
        parts = quarters(picture, mask)
        for head, options in HEADS.items():
            segmenter = pj.Segmenter(arguments.weights, size=arguments.size, **options)
            ious, absent = zip(*scores(segmenter, parts), strict=True)
            print(f'{head}: IoU {np.mean(ious):.3f} of {len(ious)} quarters, absent {np.mean(absent):.2f}', flush=True)
    everything = [part.mean() for _, part in parts]
    print(f'everything taken for the class: IoU {np.mean(everything):.3f}')


def parse(words):
    parser = OptionParser(
        prog='other_domain.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--image', required=True, metavar='FILE')
    parser.add_argument('--mask', required=True, metavar='FILE')
    parser.add_argument('--weights', default='imagenet')
    parser.add_argument('--size', type=whole_number(8), default=417)
    return parser.parse_args(words)


def read(image, mask):
    """The picture, [H, W, 3] uint8, and the mask, [H, W] bool."""
    try:
        picture, labels = io.imread(image), io.imread(mask)
    except (OSError, ValueError) as error:
        raise pj.InputError(f'{image} or {mask} cannot be read ({error}); name a picture and its mask.') from error
    if labels.ndim != 2 or picture.shape[:2] != labels.shape:
        raise pj.InputError(f'the mask must be [H, W] as the picture {picture.shape}, got {labels.shape}.')
    if picture.dtype != np.uint8:
        low, high = np.percentile(picture, (DARK, BRIGHT))
        picture = exposure.rescale_intensity(picture.astype(float), (low, high), (0, 255)).astype(np.uint8)
    return (np.stack([picture] * 3, -1) if picture.ndim == 2 else picture[..., :3]), labels > 0


def quarters(picture, mask):
    """(picture, mask) of the quarters that show the class and something else."""
    middle = [side // 2 for side in mask.shape]
    rows, columns = ((slice(0, half), slice(half, None)) for half in middle)
    parts = [(picture[row, column], mask[row, column]) for row in rows for column in columns]
    parts = [(image, part) for image, part in parts if part.any() and not part.all()]
    if len(parts) < 2:
        raise pj.InputError('fewer than two quarters of the picture show the class and something else.')
    return parts


def scores(segmenter, parts):
    """Yields IoU and `absent` of each quarter by each other one."""
    for number, reference in enumerate(parts):
        segmenter.fit({'class': [reference]})
        others = parts[:number] + parts[number + 1 :]
        results = segmenter.predict([image for image, _ in others])
        for result, (_, part) in zip(results, others, strict=True):
            found = result.labels == 1
            yield (found & part).sum() / (found | part).sum(), result.absent['class']


if __name__ == '__main__':
    main(sys.argv[1:])
