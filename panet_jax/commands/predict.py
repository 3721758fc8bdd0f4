"""`panet-jax predict`: finds the classes of a few annotated photographs in others."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser, add_network_options, share, warn_of_size, whole_number
from panet_jax.commands.progress import progress
from panet_jax.commands.queries import check_unsearched, find_queries
from panet_jax.commands.supports import Support, parse_support
from panet_jax.disk.paths import local_path
from panet_jax.disk.read_ahead import in_threads
from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS
from panet_jax.settings import SETTINGS

FRONT_END = FrontEnd(
    options={
        'segmenter.present_above': '--present-above',
        'segmenter.weights': '--weights',
        'segmenter.size': '--size',
        'segmenter.batch': '--batch',
    },
    memory='to segment; type a smaller {segmenter.batch=} or {segmenter.size=}',
)
EPILOG = """\
An annotation is
  cat1.png                      a mask: anything but 0 is the class; 255 around objects with numbers is void
  box=LEFT,TOP,RIGHT,BOTTOM     around an object, in pixels of the upright image; a box of COCO is
                                left,top,width,height: type left,top,left+width,top+height
  points=X,Y,X,Y,...            on the class; after a slash, on the background: points=30,40/5,5,90,90
  scribble=strokes.png          0 on strokes on the background, 255 where there is none, else on the class

  panet-jax predict --support cat=cat1.jpg:cat1.png --support cat=cat2.jpg:box=40,30,210,180 \\
      --query 'folder/*.jpg' --out results
