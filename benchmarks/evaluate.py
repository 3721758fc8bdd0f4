"""The speed of evaluation: one pass over the images, as in the program, compared with episode by episode.

    python benchmarks/evaluate.py --root=VOC2012 [--dataset pascal5i] [--list trainval] [--shots 1] [--runs 5] [--episodes 1000]
        [--plain-episodes 50] [--size 417] [--cache-gib 4] [--weights imagenet]

Scores the untrained network on runs x episodes of fold 0 in one pass over the images. Then scores the first --plain-episodes
one by one, and extrapolates the time to all. Both give the same counts, except for pixels whose logits are equal up to float
rounding. Times are measured after compilation, in one process.
"""

import argparse
import resource
import tempfile
import time

import numpy as np

from panet_jax.datasets.folds import fold_classes
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.episodes.annotations import KINDS, SupportReader
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.evaluation.batches import AnnotatedImages
from panet_jax.evaluation.counting import Evaluator
from panet_jax.evaluation.plain import episode_confusions
from panet_jax.method.metrics import class_counts, iou
from panet_jax.method.vgg16 import vgg16
from panet_jax.networks.initial import InitialNetwork
from panet_jax.networks.network import Network


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, help="a folder in VOC's layout, or in COCO's")
    parser.add_argument('--dataset', default='pascal5i', choices=('pascal5i', 'coco20i'))
    parser.add_argument('--list', default='trainval')
    parser.add_argument('--weights', default='imagenet')
    for name, default in (('shots', 1), ('runs', 5), ('episodes', 1000), ('plain-episodes', 50), ('size', 417)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--annotation', default='dense', choices=KINDS)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--cache-gib', type=float, default=4.0)
    return parser.parse_args()


def mean_iou(confusions, draws, source, classes):
    ways = np.array([draw.classes for draw in draws])
    counts = class_counts(confusions, ways, len(source.classes), absent_false_positives=False)
    return float(np.nanmean(iou(counts)[classes]))


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        source = Prepared(prepare_list(arguments.dataset, arguments.list, arguments.root, folder))
        classes = fold_classes(len(source.classes), 0)
        usable = [c for c in classes if source.presence[:, c - 1].sum() > arguments.shots]
        task = Task(shots=arguments.shots)
        images = images_by_class(source, usable, task)
        reader = SupportReader(arguments.annotation)
        runs = [
            Episodes(source, Draws(images, task, 1234 + run), size=arguments.size, reader=reader)
            for run in range(arguments.runs)
        ]
        encoder = vgg16(1.0 if arguments.weights == 'imagenet' else 0.125)
        network = Network(encoder, InitialNetwork(encoder, arguments.weights).load(), arguments.size)
        evaluator = Evaluator(network.encoder, batch=arguments.batch, cache_gib=arguments.cache_gib)
        reader = SupportReader(arguments.annotation)
        annotated = AnnotatedImages(source, usable, reader, arguments.size, own_size=False)

        def fast(draws):
            return evaluator.count(network.params, draws, annotated).confusions

        draws = [episodes.draw(index) for episodes in runs for index in range(arguments.episodes)]
        fast(draws[:2])  # compiles
        started = time.perf_counter()
        counted = fast(draws)
        fast_seconds = time.perf_counter() - started

        def score(episode):
            return episode_confusions(network, episode, episode.query_labels, dtype='float32')

        score(runs[0][0])
        started = time.perf_counter()
        plain = np.array([score(runs[0][index]) for index in range(arguments.plain_episodes)])
        plain_seconds = (time.perf_counter() - started) / arguments.plain_episodes * len(draws)

        fast_counts, first_draws = counted[: len(plain)], draws[: len(plain)]
        images = {int(i) for draw in draws for i in (*draw.supports.flat, *draw.queries)}
        print(
            f'{len(draws)} episodes, {arguments.shots}-shot, {len(images)} images, {arguments.size} x {arguments.size}'
        )
        print(f'one pass over the images: {fast_seconds:.1f} s, cache of {arguments.cache_gib} GiB')
        print(
            f'episode by episode: {plain_seconds:.0f} s, from {len(plain)} episodes; {plain_seconds / fast_seconds:.0f} times'
        )
        print(f'of {len(plain)} episodes {(fast_counts == plain).all((1, 2, 3)).sum()} have the same counts; ', end='')
        print(f'{np.abs(fast_counts - plain).sum() // 2} of {plain.sum()} pixels differ')
        scores = [mean_iou(counts, first_draws, source, usable) for counts in (fast_counts, plain)]
        print(
            f'mean-IoU of these {scores[0]:.6f} and {scores[1]:.6f}; of all {mean_iou(counted, draws, source, usable):.6f}'
        )
        print(f'peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB')


if __name__ == '__main__':
    main()
