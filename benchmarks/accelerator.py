"""Measures all speeds of interest on an accelerator, in one command, on a machine without a network.

    pip install -e '.[benchmark]'
    python benchmarks/accelerator.py [--out accelerator.jsonl] [--seconds 480] [--dtypes float32 tf32 bfloat16] [--batches 1 4 16 32]
        [--encoders vgg16 resnet50 dinov2-small] [--size 417] [--width 1] [--repeats 5] [--episodes 1000] [--no-pytorch]

Weights are random, images synthetic. Pieces are measured one by one and kept in --out. After an interruption, or when --seconds
are over, the same command continues. At the end it prints a table of the pieces.

A training step has 1-way 1-shot episodes, at --size for VGG-16 and at its own size for any other encoder. `of the peak` is the
arithmetic rate of its convolutions, divided by that of a large matrix product of the same dtype in the same run; --width narrows
networks for a trial. PyTorch's encoder is measured eager, and compiled by torch.compile; `times` are its seconds divided by ours.
`GiB` is the memory of a step in addition to its state. A piece that does not fit the memory is recorded, and not tried again.
"""

import argparse
import dataclasses
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from pieces import Pieces, Values, print_table
from train_step import (
    ceilings,
    encoder_work,
    experiment,
    median_seconds,
    noise,
    our_prediction,
    our_step,
    step_memory,
    theirs,
)

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.networks.encoders import ENCODERS, encoder_of
from panet_jax.networks.network import Network
from panet_jax.training.train import train

