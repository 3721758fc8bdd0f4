"""A folder of photographs, its options, and its halves of classes: what the benchmarks of masks and presence share."""

import argparse
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

import panet_jax as pj
from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.images.resize import resize, resize_image
from panet_jax.method.edges import SIDE

SHOWN = 0.03  # smallest share of a reference that its class covers
LISTS = {'custom': 'all', 'pascal5i': 'trainval', 'coco20i': 'instances'}  # defaults of --list
OPTIONS = {'data.root': '--root', 'data.train_split': '--list', 'data.test_split': '--list'}


class Photographs(NamedTuple):
    """All photographs of a folder at the network's size.

    Attributes:
        source: the Source of the photographs.
        labels: [I, S, S] uint8.
        images: [I, s, s, 3] uint8, at the working size of `edge_logits`.
        features: [I, h, w, C] float16.
        shares: [I, U] of the pixels that each class covers.
    """

    source: Prepared
    labels: np.ndarray
    images: np.ndarray
    features: np.ndarray
    shares: np.ndarray


def folder_parser(name: str, description: str, **numbers: tuple[int, int]) -> OptionParser:
    """A parser with the options of the folder and the network.

    Args:
        name: file name of the script.
        description: its documentation.
        **numbers: (default, smallest) of further options that are whole numbers, beside --size.

    Returns:
        The parser. `parse_folder` reads its arguments.
    """
    parser = OptionParser(prog=name, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, help='the folder of images and annotations')
    parser.add_argument('--dataset', default='custom', choices=tuple(LISTS), help='its layout (%(default)s)')
    parser.add_argument('--list', help=f'image list ({", ".join(f"{name}: {of}" for name, of in LISTS.items())})')
    parser.add_argument('--weights', default='imagenet')
    for option, (default, least) in {**numbers, 'size': (417, 8)}.items():
        parser.add_argument(f'--{option.replace("_", "-")}', type=whole_number(least), default=default)
    return parser


def add_class_options(parser: OptionParser) -> None:
    """Adds the choice of classes, and the file of features."""
    parser.add_argument('--classes', default='all', choices=('all', 'tune', 'report'))
    parser.add_argument('--features', type=Path, help='file to keep the features in, NAME.npy')


def parse_folder(parser: OptionParser, words: list[str]) -> argparse.Namespace:
    """The arguments; `list` is the layout's own if none is given."""
    arguments = parser.parse_args(words)
    arguments.list = arguments.list or LISTS[arguments.dataset]
    return arguments


def read(arguments, folder):
    """Photographs, encoded or read from --features."""
    source = Prepared(prepare_list(arguments.dataset, arguments.list, arguments.root, folder))
    samples = [resize(source[index], arguments.size) for index in range(len(source))]
    labels = np.stack([sample.label for sample in samples])
    images = np.stack([resize_image(sample.image, min(SIDE, arguments.size)) for sample in samples])
    shares = np.stack([(labels == number).mean((1, 2)) for number in range(1, 1 + len(source.classes))], 1)
    if arguments.features and arguments.features.exists():
        features = np.load(arguments.features)
        if len(features) != len(source):
            raise pj.InputError(f'{arguments.features} has features of {len(features)} images, not of {len(source)}.')
        return Photographs(source, labels, images, features, shares)
    network = pj.load_network(arguments.weights, size=arguments.size)
    encode = jax.jit(lambda image: network.encoder.encode(network.params, pj.normalize(image)).astype(jnp.float16))
    features = np.stack([encode(sample.image) for sample in tqdm(samples, 'encoding', disable=None)])
    if arguments.features:
        np.save(arguments.features, features)
    return Photographs(source, labels, images, features, shares)


def half(shares, which):
    """Columns of the classes of one half: by the number of photographs, dealt out like teams, A B B A."""
    order = sorted(range(shares.shape[1]), key=lambda c: (-(shares[:, c] >= SHOWN).sum(), c))
    wanted = {'all': (0, 1, 2, 3), 'tune': (0, 3), 'report': (1, 2)}[which]
    return [column for place, column in enumerate(order) if place % 4 in wanted]
