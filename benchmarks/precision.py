"""The precisions of the encoder: results and speed of tf32 and bfloat16, compared with float32.

    python benchmarks/precision.py --root=VOC2012 [--dataset pascal5i] [--list trainval] [--episodes 20] [--size 417] [--weights imagenet]

Prints, for 1-way 1-shot episodes of fold 0: the largest and the mean difference of the logits (which are between -20 and 20),
the fraction of pixels with the same prediction, mean-IoU, the relative difference of the loss, the angle between the gradients
in degrees (on two episodes), and the seconds of a prediction. On a CPU tf32 is float32.
"""

import argparse
import functools
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from panet_jax.datasets.folds import fold_classes
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.method.episode import IGNORE, prepare
from panet_jax.method.metrics import class_counts, confusion_matrix, iou
from panet_jax.method.panet import episode_logits, episode_loss
from panet_jax.networks.choose import load_encoder_params

GRADIENT_EPISODES = 2


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, help="a folder in VOC's layout, or in COCO's")
    parser.add_argument('--dataset', default='pascal5i', choices=('pascal5i', 'coco20i'))
    parser.add_argument('--list', default='trainval')
    parser.add_argument('--weights', default='imagenet')
    parser.add_argument('--episodes', type=int, default=20)
    parser.add_argument('--size', type=int, default=417)
    return parser.parse_args()


def drawn_episodes(arguments, folder):
    """Prepared episodes, their class numbers, the usable classes, and the number of classes of the data set."""
    source = Prepared(prepare_list(arguments.dataset, arguments.list, arguments.root, folder))
    count = len(source.classes)
    usable = [c for c in fold_classes(count, 0) if source.presence[:, c - 1].sum() > 1]
    draws = Draws(images_by_class(source, usable, Task()), Task(), seed=1234)
    episodes = Episodes(source, draws, size=arguments.size)
    numbers = range(arguments.episodes)
    return [prepare(episodes[i]) for i in numbers], [episodes.draw(i).classes for i in numbers], usable, count


def measure(dtype, params, episodes):
    """Logits of all episodes, (loss, gradient) of the first ones, and the median seconds of a prediction."""
    predict = jax.jit(functools.partial(episode_logits, dtype=dtype))
    gradient = jax.jit(jax.value_and_grad(lambda p, e: episode_loss(p, e, dtype=dtype)[0]))
    jax.block_until_ready(predict(params, episodes[0]))
    logits, seconds = [], []
    for episode in episodes:
        started = time.perf_counter()
        logits.append(np.asarray(predict(params, episode)))
        seconds.append(time.perf_counter() - started)
    gradients = [gradient(params, episode) for episode in episodes[:GRADIENT_EPISODES]]
    return np.stack(logits), gradients, float(np.median(seconds))


def mean_iou(logits, episodes, ways, usable, count):
    pairs = zip(logits, episodes, strict=True)
    confusions = [confusion_matrix(jnp.asarray(l.argmax(-1)), e.query_labels, 2)[None] for l, e in pairs]
    counts = class_counts(np.asarray(confusions), np.array(ways), count, absent_false_positives=False)
    return float(np.nanmean(iou(counts)[usable]))


def degrees(one, other):
    product = optax.tree.vdot(one, other) / optax.tree.norm(one) / optax.tree.norm(other)
    return float(np.degrees(np.arccos(min(1.0, float(product)))))


def main():
    arguments = parse()
    with tempfile.TemporaryDirectory() as folder:
        episodes, ways, usable, count = drawn_episodes(arguments, folder)
    params = load_encoder_params(arguments.weights, width=1.0, key=jax.random.key(0))
    valid = np.stack([e.query_labels != IGNORE for e in episodes])
    results = {dtype: measure(dtype, params, episodes) for dtype in COMPUTATIONS}
    exact, exact_gradients, _ = results['float32']
    print(
        f'{jax.devices()[0].device_kind}, jax {jax.__version__}, {len(episodes)} episodes, {arguments.size} x {arguments.size}'
    )
    print('dtype     logits: max   mean  same pixels  mean-IoU  loss, relative  gradients  seconds')
    for dtype, (logits, gradients, seconds) in results.items():
        difference = np.abs(logits - exact)
        same = (logits.argmax(-1) == exact.argmax(-1))[valid].mean()
        losses = max(abs(float(a[0] / b[0]) - 1) for a, b in zip(gradients, exact_gradients, strict=True))
        angle = max(degrees(a[1], b[1]) for a, b in zip(gradients, exact_gradients, strict=True))
        print(
            f'{dtype:9} {difference.max():11.1e} {difference.mean():7.1e} {same:11.3%} {mean_iou(logits, episodes, ways, usable, count):10.4f} '
            f'{losses:14.1e} {angle:9.2f}° {seconds:8.2f}'
        )


if __name__ == '__main__':
    main()