LONGEST = 10  # operations of a step that are listed
PREDICTED = (1, 16)  # images at once
STEPS = 200  # steps of the training of `shapes`
FIRST_STEP = (
    'import sys; sys.path.insert(0, {folder!r}); import accelerator; print(accelerator.first_step({arguments}))'
)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A measurement: its name and a function that makes it."""

    name: str
    measure: Callable[[], Values]


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=Path('accelerator.jsonl'))
    parser.add_argument('--seconds', type=float, default=480)
    parser.add_argument('--dtypes', nargs='+', choices=COMPUTATIONS, default=['tf32', 'bfloat16', 'float32'])
    parser.add_argument('--batches', type=int, nargs='+', default=[1, 4, 16, 32])
    parser.add_argument('--encoders', nargs='+', choices=ENCODERS, default=['vgg16', 'resnet50', 'dinov2-small'])
    parser.add_argument('--width', type=float, default=1.0)
    for name, default in (('size', 417), ('repeats', 5), ('episodes', 1000)):
        parser.add_argument(f'--{name}', type=int, default=default)
    parser.add_argument('--no-pytorch', dest='pytorch', action='store_false')
    return parser.parse_args()


def all_pieces(options: argparse.Namespace) -> Iterator[Piece]:
    """The pieces, the most important ones first."""
    for dtype in options.dtypes:
        yield Piece(f'ceilings, {dtype}', functools.partial(measure_ceilings, dtype))
    for dtype in options.dtypes:
        for batch in options.batches:
            yield Piece(
                f'training, vgg16, {dtype}, batch {batch}', functools.partial(measure_step, options, dtype, batch)
            )
            if options.pytorch:
                measure = functools.partial(measure_pytorch, options, dtype, batch)
                yield Piece(f'PyTorch, vgg16, {dtype}, batch {batch}', measure)
    for batch in PREDICTED:
        yield Piece(f'predict, batch {batch}', functools.partial(measure_predict, options, batch))
    for kept, gib in (('with', 16.0), ('without', 0.0)):
        yield Piece(f'evaluation, {kept} cached features', functools.partial(measure_evaluation, options, gib))
    yield Piece('first step', functools.partial(measure_first_step, options))
    yield Piece('training of shapes', functools.partial(measure_shapes, options))
    yield Piece('longest operations', functools.partial(measure_operations, options))
    for encoder in options.encoders:
        if encoder != 'vgg16':
            measure = functools.partial(measure_step, options, options.dtypes[0], options.batches[0], encoder)
            yield Piece(f'training, {encoder}, {options.dtypes[0]}, batch {options.batches[0]}', measure)


def or_full(measure: Callable[[], Values]) -> Values:
    """The values of a piece, or a note that the memory is too small for it."""
    try:
        return measure()
    except Exception as error:  # JAX and PyTorch have an exception each
        if not any(words in str(error) for words in ('RESOURCE_EXHAUSTED', 'out of memory')):
            raise
        return {'note': 'does not fit the memory'}


def measure_ceilings(dtype):
    flops, copied = ceilings(dtype)
    return {'TFLOP/s': flops / 1e12, 'copy GB/s': copied / 1e9}


def measure_step(options, dtype, batch, encoder='vgg16'):
    """A training step and a prediction of a batch."""
    width, size = (options.width, options.size) if encoder == 'vgg16' else (1.0, None)
    config = experiment(dtype, encoder=encoder, size=size, width=width, batch=batch)
    episodes = noise(batch, config.data.size)
    functions = [make(config, episodes) for make in (our_step, our_prediction)]
    step, prediction = median_seconds(functions, options.repeats)
    values = {'step s': step, 'episodes/s': batch / step, 'prediction s': prediction, 'GiB': step_memory(config)}
    if encoder == 'vgg16' and width == 1:
        itemsize = np.dtype(COMPUTATIONS[dtype][0]).itemsize
        values['TFLOP/s'] = 6 * batch * encoder_work(options.size, itemsize)[0] / step / 1e12
    if peak := (jax.local_devices()[0].memory_stats() or {}).get('peak_bytes_in_use'):
        values['peak GiB so far'] = peak / 2**30
    return values


def measure_pytorch(options, dtype, batch):
    episodes, values = noise(batch, options.size), {}
    for name, compiled in (('step s', False), ('compiled step s', True)):
        functions = theirs(episodes, dtype, compiled=compiled)
        values[name] = median_seconds([functions['training']], options.repeats)[0]
    return values


def random_network(options):
    encoder = encoder_of(experiment('tf32', width=options.width).encoder)
    return Network(encoder, encoder.initial(jax.random.key(0)), options.size)


def measure_predict(options, batch):
    """Labels of images of 500 x 375 pixels, each new, by a Segmenter."""
    segmenter, rng = pj.Segmenter(random_network(options), dtype='tf32', batch=batch), np.random.default_rng(0)
    images = [rng.integers(0, 256, (375, 500, 3), np.uint8) for _ in range(batch)]
    segmenter.fit({'square': [(images[0], pj.Box(100, 100, 300, 300))]})
    seconds = median_seconds([lambda: [result.labels for result in segmenter.stream(images)]], options.repeats)[0]
    return {'images/s': batch / seconds}


def measure_evaluation(options, gib):
    """Five runs of episodes of the synthetic images, after the same evaluation has compiled everything."""
    changes = {'evaluation.cache_gib': gib, 'evaluation.episodes': options.episodes, 'evaluation.pictures': 0}
    config = shapes_experiment(options, **changes, checkpoint='')
    with tempfile.TemporaryDirectory() as folder:
        few = config.copy_and_resolve_references()
        few.evaluation.episodes = 2
        evaluate(few, folder)
        seconds = evaluate(config, folder)['seconds']
    return {'seconds': seconds, 'episodes/s': 5 * options.episodes / max(seconds, 0.1)}


def shapes_experiment(options, **changes):
    names = {
        'data.name': 'shapes',
        'data.train_split': 'train',
        'data.test_split': 'test',
        'data.unseen_images': 'drop',
    }
    return experiment('tf32', size=options.size, width=options.width, **names, **{'evaluation.batch': 16}, **changes)


def measure_first_step(options):
    """Seconds of the first step in a new process, its compilation included: with an empty cache and with a full one."""
    arguments = f'{options.size}, {options.width}'
    program = FIRST_STEP.format(folder=str(Path(__file__).parent), arguments=arguments)
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {'JAX_COMPILATION_CACHE_DIR': folder}
        run = functools.partial(subprocess.run, env=environment, capture_output=True, text=True, check=True)
        cold, cached = (float(run([sys.executable, '-c', program]).stdout.split()[-1]) for _ in range(2))
    return {'cold s': cold, 'cached s': cached}


def first_step(size, width):
    started = time.perf_counter()
    jax.block_until_ready(our_step(experiment('tf32', size=size, width=width), noise(1, size))())
    return time.perf_counter() - started


def measure_shapes(options):
    """Real steps: episodes are read while the device computes."""
    config, moments = shapes_experiment(options, steps=STEPS, batch=options.batches[0]), []
    with tempfile.TemporaryDirectory() as folder:
        train(config, folder, after_step=lambda step: moments.append(time.perf_counter()))
    half = len(moments) // 2
    return {'episodes/s': (len(moments) - 1 - half) * config.batch / (moments[-1] - moments[half])}


def measure_operations(options):
    """The longest operations of a step, by a trace."""
    step = our_step(experiment(options.dtypes[0], size=options.size, width=options.width), noise(1, options.size))
    jax.block_until_ready(step())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            jax.block_until_ready(step())
        (path,) = Path(folder).rglob('*.xplane.pb')
        return longest_operations(jax.profiler.ProfileData.from_file(str(path)))


def longest_operations(trace):
    milliseconds = {}
    for plane in trace.planes:
        for line in plane.lines:
            for event in line.events:
                if dict(event.stats).get('hlo_op'):
                    milliseconds[event.name] = milliseconds.get(event.name, 0) + event.duration_ns / 1e6
    ordered = sorted(milliseconds.items(), key=lambda item: -item[1])[:LONGEST]
    return dict(ordered) | {'all ms': sum(milliseconds.values())}


def with_ratios(kept):
    """The values of all pieces, with the ratios to the ceilings and to PyTorch where both were measured."""
    for name, values in kept.items():
        what, _, rest = name.partition(', ')
        ratios, dtype = {}, rest.split(', ')[1] if what == 'training' else ''
        ceiling = kept.get(f'ceilings, {dtype}', {}).get('TFLOP/s')
        if ceiling and 'TFLOP/s' in values:
            ratios['of the peak'] = values['TFLOP/s'] / ceiling
        for rival, seconds in kept.get(f'PyTorch, {rest}', {}).items():
            if what == 'training' and 'step s' in values and rival != 'note':
                ratios[f'times PyTorch ({rival[:-2]})'] = seconds / values['step s']
        yield name, values | ratios


def main():
    options = parse()
    with exiting(FrontEnd(again='goes on')):
        if options.pytorch and importlib.util.find_spec('torch') is None:
            print('PyTorch is not installed, so it is left out; pip install torch adds it', flush=True)
            options.pytorch = False
        measure_all(options)


def measure_all(options):
    device, started = jax.local_devices()[0], time.monotonic()
    place = {'device': device.device_kind, 'jax': jax.__version__, 'size': options.size, 'width': options.width}
    pieces, left = Pieces(options.out, place), []
    for piece in all_pieces(options):
        if piece.name in pieces.kept or time.monotonic() - started < options.seconds:
            pieces.measure(piece.name, functools.partial(or_full, piece.measure))
        else:
            left.append(piece.name)
    print(f'\n{", ".join(f"{name} {value}" for name, value in place.items())}\n')
    cells = ((name, ', '.join(map(_cell, values.items()))) for name, values in with_ratios(pieces.kept))
    print_table(('piece', 'values'), cells)
    if left:
        print(f'\nthe time is over; the same command measures the {len(left)} that are left: {"; ".join(left)}')


def _cell(item):
    name, value = item
    return f'{name} {value:.3g}' if isinstance(value, int | float) else f'{name}: {value}'


if __name__ == '__main__':
    main()
