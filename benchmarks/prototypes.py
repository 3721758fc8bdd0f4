"""The speed of masked means: pooling with the transposed upsampling, compared with upsampled features.

    python benchmarks/prototypes.py [--size 417] [--channels 512] [--repeats 5]

`pushed down` is the program's method: the mask is reduced to the feature grid by the transpose of the upsampling.
`upsampled` is literally the paper's: features are upsampled to the size of the image, multiplied by the mask and summed.
It is checked that both give the same numbers. GiB is XLA's memory for intermediate results.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.prototypes import COUNT_EPSILON, masked_mean
from panet_jax.method.vgg16 import STRIDE


def upsampled_mean(features, masks):
    """[h, w, C], [L, H, W] -> [L, C], through [H, W, C]."""
    upsampled = jax.image.resize(features, (*masks.shape[1:], features.shape[-1]), 'bilinear')
    sums = jnp.stack([(upsampled * mask[..., None]).sum((0, 1)) for mask in masks])
    return sums / (masks.sum((1, 2))[:, None] + COUNT_EPSILON)


def pushed_mean(features, masks):
    return jax.vmap(masked_mean, (None, 0))(features, masks)


def with_gradient(function):
    return jax.grad(lambda features, masks: jnp.square(function(features, masks)).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=417)
    parser.add_argument('--channels', type=int, default=512)
    parser.add_argument('--repeats', type=int, default=5)
    arguments = parser.parse_args()
    rng, grid = np.random.default_rng(0), -(-arguments.size // STRIDE)
    features = jnp.asarray(rng.normal(size=(grid, grid, arguments.channels)), jnp.float32)
    foreground = np.zeros((arguments.size, arguments.size), np.float32)
    foreground[arguments.size // 4 : arguments.size // 2, arguments.size // 3 :] = 1
    masks = jnp.asarray(np.stack([1 - foreground, foreground]))
    print(
        f'{jax.devices()[0].device_kind}, {arguments.size} x {arguments.size}, {arguments.channels} channels, 2 masks'
    )
    print('                upsampled ms     GiB  pushed down ms     GiB  times as fast')
    for name, transform in (('forward', lambda f: f), ('gradient', with_gradient)):
        programs = [jax.jit(transform(f)).lower(features, masks).compile() for f in (upsampled_mean, pushed_mean)]
        plain, fast = (program(features, masks) for program in programs)
        np.testing.assert_allclose(fast, plain, rtol=1e-3, atol=1e-6)
        seconds = [[], []]
        for _ in range(arguments.repeats):
            for program, times in zip(programs, seconds, strict=True):
                started = time.perf_counter()
                jax.block_until_ready(program(features, masks))
                times.append(time.perf_counter() - started)
        slow, quick = map(statistics.median, seconds)
        memory = [program.memory_analysis().temp_size_in_bytes / 2**30 for program in programs]
        print(
            f'{name:12} {1000 * slow:15.1f} {memory[0]:7.3f} {1000 * quick:15.1f} {memory[1]:7.3f} {slow / quick:14.0f}'
        )


if __name__ == '__main__':
    main()
