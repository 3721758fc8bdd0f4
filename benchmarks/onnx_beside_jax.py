"""A saved segmenter in onnxruntime beside JAX: time of a photograph, and difference of the probabilities.

    python benchmarks/onnx_beside_jax.py pets.safetensors PHOTO... [--weights W] [--rounds 5]

Both take an image of the network's size and give probabilities of that size. A round is one photograph, by one and then by
the other; times are medians over the rounds, after a first call. Needs the libraries onnx and onnxruntime.
"""

import argparse
import statistics
import time

import jax
import numpy as np
import onnxruntime

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.option_parser import OptionParser, weights_source, whole_number
from panet_jax.images.resize import resize_image
from panet_jax.segmenter.onnx.model import onnx_model
from panet_jax.segmenter.program import exported_program, program_of
from panet_jax.segmenter.references import read_photo


def make_parser():
    parser = OptionParser(
        prog='onnx_beside_jax.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('segmenter', help='a saved segmenter')
    parser.add_argument('photographs', metavar='PHOTO', nargs='+')
    parser.add_argument('--weights', type=weights_source, help='of the segmenter, if they have moved')
    parser.add_argument('--rounds', type=whole_number(1), default=5)
    return parser


def median_seconds(functions, images, rounds):
    """{name: median seconds} of functions that take turns, so that a busy machine slows all of them."""
    seconds = {name: [] for name in functions}
    for index in range(rounds):
        for name, function in functions.items():
            started = time.perf_counter()
            np.asarray(function(images[index % len(images)]))
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(times) for name, times in seconds.items()}


def measure(arguments):
    """Prints the measurements of a segmenter."""
    segmenter = pj.Segmenter.load(arguments.segmenter, arguments.weights)
    images = [resize_image(read_photo(path, path), segmenter.size)[None] for path in arguments.photographs]
    files = {'onnxruntime': onnx_model(segmenter), 'jax': exported_program(segmenter)}
    session = onnxruntime.InferenceSession(files['onnxruntime'], providers=['CPUExecutionProvider'])
    functions = {
        'onnxruntime': lambda image: session.run(None, {'image': image})[0],
        'jax': jax.jit(program_of(segmenter, dtype='float32')),
    }
    one, other = (np.concatenate([function(image) for image in images]) for function in functions.values())
    print(f'{segmenter.network.encoder.name}, {segmenter.size} x {segmenter.size}, head {segmenter.head}')
    for name, seconds in median_seconds(functions, images, arguments.rounds).items():
        print(f'{name:12} {1000 * seconds:7.0f} ms a photograph, file of {len(files[name]) / 1e6:.1f} MB')
    print(f'{len(images)} photographs: largest difference of a probability {np.abs(one - other).max():.1e},', end=' ')
    print(f'other label in {np.sum(one.argmax(-1) != other.argmax(-1))} of {one[..., 0].size:,} pixels')


def main(words=None):
    with exiting(FrontEnd('onnx_beside_jax.py', options={'segmenter.weights': '--weights'})):
        measure(make_parser().parse_args(words))


if __name__ == '__main__':
    main()
