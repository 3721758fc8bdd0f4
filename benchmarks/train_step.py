"""A training step and a prediction, beside plain PyTorch, in one run.

    python benchmarks/train_step.py [--size 417] [--batches 1 4] [--repeats 5] [--dtype float32] [--no-pytorch]

1-way 1-shot episodes of noise at full width. The two programs take turns, so that what else the machine
does meets both; the median of each is printed with the ratio, and the speed as a share of a large matrix
product's, measured in the same run. PyTorch computes one episode after the other and adds the gradients,
as the original would. Needs the extra [benchmark] for PyTorch.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from panet_jax import devices
from panet_jax.encoder import BLOCKS, POOL_STRIDES, init_encoder_params
from panet_jax.episode import Episode
from panet_jax.evaluate import grid_logits
from panet_jax.prototypes import upsample
from panet_jax.train import create_state, make_optimizer, train_step

RECIPE = {'momentum': 0.9, 'weight_decay': 5e-4}
LEARNING_RATE = 1e-3


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=417)
    parser.add_argument('--batches', type=int, nargs='+', default=(1, 4))
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--dtype', default='float32')
    parser.add_argument('--no-pytorch', dest='pytorch', action='store_false')
    return parser.parse_args()


def encoder_flop(size):
    """Operations of one forward pass of one image; training takes three times as many."""
    flop, channels = 0, 3
    for block, (convolutions, out) in enumerate(BLOCKS):
        for _ in range(convolutions):
            flop += 2 * 9 * channels * out * size**2
            channels = out
        if block < len(POOL_STRIDES):
            size = -(-size // POOL_STRIDES[block])
    return flop


def noise(batch, size):
    """A compact batch of 1-way 1-shot episodes."""
    rng = np.random.default_rng(0)
    foreground = np.zeros((batch, 1, 1, size, size), bool)
    foreground[..., size // 4 : size // 2, size // 4 : size // 2] = True
    return Episode(
        support_images=rng.integers(0, 256, (batch, 1, 1, size, size, 3), np.uint8),
        support_foreground=foreground,
        support_background=~foreground,
        query_images=rng.integers(0, 256, (batch, 1, size, size, 3), np.uint8),
        query_labels=foreground[:, 0].astype(np.uint8),
    )


def matrix_product(dtype):
    """Operations a second of a large matrix product: what the machine can do at best."""
    side = 2048 if jax.default_backend() == 'cpu' else 8192
    matrix = jnp.ones((side, side), dtype)
    product = jax.jit(lambda a: a @ a)
    jax.block_until_ready(product(matrix))
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        jax.block_until_ready(product(matrix))
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / statistics.median(seconds)


def ours(batch, dtype):
    """Functions that train one step, and that predict each episode of the batch."""
    used = devices.usable_devices(len(batch.query_images))
    params = init_encoder_params(jax.random.key(0))
    state = create_state(params, make_optimizer(optax.constant_schedule(LEARNING_RATE), **RECIPE))
    holder = [devices.replicate(state, used)]
    step = devices.parallel(functools.partial(train_step, align_weight=1.0, dtype=dtype), used)

    def train():
        holder[0], metrics = step(holder[0], batch)
        jax.block_until_ready(metrics)

    episodes = [jax.tree.map(lambda x, i=i: x[i], batch) for i in range(len(batch.query_images))]
    resize = jax.jit(lambda logits: upsample(logits, batch.query_labels.shape[-2:]).argmax(-1))

    def predict():
        for episode in episodes:
            jax.block_until_ready(resize(grid_logits(params, episode, dtype=dtype)))

    return train, predict


def theirs(batch):
    """The same in PyTorch, on a GPU if there is one."""
    import pytorch_panet
    import torch

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    encoder = pytorch_panet.make_encoder().to(device)
    optimizer = torch.optim.SGD(encoder.parameters(), LEARNING_RATE, **RECIPE)

    def tensors(i):
        images = [torch.tensor(x[i].reshape(-1, *x.shape[-3:])) for x in (batch.support_images, batch.query_images)]
        masks = [torch.tensor(x[i, 0]).float() for x in (batch.support_foreground, batch.support_background)]
        supports, queries = (x.permute(0, 3, 1, 2).float() / 127.5 - 1 for x in images)
        labels = torch.tensor(batch.query_labels[i]).long()
        return [x.to(device) for x in (supports, *masks, queries, labels)]

    episodes = [tensors(i) for i in range(len(batch.query_images))]

    def finish():
        if device == 'cuda':
            torch.cuda.synchronize()

    def train():
        optimizer.zero_grad()
        for episode in episodes:
            (pytorch_panet.loss(encoder, episode) / len(episodes)).backward()
        optimizer.step()
        finish()

    def predict():
        with torch.no_grad():
            for episode in episodes:
                logits = pytorch_panet.segment(encoder, episode)[2]
                size = episode[-1].shape[-2:]
                torch.nn.functional.interpolate(logits, size, mode='bilinear', align_corners=False).argmax(1)
        finish()

    return train, predict


def medians(functions, repeats):
    """Median seconds of each function; they take turns, after one call that does not count."""
    seconds = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, mine in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            function()
            if repeat:
                mine.append(time.perf_counter() - started)
    return [statistics.median(mine) for mine in seconds]


def main():
    arguments = parse()
    peak = matrix_product(arguments.dtype)
    print(
        f'{jax.devices()[0].device_kind}, jax {jax.__version__}, {arguments.dtype}; a matrix product: {peak / 1e12:.2f} TFLOP/s'
    )
    print('batch  what        seconds  of the peak  PyTorch  times as fast')
    for size in arguments.batches:
        batch = noise(size, arguments.size)
        programs = [ours(batch, arguments.dtype)] + ([theirs(batch)] if arguments.pytorch else [])
        for what, passes, functions in zip(
            ('training', 'prediction'), (3, 1), zip(*programs, strict=True), strict=True
        ):
            mine, *other = medians(functions, arguments.repeats)
            share = 2 * size * passes * encoder_flop(arguments.size) / mine / peak
            beside = f'{other[0]:7.2f}  {other[0] / mine:13.2f}' if other else ''
            print(f'{size:5}  {what:10}  {mine:7.3f}  {share:10.0%}   {beside}', flush=True)


if __name__ == '__main__':
    main()
