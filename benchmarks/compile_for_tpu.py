"""The compiler's figures for training, prediction and evaluation on TPUs, on a machine without a TPU.

    pip install -e '.[tpu]'
    python benchmarks/compile_for_tpu.py [--out tpu.jsonl] [--programs training prediction evaluation] [--chips 1]
        [--dtypes bfloat16 tf32] [--batches 1 4] [--size 417] [--width 1] [--plain-compiler]

Compiles for a slice of TPU v5e, at full width and with 1-way 1-shot episodes, one program after the other; on two cores each
takes minutes. A batch is the episodes (in an evaluation the images) of one chip. Training is compiled through the same function
as in the program, `devices.parallel`. Compiled programs are kept in --out, so that the same command goes on where it stopped.
Batches are tried in the order given until one does not fit the chip's memory. Nothing runs: all numbers are the compiler's.

`moved` are bytes read from the chip's large memory and written to it. (`XLA's bytes` also count fast memory, and an operand
as often as it is used.) `arithmetic` and `memory` are the least seconds at the rates that Google states for a chip:
197 TFLOP/s in bfloat16 and 819 GB/s. `estimated` is the compiler's own estimate of the cycles of each instruction at 1.5 GHz;
it has none for some instructions, such as select-and-scatter. `GiB` is all that a chip holds during the program.

--plain-compiler leaves out the flags of panet_jax.compute.compiler_flags.
"""

import argparse
import functools
import importlib.metadata
import importlib.util
import os
from pathlib import Path

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.compute.compiler_flags import set_tpu_flags
from panet_jax.errors import InputError

SLICES = {1: 'v5e:2x2', 4: 'v5e:2x2', 8: 'v5e:2x4'}  # {number of chips: smallest slice with that many}
# Rates of a chip: cloud.google.com/tpu/docs/v5e. The clock follows from FLOPS and four units of 128 x 128.
FLOPS, BANDWIDTH, CLOCK = 197e12, 819e9, 1.5e9
# libtpu looks for a machine with TPUs; these variables describe a single host with eight chips.
ENVIRONMENT = {
    'JAX_PLATFORMS': 'cpu',
    'ALLOW_MULTIPLE_LIBTPU_LOAD': 'true',
    'TPU_SKIP_MDS_QUERY': '1',
    'TPU_ACCELERATOR_TYPE': 'v5litepod-8',
    'TPU_WORKER_HOSTNAMES': 'localhost',
    'TPU_WORKER_ID': '0',
}
COLUMNS = ('TFLOP', 'moved GB', "XLA's GB", 'arithmetic ms', 'memory ms', 'estimated ms', 'GiB', 'exchanges')


