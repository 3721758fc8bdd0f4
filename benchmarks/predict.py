"""Time and memory of the Segmenter: one image, many images, a new reference, a large photograph.

    python benchmarks/predict.py [--weights imagenet] [--size 417] [--batch 4] [--rounds 9]

The photographs are synthetic (JPEG, 500 x 375 and 6000 x 4000). Times are medians after a first call, which compiles.
Memory is the peak of the process so far.
"""

import argparse
import dataclasses
import resource
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image

import panet_jax as pj


def draw_photograph(path, width, height, seed):
    """A JPEG of smooth blots, of about as many bytes as a photograph."""
    blots = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), np.uint8)
    Image.fromarray(blots).resize((width, height), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def measure(what, rounds, function):
    """Prints the median time of a function, the time of its first call, and the peak memory of the process."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f'{what:52} {statistics.median(times[1:]):8.3f} s {times[0]:8.2f} s {memory:6.2f} GiB', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--weights', default='imagenet')
    for name, default in (('size', 417), ('batch', 4), ('rounds', 9)):
        parser.add_argument(f'--{name}', type=int, default=default)
    arguments = parser.parse_args()
    print(f'{jax.devices()[0].device_kind}, {arguments.size} x {arguments.size}, batches of {arguments.batch}')
    print(f'{"":52} {"median":>8}   {"first":>8}   {"memory":>6}')
    with tempfile.TemporaryDirectory() as folder:
        small = [draw_photograph(Path(folder) / f'{seed}.jpg', 500, 375, seed) for seed in range(4 * arguments.batch)]
        large = draw_photograph(Path(folder) / 'large.jpg', 6000, 4000, 0)
        box = pj.Box(100, 100, 300, 300)
        segmenter = pj.Segmenter(arguments.weights, size=arguments.size, batch=arguments.batch)
        few, many = arguments.rounds, max(1, arguments.rounds // 3)
        measure('fit: 1 reference', few, lambda: segmenter.fit({'blot': [(small[0], box)]}))
        measure('predict, labels: 1 image, 500 x 375', few, lambda: segmenter.predict(small[1]).labels)
        result = segmenter.predict(small[1])
        measure('   the part for labels, from the logits', few, lambda: dataclasses.replace(result).labels)
        measure(f'stream, labels: {len(small)} images', many, lambda: [r.labels for r in segmenter.stream(small)])
        measure('predict, labels: 1 image, 6000 x 4000', many, lambda: segmenter.predict(large).labels)
        measure('predict, probabilities: 1 image, 6000 x 4000', many, lambda: segmenter.predict(large).probabilities)
        # An image that is already a reference would not be encoded again.
        others = iter(
            [draw_photograph(Path(folder) / f'other {seed}.jpg', 500, 375, 1000 + seed) for seed in range(many + 1)]
        )
        measure('add: 1 reference to the others', many, lambda: segmenter.add('blot', next(others), box))


if __name__ == '__main__':
    main()