"""


def run(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: words after `panet-jax predict`.

    Returns:
        The exit status: 0, or 1 if some images could not be segmented.

    Raises:
        InputError: a mistake of the user.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.support and not options.segmenter:
        parser.error('show what to look for with --support NAME=IMAGE:ANNOTATION, or with --segmenter FILE')
    if not options.query and not options.save_segmenter:
        parser.error('say where to look with --query, or --save-segmenter FILE for later')
    supports = [parse_support(text) for text in options.support]
    queries, others = find_queries(options.query)
    out = local_path(options.out, '--out')
    stems, earlier = _names_of_results(out, supports, queries, options.query) if queries else ({}, {})
    _check_target(options.save_segmenter)
    if others:
        print(f'{len(others)} file(s) with other endings than {", ".join(ENDINGS)} are passed over: {_first(others)}')
    warn_of_size(options.size)
    segmenter = _prepared_segmenter(options, supports)
    return _segment(segmenter, stems, out, earlier, options) if queries else 0


def _names_of_results(out, supports, queries, patterns):
    """{image: name of its results}, and the earlier content of predictions.json; checks that no file is harmed."""
    from panet_jax.segmenter.outputs import check_out, earlier_stems, output_stems, read_earlier

    earlier = read_earlier(out)
    stems = output_stems(queries, earlier_stems(earlier))
    check_out(out, stems, [*queries, *(path for support in supports for path in support.files)])
    check_unsearched(out, stems, patterns, queries)
    return dict(zip(queries, stems, strict=True)), earlier


def _check_target(path):
    """Checks that a segmenter can be saved at a path, if there is one."""
    from panet_jax.segmenter.saved import checked_target

    if path:
        checked_target(path)


def _first(paths):
    """The first paths of a list, for a sentence."""
    return ', '.join(map(str, paths[:3])) + ', ...' * (len(paths) > 3)


def _parser():
    parser = OptionParser(
        prog='panet-jax predict',
        description='Segments photographs, given a few annotated ones of each class.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--support',
        action='append',
        default=[],
        metavar='NAME=IMAGE:ANNOTATION',
        help='an annotated image of a class; may be repeated, for one class or several',
    )
    parser.add_argument(
        '--query', action='extend', nargs='+', default=[], metavar='FILE', help='images, folders or globs to segment'
    )
    parser.add_argument('--out', default='predictions', metavar='FOLDER', help='where results go (%(default)s)')
    add_network_options(parser, default=None)
    parser.add_argument('--dtype', choices=SETTINGS['encoder.dtype'].choices, help='of the computation (float32)')
    parser.add_argument(
        '--head',
        choices=SETTINGS['evaluation.head'].choices,
        help='prototypes adapted to each image (adapted, the default), or the same for all, as in the paper (panet)',
    )
    parser.add_argument('--batch', type=whole_number(1), default=4, help='images a step (%(default)s)')
    parser.add_argument('--segmenter', metavar='FILE', help='references that were saved; --support adds to them')
    parser.add_argument('--save-segmenter', metavar='FILE', help='save the references as NAME.safetensors')
    parser.add_argument(
        '--absent-above',
        type=share,
        metavar='NUMBER',
        help='leave a class out of images where its `absent` in predictions.json is above this, such as 0.55',
    )
    parser.add_argument(
        '--present-above',
        type=share,
        metavar='NUMBER',
        help='leave a class out of images that probably do not show it: where its `presence` in predictions.json is not '
        'above this, such as 0.1',
    )
    parser.add_argument('--probabilities', action='store_true', help='also write NAME.npz, [1 + N, H, W] float16')
    return parser


def _prepared_segmenter(options, supports):
    """The Segmenter with its references; saves it if --save-segmenter was typed."""
    from panet_jax.compute.compilation_cache import keep_compiled
    from panet_jax.compute.compiler_flags import set_tpu_flags

    keep_compiled()
    set_tpu_flags()
    print('reading weights and references', flush=True)
    segmenter = _segmenter(options, supports)
    print(', '.join(f'label {number} is {name}' for number, name in enumerate(segmenter.classes, 1)), flush=True)
    if options.save_segmenter:
        segmenter.save(options.save_segmenter)
        print(f'the references are in {options.save_segmenter}', flush=True)
    return segmenter


def _segmenter(options: argparse.Namespace, supports: list[Support]) -> 'pj.Segmenter':
    typed = {name: value for name in ('size', 'dtype', 'head') if (value := getattr(options, name)) is not None}
    if not options.segmenter:
        references = {}
        for support in supports:
            references.setdefault(support.name, []).append((support.image, support.annotation))
        return pj.Segmenter(options.weights or 'imagenet', batch=options.batch, **typed).fit(references)
    if typed:
        raise InputError(f'a saved segmenter keeps the {" and ".join(typed)} it was made with; leave that out.')
    segmenter = pj.Segmenter.load(options.segmenter, weights=options.weights, batch=options.batch)
    for support in supports:
        segmenter.add(support.name, support.image, support.annotation)
    return segmenter


def _segment(segmenter, stems, out, earlier, options):
    """Segments and draws all images, and prints failures at the end. Returns the exit status."""
    from panet_jax.segmenter.outputs import RESULTS, check_same, make_out, together
    from panet_jax.segmenter.segmenter import THREADS

    about = {
        'classes': list(segmenter.classes),
        'weights': segmenter.weights,
        'size': segmenter.size,
        'head': segmenter.head,
    }
    check_same(out, earlier, about, stems)
    _print_replaced(out, earlier, about)
    results = segmenter.stream_photos(
        stems, on_error='yield', present_above=options.present_above
    )  # checks the references before anything is written
    make_out(out)
    # First, so that what a kill leaves is known for results, which the same command replaces.
    write_json(out / RESULTS, together(earlier, about, []))
    outcomes = {}

    def finish(item):
        path, (segmentation, photo) = item
        outcomes[path] = {'image': str(path), **_written(segmentation, photo, out, stems[path], options)}

    try:
        items = zip(stems, results, strict=True)
        with contextlib.closing(in_threads(finish, items, THREADS, ahead=1)) as finished:  # each holds a photograph
            for _ in progress(finished, 'segmenting', len(stems)):
                pass
    finally:  # also after Ctrl-C or another signal
        entries = [outcomes[path] for path in stems if path in outcomes]
        write_json(out / RESULTS, together(earlier, about, entries))
        _print_done(out, entries, segmenter.classes)
    return _print_failed(entries)


def _print_replaced(out, earlier, about):
    made = ', '.join(f'{name} {earlier.get(name)}' for name in about if earlier.get(name) != about[name])
    if earlier['images'] and made:
        count = len(earlier['images'])
        print(f'{out} has the results of {count} image(s), made with {made}; they are replaced', flush=True)


def _written(segmentation, photo, out: Path, stem: str, options: argparse.Namespace) -> dict:
    """Writes the results of a photograph. Returns its entry of predictions.json, or the error."""
    from panet_jax.segmenter.outputs import write_prediction

    try:
        if isinstance(segmentation, InputError):
            raise segmentation
        if options.absent_above is not None:
            segmentation = segmentation.present(options.absent_above)
        return write_prediction(segmentation, photo, out, stem, probabilities=options.probabilities)
    except InputError as error:
        return {'error': str(error)}


def _print_done(out, entries, classes):
    from panet_jax.segmenter.outputs import LEAST_SHARE, RESULTS

    done = [entry for entry in entries if 'error' not in entry]
    print(f'{len(done)} image(s) in {out}: labels NAME.png, NAME-overlay.jpg, and {RESULTS}')
    counts = {name: sum(entry['shares'][name] >= LEAST_SHARE for entry in done) for name in classes}
    print(', '.join(f'{name} is found in {count}' for name, count in counts.items()))


def _print_failed(entries):
    """Prints the errors of images that could not be segmented. Returns the exit status."""
    failed = [entry['error'] for entry in entries if 'error' in entry]
    if failed:
        print(f'{len(failed)} image(s) could not be segmented:')
        print(*(f'  {error}' for error in failed), sep='\n')
    return 1 if failed else 0
