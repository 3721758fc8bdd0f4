"""`panet-jax predict`: classes shown on some photographs are found in others, and drawn."""

import argparse
import contextlib
import fnmatch
import glob
from pathlib import Path

from panet_jax.commands.option_parser import OptionParser, add_network_options, share, warn_of_size, whole_number
from panet_jax.commands.progress import progress
from panet_jax.compute.compilation_cache import keep_compiled
from panet_jax.disk.paths import local_path
from panet_jax.disk.read_ahead import in_threads
from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS
from panet_jax.method.encoder import COMPUTATIONS
from panet_jax.segmenter.outputs import (
    LEAST_SHARE,
    RESULTS,
    check_out,
    check_same,
    earlier_stems,
    make_out,
    output_stems,
    read_earlier,
    together,
    write_prediction,
)
from panet_jax.segmenter.references import Box, Points, Scribble
from panet_jax.segmenter.saved import checked_target
from panet_jax.segmenter.segmenter import THREADS, Segmenter

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


def run(arguments):
    """Does what the arguments say; returns the exit status: 0, or 1 if some images could not be segmented."""
    parser = _parser()
    arguments = parser.parse_args(arguments)
    if not arguments.support and not arguments.segmenter:
        parser.error('show what to look for with --support NAME=IMAGE:ANNOTATION, or with --segmenter FILE')
    if not arguments.query and not arguments.save_segmenter:
        parser.error('say where to look with --query, or --save-segmenter FILE for later')
    supports = [_support(text) for text in arguments.support]
    queries, others = find_queries(arguments.query)
    if queries:
        out = local_path(arguments.out, '--out')
        earlier = read_earlier(out)
        stems = output_stems(queries, earlier_stems(earlier))
        check_out(out, stems, [*queries, *(path for support in supports for path in _files(support))])
        _check_unsearched(out, stems, arguments.query, queries)
    if arguments.save_segmenter:
        checked_target(arguments.save_segmenter)
    keep_compiled()
    if others:
        print(f'{len(others)} file(s) with other endings than {", ".join(ENDINGS)} are passed over: {_some(others)}')
    warn_of_size(arguments.size)
    print('reading weights and references', flush=True)
    segmenter = _segmenter(arguments, supports)
    print(', '.join(f'label {number} is {name}' for number, name in enumerate(segmenter.classes, 1)), flush=True)
    if arguments.save_segmenter:
        segmenter.save(arguments.save_segmenter)
        print(f'the references are in {arguments.save_segmenter}', flush=True)
    return _segment(segmenter, dict(zip(queries, stems, strict=True)), out, earlier, arguments) if queries else 0


def find_queries(patterns):
    """The images that files, folders and globs name, each once, in order.

    Returns:
        A list of Paths, and one of the other files there, which have other endings.

    Raises:
        InputError: one of them names none.
    """
    found, others = {}, {}
    for pattern in patterns:
        path = Path(pattern).expanduser()
        if path.is_file():
            paths = [path]
        elif path.is_dir():
            paths = sorted(path.iterdir())
        else:
            folder, rest = _there_and_rest(path)
            # Path.glob takes what is hidden too.
            matches = glob.glob(str(Path(glob.escape(str(folder)), rest)), recursive=True)  # noqa: PTH207
            paths = [Path(match) for match in sorted(matches)]
        files = [each for each in paths if each.is_file()]
        images = [each for each in files if each.suffix.lower() in ENDINGS]
        if not images:
            there = f'none of the {len(paths)} file(s) has' if paths else 'there is no such file; wanted'
            raise InputError(f'--query {pattern} names no image: {there} one of the endings {", ".join(ENDINGS)}.')
        for image in images:
            found.setdefault(image.resolve(), image)
        others |= {each.resolve(): each for each in set(files) - set(images) if not each.name.startswith('.')}
    return list(found.values()), sorted(others.values())


