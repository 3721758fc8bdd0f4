"""The compiler's figures for training, prediction and evaluation on NVIDIA's GPUs, on a machine without a GPU.

    pip install --no-deps jax-cuda13-plugin==0.10.2 jax-cuda13-pjrt==0.10.2     (the versions of jax and jaxlib)
    python benchmarks/compile_for_cuda.py [--out cuda.jsonl] [--programs training prediction evaluation] [--dtypes bfloat16 tf32]
        [--batches 1 4 16] [--size 417] [--width 1]

Compiles for one H100, through the same functions as compile_for_tpu.py. Convolutions become calls of cuDNN. Their time and their
memory are known only on a card, so neither is included. `moved` are the bytes that instructions read and
write; `memory` is the least time for them at 3.35 TB/s, `arithmetic` that of the encoder's convolutions at the dense peak of the
dtype (989 TFLOP/s in bfloat16, 495 in TF32, 67 in float32: the data sheet of the H100 SXM). Caches are ignored.
"""

import functools
import importlib.util
import os
from pathlib import Path

from compile_for_tpu import PROGRAMS, parser_of

from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.errors import InputError

FLOPS = {'bfloat16': 989e12, 'tf32': 495e12, 'float32': 67e12}
BANDWIDTH = 3.35e12
# The card, as XLA describes one: the figures of NVIDIA's H100 SXM.
CARD = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  registers_per_core_limit: 65536 registers_per_block_limit: 65536 l2_cache_size: 52428800
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3350000000000 clock_rate_ghz: 1.98 device_memory_size: 84978434048 cuda_compute_capability { major: 9 }
}
platform_name: "CUDA" dnn_version_info { major: 9 minor: 10 } runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
COLUMNS = ('TFLOP', 'moved GB', 'arithmetic ms', 'memory ms', 'GiB', 'calls of cuDNN')
PASSES = {'training': 6, 'prediction': 2, 'evaluation': 1}  # forward passes of one image for each item of a batch


@functools.cache
def card():
    from jax.experimental import topologies

    options = {'topology': '1x1x1', 'target_config': CARD}
    return list(topologies.get_topology_desc(platform='cuda', topology_name='h100', **options).devices)


def compiled(name, batch, options, dtype):
    """The compiler's numbers for one program."""
    from compiled_text import instructions
    from train_step import encoder_work

    program = PROGRAMS[name](card(), batch, options, dtype).compile()
    memory, steps = program.memory_analysis(), instructions(program.as_text())
    flop = PASSES[name] * batch * encoder_work(options.size, 4)[0]
    moved = sum(step.moved for step in steps)
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    numbers = (
        *(flop / 1e12, moved / 1e9, 1e3 * flop / FLOPS[dtype], 1e3 * moved / BANDWIDTH),
        *((held + memory.temp_size_in_bytes) / 2**30, program.as_text().count('custom_call_target="__cudnn$conv')),
    )
    return dict(zip(COLUMNS, numbers, strict=True))


def measure_all(options):
    import jax
    from pieces import Pieces, print_table

    place = {'jax': jax.__version__, 'size': options.size, 'width': options.width}
    pieces, lines = Pieces(options.out, place), []
    for name in options.programs:
        for dtype in options.dtypes:
            for batch in options.batches:
                measure = functools.partial(compiled, name, batch, options, dtype)
                values = pieces.measure(f'{name}, {dtype}, batch {batch}', measure)
                lines.append([name, dtype, batch, *(f'{values[column]:.3g}' for column in COLUMNS)])
    print_table(('program', 'dtype', 'batch', *COLUMNS), lines)


def main():
    options = parser_of(__doc__, Path('cuda.jsonl'), [1, 4, 16]).parse_args()
    os.environ['JAX_PLATFORMS'] = 'cpu'
    # Without a card no algorithm can be tried, and Triton finds no tiles for some products; cuBLAS takes them.
    os.environ['XLA_FLAGS'] = (
        f'{os.environ.get("XLA_FLAGS", "")} --xla_gpu_autotune_level=0 --xla_gpu_enable_triton_gemm=false'
    )
    with exiting(FrontEnd()):
        if importlib.util.find_spec('jax_cuda13_plugin') is None:
            raise InputError('the compiler for CUDA is not installed; --help has the command.')
        measure_all(options)


if __name__ == '__main__':
    main()
