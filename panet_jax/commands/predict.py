"""`panet-jax predict`: finds the classes of a few annotated photographs in others."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

import panet_jax as pj
from panet_jax.commands.answers import check_terminal
from panet_jax.commands.decision import check_can_decide, known_answers
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.labeling import Job, label_photos
from panet_jax.commands.option_parser import OptionParser, add_network_options, share, warn_of_size, whole_number
from panet_jax.commands.queries import check_unsearched, find_queries, query_root
from panet_jax.commands.reference_files import picture_names
from panet_jax.commands.result_sheet import MOST_ON_SHEET, sheet_path
from panet_jax.commands.supports import parse_negative, parse_support
from panet_jax.commands.typed_references import check_network, read_typed
from panet_jax.disk.paths import local_path
from panet_jax.errors import InputError
from panet_jax.export.names import COPIES, FORMATS
from panet_jax.images.decode import ENDINGS
from panet_jax.segmenter.kept_answers import FILE
from panet_jax.settings import SETTINGS

if TYPE_CHECKING:
    from panet_jax.segmenter.new_references import Pairs

FRONT_END = FrontEnd(
    options={
        'segmenter.present_above': '--present-above',
        'segmenter.weights': '--weights',
        'segmenter.size': '--size',
        'segmenter.batch': '--batch',
    },
    again='goes on there',
    memory='to segment; type a smaller {segmenter.batch=} or {segmenter.size=}',
)
REVIEWED = 10  # questions a class
EPILOG = """\
An annotation is
  cat1.png                      a mask: anything but 0 is the class; 255 around objects with numbers is void
  box=LEFT,TOP,RIGHT,BOTTOM     around an object, in pixels of the upright image; a box of COCO is
                                left,top,width,height: type left,top,left+width,top+height
  points=X,Y,X,Y,...            on the class; after a slash, on the background: points=30,40/5,5,90,90
  scribble=strokes.png          strokes: 0 on the background, another number on the class, 255 where there is none

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
    parser = make_parser()
    options = parser.parse_args(arguments)
    if not (options.support or options.support_dir or options.segmenter):
        parser.error(
            'show what to look for with --support NAME=IMAGE:ANNOTATION, --support-dir FOLDER or --segmenter FILE'
        )
    if not options.query and not options.save_segmenter:
        parser.error('name the images to segment with --query, or save the references with --save-segmenter FILE')
    supports = [parse_support(text) for text in options.support]
    negatives = [parse_negative(text) for text in options.negative]
    queries, others = find_queries(options.query)
    out = local_path(options.out, '--out')
    if options.all_present and (options.review or (options.absent_above, options.present_above) != (None, None)):
        parser.error(
            '--all-present takes every image to show every class; leave it out, or --present-above, --absent-above and --review'
        )
    _check_review(out, options)
    saved = _check_saved(options) if options.segmenter else None
    can_decide = saved is None or (saved.can_decide and not (supports or negatives or options.support_dir))
    check_can_decide(can_decide, options)
    if not options.segmenter:
        check_network(options.weights, options.size, options.debias)
    stems, earlier = _names_of_results(out, supports, negatives, queries, options) if queries else ({}, {})
    _check_target(options.save_segmenter)
    typed = read_typed(supports, negatives, options.support_dir, alone=not options.segmenter)
    classes = list(dict.fromkeys([*(saved.classes if saved else ()), *typed.by_class]))
    answers = {}
    if queries:
        _check_classes(out, classes, stems, earlier)
        answers = known_answers(out, stems, earlier['images'], classes, can_decide=can_decide, options=options)
    if others:
        print(f'{len(others)} file(s) with other endings than {", ".join(ENDINGS)} are passed over: {_first(others)}')
    warn_of_size(options.size)
    segmenter = _prepared_segmenter(options, typed)
    del typed  # its masks and photographs may be large
    if not queries:
        return 0
    return label_photos(segmenter, Job(out, query_root(options.query), stems, earlier, answers, supports, options))


def _names_of_results(out, supports, negatives, queries, options):
    """{image: name of its results}, and the earlier content of predictions.json; checks that no other file is replaced."""
    from panet_jax.segmenter.outputs import check_out, earlier_stems, output_stems, read_earlier

    earlier = read_earlier(out)
    stems = output_stems(queries, earlier_stems(earlier))
    files = [name for form in options.format for name in FORMATS[form]]
    inputs = [*queries, *(path for support in (*supports, *negatives) for path in support.files)]
    check_out(out, stems, inputs, more=[*files, *picture_names(supports)])
    copies = [COPIES[form] for form in options.format if form in COPIES]
    check_unsearched(out, stems, options.query, queries, copies=copies)
    return dict(zip(queries, stems, strict=True)), earlier


def _check_review(out, options):
    """Checks that --review can ask, before anything is computed."""
    if options.review is None:
        return
    if not options.query:
        raise InputError('--review asks about photographs; name them with --query.')
    check_terminal(out)


def _check_target(path):
    """Checks that a segmenter can be saved at a path, if there is one."""
    from panet_jax.segmenter.saved import checked_target

    if path:
        checked_target(path)


