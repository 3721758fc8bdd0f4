"""The speed of a training step and a prediction, compared with plain PyTorch.

    python benchmarks/train_step.py [--size 417] [--batches 1 4] [--dtype tf32] [--repeats 5] [--no-pytorch]
        [--rematerialize] [--accumulate 1] [--parts] [--trace FOLDER]

Uses 1-way 1-shot episodes of noise, and the full width. The programs take turns, so that other load on the machine affects
both; prints medians. `of the peak` compares with a large matrix product measured in the same run. `GB/s` is the least traffic
(input, output and kernel of each layer in each pass); the first line has the rate of a copy. PyTorch, from the extra
[benchmark], encodes the images of a batch in one pass too. `times` is its seconds divided by ours for the same batch;
`to its 1` compares with PyTorch's seconds for an episode in a batch of 1.

--parts prints the times of the parts of a step; --trace writes one step for TensorBoard or Perfetto.
"""

import argparse
import functools
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from panet_jax.compute import devices
from panet_jax.config import base_config
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.method.episode import Episode, normalize, prepare
from panet_jax.method.panet import encode_episodes, logits_of_features, loss_of_features
from panet_jax.method.vgg16 import BLOCKS, POOL_STRIDES, encode, init_encoder_params
from panet_jax.networks.encoders import encoder_of
from panet_jax.training.step import (
    compiled_step,
    create_state,
    encode_image,
    loop_outside_xla,
    make_optimizer,
    optimizer_of,
    schedule_of,
)

RECIPE = {'momentum': 0.9, 'weight_decay': 5e-4}
LEARNING_RATE = 1e-3
PASSES = {'training': 3, 'prediction': 1}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--size', type=int, default=417)
    parser.add_argument('--batches', type=int, nargs='+', default=(1, 4))
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--dtype', default='tf32', choices=COMPUTATIONS)
    parser.add_argument('--no-pytorch', dest='pytorch', action='store_false')
    parser.add_argument('--rematerialize', action='store_true')
    parser.add_argument('--accumulate', type=int, default=1)
    parser.add_argument('--parts', action='store_true')
    parser.add_argument('--trace')
    return parser.parse_args()