def parser_of(text, out, batches):
    """A parser of the options that compilers have in common."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, default=out)
    parser.add_argument('--programs', nargs='+', choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument('--dtypes', nargs='+', choices=('float32', 'tf32', 'bfloat16'), default=['bfloat16', 'tf32'])
    parser.add_argument('--batches', type=int, nargs='+', default=batches)
    parser.add_argument('--size', type=int, default=417)
    parser.add_argument('--width', type=float, default=1.0)
    return parser


def parse():
    parser = parser_of(__doc__, Path('tpu.jsonl'), [1, 4])
    parser.add_argument('--chips', type=int, nargs='+', choices=list(SLICES), default=[1])
    parser.add_argument('--plain-compiler', action='store_true')
    return parser.parse_args()


def training(devices, batch, options, dtype):
    """The lowered step, as from `compiled_step`."""
    import jax
    from train_step import experiment

    from panet_jax.networks.encoders import encoder_of
    from panet_jax.training.step import compiled_step, create_state, optimizer_of, schedule_of

    config = experiment(dtype, size=options.size, width=options.width, batch=batch * len(devices))
    encoder = encoder_of(config.encoder)
    optimizer = optimizer_of(config, schedule_of(config), encoder.trained())
    state = jax.eval_shape(lambda params: create_state(params, optimizer), encoder.shapes())
    return compiled_step(config, encoder, devices).lower(state, _episodes(len(devices), batch, options.size))


def prediction(devices, batch, options, dtype):
    """The lowered prediction of the labels of episodes."""
    import jax

    from panet_jax.compute.devices import sharded
    from panet_jax.method.episode import prepare
    from panet_jax.method.panet import encode_episodes, logits_of_features
    from panet_jax.method.vgg16 import vgg16

    encoder = vgg16(options.width)

    def labels(params, episodes):
        episodes = jax.vmap(prepare)(episodes)
        features = encode_episodes(params, episodes, encode=encoder.encode, dtype=dtype)
        return jax.vmap(lambda *episode: logits_of_features(*episode).argmax(-1))(*features, episodes)

    episodes = _episodes(len(devices), batch, options.size)
    return sharded(labels, devices, in_axes=(None, 0)).lower(encoder.shapes(), episodes)


def evaluation(devices, batch, options, dtype):
    """The lowered first pass of an evaluation: features of images and their sums under the masks of five classes."""
    import jax
    import jax.numpy as jnp

    from panet_jax.compute.devices import sharded
    from panet_jax.evaluation.image_sums import mask_sums
    from panet_jax.method.episode import normalize
    from panet_jax.method.vgg16 import vgg16

    encoder, size = vgg16(options.width), options.size

    def sums(params, batch):
        images, masks = batch
        return mask_sums(encoder.encode(params, normalize(images), dtype=dtype), masks)

    shapes = (size, size, 3), (2, 5, size, -(-size // 8))
    images = tuple(jax.ShapeDtypeStruct((len(devices), batch, *shape), jnp.uint8) for shape in shapes)
    return sharded(sums, devices, in_axes=(None, 0)).lower(encoder.shapes(), images)


PROGRAMS = {'training': training, 'prediction': prediction, 'evaluation': evaluation}


def _episodes(chips, batch, size):
    """Shapes of compact 1-way 1-shot episodes [D, B, ...]."""
    import jax
    from train_step import noise

    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((chips, batch, *x.shape[1:]), x.dtype), noise(1, size))


def compiled(lower, chips, batch, options, dtype):
    """The compiler's numbers for one program; {'fits': 'no'} if it needs more memory than a chip has."""
    import jax
    from compiled_text import collectives, instructions

    lowered = lower(_devices(chips), batch, options, dtype)
    try:
        program = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        if 'RESOURCE_EXHAUSTED' not in str(error):
            raise
        return {'fits': 'no'}
    cost, memory, text = program.cost_analysis(), program.memory_analysis(), program.as_text()
    steps = instructions(text)
    moved = sum(step.moved for step in steps)
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    numbers = (
        *(cost['flops'] / 1e12, moved / 1e9, cost['bytes accessed'] / 1e9),
        *(1e3 * cost['flops'] / FLOPS, 1e3 * moved / BANDWIDTH, 1e3 * sum(step.cycles for step in steps) / CLOCK),
        *((held + memory.temp_size_in_bytes) / 2**30, collectives(text)),
    )
    return {'fits': 'yes', **dict(zip(COLUMNS, numbers, strict=True))}


@functools.cache
def _devices(chips):
    from jax.experimental import topologies

    return list(topologies.get_topology_desc(platform='tpu', topology_name=SLICES[chips]).devices)[:chips]


def measure_all(options):
    """Compiles what is not in the file yet, and prints a table of all that was asked for."""
    import jax
    from pieces import Pieces, print_table

    place = {'jax': jax.__version__, 'libtpu': importlib.metadata.version('libtpu'), 'size': options.size}
    place |= {'width': options.width, 'flags': os.environ.get('LIBTPU_INIT_ARGS', '')}
    pieces, lines = Pieces(options.out, place), []
    for name, chips, dtype in _combinations(options):
        for batch in options.batches:
            label = f'{name}, {chips} chip(s), {dtype}, batch {batch}'
            measure = functools.partial(compiled, PROGRAMS[name], chips, batch, options, dtype)
            values = pieces.measure(label, measure)
            lines.append([name, chips, dtype, batch, *_cells(values)])
            if values['fits'] == 'no':
                break
    print_table(('program', 'chips', 'dtype', 'batch', *COLUMNS), lines)


def _combinations(options):
    return [(name, chips, dtype) for name in options.programs for chips in options.chips for dtype in options.dtypes]


def _cells(values):
    if values['fits'] == 'no':
        return ['does not fit', *['-'] * (len(COLUMNS) - 1)]
    return [f'{values[column]:.3g}' for column in COLUMNS]


def main():
    options = parse()
    with exiting(FrontEnd()):
        if importlib.util.find_spec('libtpu') is None:
            raise InputError("the compiler for TPUs is not installed; type pip install -e '.[tpu]'.")
        os.environ |= ENVIRONMENT
        if not options.plain_compiler:
            set_tpu_flags()
        measure_all(options)


if __name__ == '__main__':
    main()