def _check_saved(options):
    """Checks what may not be typed with --segmenter. Returns the references of the file."""
    from panet_jax.segmenter.saved import read_file

    if options.as_drawn:
        raise InputError('a saved segmenter takes points and boxes as it was made to; leave --as-drawn out.')
    if settings := _typed_settings(options):
        raise InputError(f'a saved segmenter keeps the {" and ".join(settings)} it was made with; leave that out.')
    return read_file(options.segmenter)[1]


def _check_classes(out, classes, stems, earlier):
    """Checks that other results in the folder, which stay, are of the same classes."""
    from panet_jax.segmenter.outputs import SAME, check_same

    check_same(out, earlier, {**{name: earlier.get(name) for name in SAME}, 'classes': classes}, stems)


def _first(paths):
    """The first paths of a list, for a sentence."""
    return ', '.join(map(str, paths[:3])) + ', ...' * (len(paths) > 3)


def make_parser() -> OptionParser:
    """The parser of the command's options."""
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
        '--support-dir',
        action='append',
        default=[],
        metavar='FOLDER',
        help='a folder of annotated images: masks, COCO, YOLO, VOC, CVAT, Label Studio or labelme, as `panet-jax data '
        'check` reads it; may be repeated',
    )
    parser.add_argument(
        '--negative',
        action='append',
        default=[],
        metavar='IMAGE[:ANNOTATION]',
        help='an image that shows no class, or what in it shows none, though it looks like one; may be repeated',
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
    parser.add_argument(
        '--as-drawn',
        action='store_true',
        help='take the pixels under points and boxes as the class, in place of the region that looks like them',
    )
    parser.add_argument(
        '--no-edges',
        dest='edges',
        action='store_false',
        default=None,
        help='masks need not follow the edges of the images',
    )
    parser.add_argument(
        '--debias',
        type=share,
        metavar='NUMBER',
        help="share of the positional directions to remove from a vision transformer's features, such as 0.5 (0)",
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
        help='leave a class out of images that probably do not show it: where its probability is below this, such '
        'as 0.1: `presence` in predictions.json, of each image alone; with --review or answers `presence_after`, of all together',
    )
    parser.add_argument(
        '--all-present',
        action='store_true',
        help='take every image to show every class; otherwise, of ten or more images, a class is left out of those that '
        'probably do not show it',
    )
    parser.add_argument(
        '--review',
        nargs='?',
        type=whole_number(1),
        const=REVIEWED,
        metavar='COUNT',
        help='ask which photographs show a class, where that is least certain, up to so often a class (%(const)s); the '
        f'answers are kept in {FILE} in --out, and decide which classes are left out',
    )
    _add_export_options(parser)
    parser.add_argument('--probabilities', action='store_true', help='also write NAME.npz, [1 + N, H, W] float16')
    return parser


def _add_export_options(parser):
    parser.add_argument(
        '--format',
        action='append',
        default=[],
        choices=list(FORMATS),
        help='also write labels for other programs; may be repeated: coco (annotations.json), yolo (data.yaml, labels/ and '
        'copies in images/), voc (as CVAT reads it), label-studio (predictions), tiff (label maps)',
    )
    parser.add_argument(
        '--min-area',
        type=whole_number(1),
        default=1,
        metavar='PIXELS',
        help='leave smaller objects out of --format (%(default)s); NAME.png keeps them',
    )
    parser.add_argument(
        '--polygons', action='store_true', help='polygons without holes in annotations.json, in place of run lengths'
    )
    parser.add_argument(
        '--sheet',
        type=sheet_path,
        metavar='FILE',
        help=f'also draw {MOST_ON_SHEET} of the results, small, in one picture',
    )


def _typed_settings(options):
    """The settings of the Segmenter that were typed."""
    settings = {name: getattr(options, name) for name in ('size', 'dtype', 'head', 'edges', 'debias')}
    return {name: value for name, value in settings.items() if value is not None}


def _prepared_segmenter(options, typed):
    """The Segmenter with its references; saves it if --save-segmenter was typed."""
    from panet_jax.compute.compilation_cache import keep_compiled
    from panet_jax.compute.compiler_flags import set_tpu_flags

    keep_compiled()
    set_tpu_flags()
    print('reading weights and references', flush=True)
    segmenter = _segmenter(options, typed.by_class)
    for image, annotation in typed.negatives:
        segmenter.add_negative(image, annotation)
    print(', '.join(f'label {number} is {name}' for number, name in enumerate(segmenter.classes, 1)), flush=True)
    if options.save_segmenter:
        segmenter.save(options.save_segmenter)
        print(f'the references are in {options.save_segmenter}', flush=True)
    return segmenter


def _segmenter(options: argparse.Namespace, references: 'Pairs') -> 'pj.Segmenter':
    if not options.segmenter:
        weights, typed = options.weights or 'imagenet', _typed_settings(options)
        return pj.Segmenter(weights, batch=options.batch, understand=not options.as_drawn, **typed).fit(references)
    segmenter = pj.Segmenter.load(options.segmenter, weights=options.weights, batch=options.batch)
    if references:
        segmenter.references = segmenter.extended(segmenter.references, references)
    return segmenter
