"""Encoders side by side, untrained, on the same episodes of a folder of photographs.

    python benchmarks/encoders.py --root=FOLDER [--dataset coco20i] [--list instances] [--shots 1 5] [--runs 2]
        [--episodes 100] [--encoders vgg16 resnet50 FILE.safetensors ...] [--out encoders.md]
    python benchmarks/encoders.py --cost [--encoders ...]

Without --encoders it takes all encoders whose published weights are on this machine. Prints, and writes as a table, the
mean-IoU over four folds of classes, milliseconds a photograph (median of nine, one at a time, compiled), parameters,
and the memory of activations. Each network sees photographs at the size it was made for. --cost leaves out the mean-IoU;
it needs no photographs and no weights, and takes all encoders with random weights.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import panet_jax as pj
from panet_jax.config import base_config
from panet_jax.disk.workdir import write_text
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.networks.encoders import encoder_named
from panet_jax.networks.network import Network
from panet_jax.networks.published import PUBLISHED, is_at_hand

FOLDS = range(4)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--root', help="a folder in COCO's layout, or in VOC's")
    source.add_argument(
        '--cost', action='store_true', help='only time and memory, of all encoders, with random weights'
    )
    parser.add_argument('--dataset', default='coco20i', choices=('pascal5i', 'coco20i'))
    parser.add_argument('--list', default='instances')
    parser.add_argument('--shots', type=int, nargs='+', default=[1, 5])
    parser.add_argument('--runs', type=int, default=2)
    parser.add_argument('--episodes', type=int, default=100)
    parser.add_argument('--encoders', nargs='+', help='names, or files of weights')
    parser.add_argument('--out', type=Path)
    arguments = parser.parse_args()
    at_hand = PUBLISHED if arguments.cost else filter(is_at_hand, PUBLISHED)
    names = arguments.encoders or ['vgg16', *at_hand]
    shots = [] if arguments.cost else arguments.shots
    columns = ['encoder', 'pixels', *(f'{number}-shot' for number in shots), 'ms', 'parameters', 'activations']
    lines = [f'| {" | ".join(columns)} |', f'|{" --- |" * len(columns)}']
    for name in names:
        network = with_random_weights(name) if arguments.cost else pj.load_network(name)
        scores = [f'{mean_iou(name, network, number, arguments):.1%}' for number in shots]
        cells = [Path(name).name, network.size, *scores, *cost(network)]
        lines.append(f'| {" | ".join(map(str, cells))} |')
        print('\n'.join(lines if name == names[0] else lines[-1:]), flush=True)
    if arguments.out:
        write_text(arguments.out, '\n'.join(lines) + '\n')


def with_random_weights(name):
    """The Network of an encoder by name."""
    encoder = encoder_named(name)
    return Network(encoder, encoder.initial(jax.random.key(0)), encoder.size)


def mean_iou(name, network, shots, arguments):
    """The mean of the folds' mean-IoU, in 0..1."""
    scores = []
    for fold in FOLDS:
        config = base_config(arguments.dataset)
        config.checkpoint = ''
        config.encoder.name, config.encoder.width = network.encoder.name, float(network.encoder.width)
        config.encoder.weights = 'imagenet' if name == 'vgg16' else name
        config.data.root, config.data.size, config.data.fold = arguments.root, network.size, fold
        config.data.train_split = config.data.test_split = arguments.list
        config.episode.shots = shots
        config.evaluation.runs, config.evaluation.episodes = arguments.runs, arguments.episodes
        config.evaluation.skip_small_classes = True
        config.evaluation.pictures = 0
        with tempfile.TemporaryDirectory() as workdir:
            scores.append(evaluate(config, workdir)['mean_iou'])
    return float(np.mean(scores))


def cost(network):
    """Milliseconds a photograph, millions of parameters, and mebibytes of activations, as texts."""
    images = jnp.zeros((1, network.size, network.size, 3))
    compiled = jax.jit(network.encoder.encode).lower(network.params, images).compile()
    seconds = []
    for _ in range(10):
        started = time.perf_counter()
        compiled(network.params, images).block_until_ready()
        seconds.append(time.perf_counter() - started)
    parameters = sum(leaf.size for leaf in jax.tree.leaves(network.params))
    memory = compiled.memory_analysis()
    activations = f'{memory.temp_size_in_bytes / 2**20:.0f} MiB' if memory else '?'
    return f'{1000 * statistics.median(seconds[1:]):.0f}', f'{parameters / 1e6:.1f} M', activations


if __name__ == '__main__':
    main()
