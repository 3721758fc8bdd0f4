"""`panet-jax export`: a trained network as a folder that travels, or a saved segmenter as a program for other runtimes."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser, weights_source
from panet_jax.disk.paths import local_path, workdir_path
from panet_jax.errors import InputError

FRONT_END = FrontEnd(options={'segmenter.weights': '--weights'})
EPILOG = """\
  panet-jax export runs/shapes-fold0-1way-1shot --out my-network
      makes my-network/ with encoder.safetensors, model.json and a model card, README.md. It is loaded by
      pj.Segmenter('my-network') and --weights my-network. Published with
      hf upload USER/NAME my-network
      it is loaded by pj.Segmenter('hf://USER/NAME') and --weights hf://USER/NAME.
  panet-jax export pets.safetensors --stablehlo pets.stablehlo
      makes one file with network and references, from an image to probabilities, which
      jax.export.deserialize(bytearray(Path('pets.stablehlo').read_bytes())).call(image)
      runs on a CPU, a GPU or a TPU with jax and flatbuffers, without panet_jax.
  panet-jax export pets.safetensors --onnx pets.onnx
      makes the same as an ONNX model (pip install 'panet-jax[onnx]'), which
      onnxruntime.InferenceSession('pets.onnx').run(None, {'image': image})
      runs without JAX.
"""


def run(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: words after `panet-jax export`.

    Returns:
        The exit status.

    Raises:
        InputError: a mistake of the user.
    """
    options = make_parser().parse_args(arguments)
    path = workdir_path(options.source, 'what to export')
    if not path.exists():
        raise InputError(f'there is no {path}; name the workdir of a training, or a saved segmenter.')
    if path.is_dir():
        _check_absent(options, ('stablehlo', 'onnx', 'weights'), f'is for a saved segmenter, and {path} is a folder')
        _export_network(path, local_path(options.out or f'{path.resolve().name}-network', '--out'))
    else:
        _check_absent(options, ('out',), f'is for a training, and {path} is a file')
        targets = {name: getattr(options, name) for name in FORMATS if getattr(options, name)}
        if not targets:
            raise InputError(f'{path} is a file; name the file to write with --stablehlo FILE or --onnx FILE.')
        paths = {name: local_path(target, f'--{name}') for name, target in targets.items()}
        _export_programs(path, paths, options.weights)
    return 0


def make_parser() -> OptionParser:
    """The parser of the command's options."""
    parser = OptionParser(
        prog='panet-jax export',
        description='Exports a trained network to share, or a saved segmenter to run elsewhere.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', metavar='RUN_OR_SEGMENTER', help='the workdir of a training, or a saved segmenter')
    parser.add_argument('--out', metavar='FOLDER', help='where a network goes (RUN-network in the current folder)')
    parser.add_argument('--stablehlo', metavar='FILE', help='write the program of a segmenter for JAX and XLA')
    parser.add_argument('--onnx', metavar='FILE', help='write it as an ONNX model')
    parser.add_argument('--weights', type=weights_source, help='of the segmenter, if they have moved')
    return parser


def _check_absent(options, names, why):
    for name in names:
        if getattr(options, name):
            raise InputError(f'--{name} {why}.')


def _export_network(run_path, out: Path) -> None:
    """Writes the newest network of a workdir, with what is known of it."""
    from panet_jax.networks.choose import load_network
    from panet_jax.networks.exported import describe, write_exported
    from panet_jax.networks.history import history
    from panet_jax.results.model_card import model_card
    from panet_jax.results.tables import published_results, results_table

    network = load_network(run_path)
    rows = published_results(run_path, network.hash)
    about = describe(network, history(run_path), rows)
    tables = [results_table([row], Path()) for row in rows]
    write_exported(out, network, about, model_card(out.name, out.name, about, tables))
    print(f'the {about["encoder"]} of step {about["step"]} and {len(rows)} result(s) are in {out}')
    print(f"load it with pj.Segmenter('{out}') or --weights {out}; publish it with: hf upload USER/NAME {out}")


def _export_programs(path: Path, targets: dict[str, Path], weights: str | None) -> None:
    """Writes the program of a saved segmenter in some of FORMATS."""
    from panet_jax.disk.atomic import replacing
    from panet_jax.disk.downloads import gigabytes
    from panet_jax.segmenter.segmenter import Segmenter

    _check_targets(path, targets)
    segmenter = Segmenter.load(path, weights)
    side, labels = segmenter.size, ', '.join(['background', *segmenter.classes])
    contents = {target: FORMATS[name](segmenter) for name, target in targets.items()}  # all, before one is written
    for target, content in contents.items():
        with replacing(target) as temporary:
            temporary.write_bytes(content)
        print(f'{target}, {gigabytes(target.stat().st_size)}: an image [1, {side}, {side}, 3] uint8 ->')
        print(f'probabilities [1, {side}, {side}, {1 + len(segmenter.classes)}] float32 of {labels}')


def _check_targets(path, targets):
    """Checks where programs go, and what their formats need, before the weights are read."""
    from panet_jax.segmenter.onnx.file import check_library

    taken = [path.resolve()]
    for target in targets.values():
        if not target.parent.is_dir():
            raise InputError(
                f'there is no folder {target.parent} for {target.name}; make it first, or name another one.'
            )
        if target.resolve() in taken:
            raise InputError(f'{target} would be written over; name another file, one for each format.')
        taken.append(target.resolve())
    if 'onnx' in targets:
        check_library()


def _stablehlo(segmenter):
    from panet_jax.segmenter.program import exported_program

    return exported_program(segmenter)


def _onnx(segmenter):
    from panet_jax.segmenter.onnx.model import onnx_model

    return onnx_model(segmenter)


# The formats of a program, by their options.
FORMATS = {'stablehlo': _stablehlo, 'onnx': _onnx}