def encoder_work(size, itemsize):
    """FLOP of a forward pass of one image, and the bytes that it has to move at least."""
    flop, moved, channels = 0, 0, 3
    for block, (convolutions, out) in enumerate(BLOCKS):
        for _ in range(convolutions):
            flop += 2 * 9 * channels * out * size**2
            moved += itemsize * ((channels + out) * size**2 + 9 * channels * out)
            channels = out
        if block < len(POOL_STRIDES):
            before, size = size, -(-size // POOL_STRIDES[block])
            moved += itemsize * channels * (before**2 + size**2)
    return flop, moved


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


def median_seconds(functions, repeats):
    """Median seconds of each function. They take turns; the first call does not count."""
    seconds = [[] for _ in functions]
    for repeat in range(repeats + 1):
        for function, times in zip(functions, seconds, strict=True):
            started = time.perf_counter()
            jax.block_until_ready(function())
            if repeat:
                times.append(time.perf_counter() - started)
    return [statistics.median(times) for times in seconds]


def ceilings(dtype):
    """Operations per second of a large matrix product, and bytes per second of a copy (read and write)."""
    side = 2048 if jax.default_backend() == 'cpu' else 16384
    kind, precision = COMPUTATIONS[dtype]
    matrix, vector = jnp.ones((side, side), kind), jnp.ones(2**26)
    product = jax.jit(lambda a: jnp.matmul(a, a, precision=precision))
    copy = jax.jit(lambda a: a + 1)
    seconds = median_seconds([lambda: product(matrix), lambda: copy(vector)], 7)
    return 2 * side**3 / seconds[0], 2 * vector.nbytes / seconds[1]


def experiment(dtype, *, encoder='vgg16', size=None, width=1.0, batch=1, **changes):
    """The paper's recipe with random weights, of an encoder that is as wide as published or narrower."""
    config = base_config('benchmark')
    config.encoder.name, config.encoder.weights, config.encoder.dtype = encoder, 'random', dtype
    config.encoder.width, config.batch = width, batch
    config.data.size = size or encoder_of(config.encoder).size
    config.update_from_flattened_dict(changes)
    return config


def our_step(config, batch):
    """A function that makes a training step, through the program's own `compiled_step`, on one device, like PyTorch."""
    used = jax.local_devices()[:1]
    encoder = encoder_of(config.encoder)
    optimizer = optimizer_of(config, schedule_of(config), encoder.trained())
    state = create_state(encoder.initial(jax.random.key(0)), optimizer)
    holder = [devices.replicate(state, used)]
    step, placed = compiled_step(config, encoder, used), next(devices.prefetched([batch], used))

    def train():
        holder[0], metrics = step(holder[0], placed)
        return metrics

    return train


def step_memory(config):
    """GiB of memory that a step uses in addition to its state; of a loop outside XLA, what one pass of it uses."""
    used, config = jax.local_devices()[:1], config.copy_and_resolve_references()
    encoder, loop = encoder_of(config.encoder), loop_outside_xla(config, used)
    if loop == 'images':
        lowered = lowered_gradient_of_image(config, encoder)
    else:
        if loop == 'episodes':
            config.batch = config.accumulate = 1
        optimizer = optimizer_of(config, schedule_of(config), encoder.trained())
        state = jax.eval_shape(lambda params: create_state(params, optimizer), encoder.shapes())
        batch = devices.split(noise(config.batch, config.data.size), used)
        lowered = compiled_step(config, encoder, used).lower(state, batch)
    return lowered.compile().memory_analysis().temp_size_in_bytes / 2**30


def lowered_gradient_of_image(config, encoder):
    """The part of a step, image by image, that needs most memory."""
    encode = functools.partial(encode_image, encode=functools.partial(encoder.encode, dtype=config.encoder.dtype))

    def gradient(params, episodes, cotangent):
        return jax.vjp(lambda params: encode(params, episodes, 0), params)[1](cotangent)

    shapes, episodes = encoder.shapes(), noise(1, config.data.size)
    return jax.jit(gradient).lower(shapes, episodes, jax.eval_shape(encode, shapes, episodes, 0))


def our_prediction(config, batch):
    """A function that predicts the labels of a batch of episodes."""
    encoder, dtype = encoder_of(config.encoder), config.encoder.dtype

    @jax.jit
    def predict(params, batch):
        episodes = jax.vmap(prepare)(batch)
        features = encode_episodes(params, episodes, encode=encoder.encode, dtype=dtype)
        return jax.vmap(lambda *episode: logits_of_features(*episode).argmax(-1))(*features, episodes)

    params, on_device = encoder.initial(jax.random.key(0)), jax.device_put(batch)
    return lambda: predict(params, on_device)


def ours(batch, arguments):
    """{'training': function, 'prediction': function}, and the GiB of memory that a step uses in addition to its state."""
    config = experiment(
        arguments.dtype,
        size=arguments.size,
        batch=len(batch.query_images),
        accumulate=arguments.accumulate,
        **{'encoder.rematerialize': arguments.rematerialize},
    )
    functions = {'training': our_step(config, batch), 'prediction': our_prediction(config, batch)}
    return functions, step_memory(config)


def theirs(batch, dtype, *, compiled=False):
    """The same in PyTorch, on a GPU if there is one; its encoder compiled by torch.compile or not."""
    import pytorch_panet
    import torch

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = dtype != 'float32'
    torch.backends.cudnn.benchmark = True
    encoder = pytorch_panet.make_encoder().to(device)
    encoder = torch.compile(encoder) if compiled else encoder
    optimizer = torch.optim.SGD(encoder.parameters(), LEARNING_RATE, **RECIPE)
    half = torch.autocast(device, torch.bfloat16, enabled=dtype == 'bfloat16')

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
        with half:
            loss = pytorch_panet.mean_loss(encoder, episodes)
        loss.backward()
        optimizer.step()
        finish()

    def predict():
        with torch.no_grad(), half:
            pytorch_panet.predict(encoder, episodes)
        finish()

    return {'training': train, 'prediction': predict}


def print_table(arguments):
    flops, copied = ceilings(arguments.dtype)
    itemsize = jnp.dtype(COMPUTATIONS[arguments.dtype][0]).itemsize
    print(
        f'{jax.devices()[0].device_kind}, jax {jax.__version__}, {arguments.dtype}, {arguments.size} x {arguments.size}; '
        f'a matrix product has {flops / 1e12:.2f} TFLOP/s, a copy {copied / 1e9:.0f} GB/s'
    )
    print('batch  what        seconds  episodes/s  of the peak   GB/s    GiB  PyTorch  times  to its 1')
    alone = {}
    for batch_size in sorted(arguments.batches):
        batch = noise(batch_size, arguments.size)
        functions, memory = ours(batch, arguments)
        torch_functions = theirs(batch, arguments.dtype) if arguments.pytorch else {}
        for what, passes in PASSES.items():
            rivals = [torch_functions[what]] if torch_functions else []
            seconds, *torch = median_seconds([functions[what], *rivals], arguments.repeats)
            flop, moved = (2 * batch_size * passes * amount for amount in encoder_work(arguments.size, itemsize))
            alone.setdefault(what, [t / batch_size for t in torch] if batch_size == 1 else [])
            comparison = ''.join(f'{t:9.3f}  {t / seconds:5.2f}' for t in torch)
            comparison += ''.join(f'  {batch_size * t / seconds:8.2f}' for t in alone[what])
            gib = f'{memory:5.1f}' if what == 'training' else '     '
            print(
                f'{batch_size:5}  {what:10}  {seconds:7.3f}  {batch_size / seconds:10.2f}  {flop / seconds / flops:11.0%}  '
                f'{moved / seconds / 1e9:5.0f}  {gib}{comparison}',
                flush=True,
            )


def print_parts(arguments):
    """Prints the times of the parts of a step, for the first batch. A gradient includes its forward pass."""
    batch_size = arguments.batches[0]
    batch = jax.device_put(noise(batch_size, arguments.size))
    params = init_encoder_params(jax.random.key(0))
    optimizer = make_optimizer(optax.constant_schedule(LEARNING_RATE), **RECIPE)
    state = create_state(params, optimizer)
    images = normalize(jnp.concatenate([batch.support_images[:, 0], batch.query_images], 1))
    features = jax.jit(lambda p, x: encode(p, x, dtype=arguments.dtype))
    episodes = jax.vmap(prepare)(batch)

    def total(params, images):
        return encode(params, images, dtype=arguments.dtype).sum()

    def head(features):
        return jax.vmap(lambda *episode: loss_of_features(*episode)[0])(
            features[:, None, :1], features[:, 1:], episodes
        ).mean()

    gradient, of_head = jax.jit(jax.grad(total)), jax.jit(jax.value_and_grad(head))
    update = jax.jit(lambda state: state.apply_gradients(grads=state.params))
    computed = features(params, images)
    parts = {
        'encoder, forward': lambda: features(params, images),
        'encoder, forward and backward': lambda: gradient(params, images),
        'prototypes and losses, forward and backward': lambda: of_head(computed),
        'optimizer': lambda: update(state),
        'the step': ours(noise(batch_size, arguments.size), arguments)[0]['training'],
    }
    for name, seconds in zip(parts, median_seconds(list(parts.values()), arguments.repeats), strict=True):
        print(f'{name:45} {1000 * seconds:9.1f} ms', flush=True)


def write_trace(arguments):
    train = ours(noise(arguments.batches[0], arguments.size), arguments)[0]['training']
    jax.block_until_ready(train())
    with jax.profiler.trace(arguments.trace):
        jax.block_until_ready(train())
    print(f'one step is in {arguments.trace}')


if __name__ == '__main__':
    options = parse()
    if options.trace:
        write_trace(options)
    elif options.parts:
        print_parts(options)
    else:
        print_table(options)