def _there_and_rest(path):
    """The deepest folder of a glob that exists, whatever brackets its name has, and the rest of the glob."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    return folder, path.relative_to(folder)


def _check_unsearched(out, stems, patterns, queries):
    """Checks that no result is written where the same command would take it for a photograph the next time."""
    home = out.resolve()
    results = [home / name for stem in stems for name in (f'{stem}.png', f'{stem}-overlay.jpg')]
    beside = home in {query.parent.resolve() for query in queries}
    if beside or any(_searches(pattern, result) for pattern in patterns for result in results):
        raise InputError(
            f'--out {out} is where --query looks, so that the next time the results would be taken for photographs; name '
            'another folder.'
        )


def _searches(pattern, file):
    """Whether --query with a folder or glob would find a file, whose path is resolved."""
    path = Path(pattern).expanduser()
    if path.is_file() or path.is_dir():
        return file.parent == path.resolve()
    folder, rest = _there_and_rest(path)
    inside = file.is_relative_to(folder.resolve())
    return inside and _matches(file.relative_to(folder.resolve()).parts, rest.parts)


def _matches(parts, pattern):
    """Whether the parts of a path match those of a glob, in which ** is any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == '**':
        return any(_matches(parts[first:], pattern[1:]) for first in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


def _some(paths):
    """The first of them, for a sentence."""
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
    parser.add_argument('--dtype', choices=COMPUTATIONS, help='of the computation (float32)')
    parser.add_argument('--batch', type=whole_number(1), default=4, help='images a step (%(default)s)')
    parser.add_argument('--segmenter', metavar='FILE', help='references that were saved; --support adds to them')
    parser.add_argument('--save-segmenter', metavar='FILE', help='save the references as NAME.npz')
    parser.add_argument(
        '--absent-above',
        type=share,
        metavar='NUMBER',
        help='leave a class out of images where its `absent` in predictions.json is above this, such as 0.55',
    )
    parser.add_argument('--probabilities', action='store_true', help='also write NAME.npz, [1 + N, H, W] float16')
    return parser


def _support(text):
    r"""(name, path of the image, annotation) of NAME=IMAGE:ANNOTATION.

    A path may have colons (C:\cat.jpg): the first one after which the image's name is that of a file counts.
    """
    name, equals, rest = text.partition('=')
    places = [place for place, letter in enumerate(rest) if letter == ':']
    if not (name and equals and places):
        raise InputError(
            f'--support wants NAME=IMAGE:ANNOTATION, such as cat=cat1.jpg:cat1.png or cat=cat1.jpg:box=10,20,200,180, got '
            f'{text!r}.'
        )
    place = next((place for place in places if Path(rest[:place]).expanduser().is_file()), places[-1])
    image = Path(rest[:place]).expanduser()
    if not image.is_file():
        raise InputError(f'there is no image {image}, which --support {text} names.')
    return name, image, _annotation(rest[place + 1 :], text)


def _annotation(text, support):
    kind, _, rest = text.partition('=')
    if kind == 'box':
        corners = _numbers(rest, support)
        if len(corners) != 4:
            raise InputError(
                f'a box is box=LEFT,TOP,RIGHT,BOTTOM, got {len(corners)} number(s) in --support {support}.'
            )
        return Box(*corners)
    if kind == 'points':
        on_class, _, elsewhere = rest.partition('/')
        return Points(_pairs(on_class, support), _pairs(elsewhere, support) if elsewhere else [])
    path = Path(rest if kind == 'scribble' else text).expanduser()
    if not path.is_file():
        raise InputError(
            f'there is no annotation {path}, which --support {support} names; wanted a PNG, box=, points= or scribble=.'
        )
    return Scribble(path) if kind == 'scribble' else path


def _numbers(text, support):
    try:
        return [float(number) for number in text.split(',')]
    except ValueError as error:
        raise InputError(f'wanted numbers with commas between them, got {text!r} in --support {support}.') from error


def _pairs(text, support):
    coordinates = _numbers(text, support)
    if len(coordinates) % 2:
        raise InputError(f'points are X,Y,X,Y,..., got {len(coordinates)} number(s) in --support {support}.')
    return list(zip(coordinates[::2], coordinates[1::2], strict=True))


def _files(support):
    """The files that a support is read from."""
    _, image, annotation = support
    annotation = annotation.strokes if isinstance(annotation, Scribble) else annotation
    return [image, annotation] if isinstance(annotation, Path) else [image]


def _segmenter(arguments, supports):
    settings = {'size': arguments.size, 'dtype': arguments.dtype}
    given = {name: value for name, value in settings.items() if value is not None}
    if not arguments.segmenter:
        segmenter = Segmenter(arguments.weights or 'imagenet', batch=arguments.batch, **given)
        references = {}
        for name, *pair in supports:
            references.setdefault(name, []).append(pair)
        return segmenter.fit(references)
    if given:
        raise InputError(f'a saved segmenter keeps the {" and ".join(given)} it was made with; leave that out.')
    segmenter = Segmenter.load(arguments.segmenter, arguments.weights, arguments.batch)
    for support in supports:
        segmenter.add(*support)
    return segmenter


def _segment(segmenter, stems, out, earlier, arguments):
    """Segments and draws all images; what could not be done is told at the end. Returns the exit status."""

    def finish(item):
        path, found = item
        try:
            if isinstance(found, InputError):
                raise found
            if arguments.absent_above is not None:
                found = found.present(arguments.absent_above)
            outcomes[path] = write_prediction(found, path, out, stems[path], arguments.probabilities)
        except InputError as error:
            outcomes[path] = {'image': str(path), 'error': str(error)}

    about = {'classes': list(segmenter.classes), 'weights': segmenter.weights, 'size': segmenter.size}
    check_same(out, earlier, about, stems)
    found = segmenter.stream(stems, on_error='yield')  # which checks the references before anything is written
    make_out(out)
    outcomes = {}
    try:
        items = zip(stems, found, strict=True)
        with contextlib.closing(in_threads(finish, items, THREADS)) as finished:
            for _ in progress(finished, 'segmenting', len(stems)):
                pass
    finally:  # what is done is told after Ctrl-C too, and after a signal
        told = [outcomes[path] for path in stems if path in outcomes]
        failed = [outcome for outcome in told if 'error' in outcome]
        done = [outcome for outcome in told if 'error' not in outcome]
        write_json(out / RESULTS, together(earlier, about, told))
        print(f'{len(done)} image(s) in {out}: labels NAME.png, NAME-overlay.jpg, and {RESULTS}')
        counts = {name: sum(entry['shares'][name] >= LEAST_SHARE for entry in done) for name in segmenter.classes}
        print(', '.join(f'{name} is found in {count}' for name, count in counts.items()))
    if failed:
        print(f'{len(failed)} image(s) could not be segmented:')
        print(*(f'  {outcome["error"]}' for outcome in failed), sep='\n')
    return 1 if failed else 0
