"""`panet-jax data`: checks data sets, prepares them, and removes outdated prepared lists."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.errors import InputError

SHEET_ENDINGS = ('.png', '.jpg', '.pdf')
# The benchmarks with official archives, and the image lists that the files in configs/ use.
BENCHMARKS = ('pascal5i', 'coco20i')
DEFAULT_LISTS = {'pascal5i': ('trainaug',), 'coco20i': ('train2014', 'val2014'), 'custom': ('all',)}
FRONT_END = FrontEnd(
    options={
        'data.root': '--root',
        'data.prepared_dir': '--prepared-dir',
        'data.skip_unreadable': '--skip-unreadable',
        'data.train_split': '--list',
        'data.test_split': '--list',
    }
)


def run(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: words after `panet-jax data`.

    Returns:
        The exit status.

    Raises:
        InputError: a mistake of the user.
    """
    options = make_parser().parse_args(arguments)
    return options.action(options)


def make_parser() -> OptionParser:
    """The parser of the command's options."""
    parser = OptionParser(
        prog='panet-jax data', description='Checks and prepares data sets, and removes outdated prepared lists.'
    )
    actions = parser.add_subparsers(required=True, metavar='check|prepare|clean')
    for add in (_add_check, _add_prepare, _add_clean):
        add(actions).add_argument(
            '--prepared-dir', default='', help='folder of prepared data ($TFDS_DATA_DIR, else ~/tensorflow_datasets)'
        )
    return parser


def _add_check(actions):
    check = actions.add_parser(
        'check',
        help='report what a folder or a benchmark has, and whether training can start (exit status 0)',
        description='Reads every image and mask. Exit status 0: training can start; 1: it cannot; 2: wrong arguments.',
    )
    check.add_argument('target', metavar='DIR_OR_NAME', help=f'a folder, or {" or ".join(BENCHMARKS)}')
    check.add_argument(
        '--shots', type=whole_number(1), default=1, help='support images of each class in an episode (%(default)s)'
    )
    check.add_argument('--queries', type=whole_number(1), default=1, help='query images in an episode (%(default)s)')
    check.add_argument('--unseen', default='', help='CLASS,CLASS: the unseen classes, instead of four folds')
    check.add_argument(
        '--sheet',
        metavar='FILE',
        help='where to draw some images with their masks (FOLDER-sheet.png in the current folder, unless that is in '
        'FOLDER); --sheet= draws none',
    )
    check.set_defaults(action=_check)
    return check


def _add_prepare(actions):
    prepare = actions.add_parser(
        'prepare',
        help='check image lists and write them as ArrayRecord; a training does this too',
        description='Checks and writes image lists as ArrayRecord, downloading a benchmark if no --root is given.',
    )
    prepare.add_argument('name', metavar='NAME', choices=list(DEFAULT_LISTS), help=', '.join(DEFAULT_LISTS))
    prepare.add_argument('--root', default='', help='folder of the files; without it, the official archives')
    prepare.add_argument(
        '--list', action='append', help='an image list; may be repeated (default: those of the files in configs/)'
    )
    prepare.add_argument('--skip-unreadable', action='store_true', help='leave out images that cannot be read')
    prepare.set_defaults(action=_prepare)
    return prepare


def _add_clean(actions):
    clean = actions.add_parser(
        'clean',
        help='remove outdated prepared lists',
        description='Shows outdated prepared lists and removes them once you agree: those whose files have changed since, '
        'those of earlier versions, and unfinished ones to which nothing was written for a day. It keeps the newest '
        'preparation of each list, and never touches your own files. Do not remove a list that a run is using.',
    )
    clean.add_argument('--yes', action='store_true', help='remove them without asking')
    clean.set_defaults(action=_clean)
    return clean


def _check(options):
    sheet = _sheet_path(options)
    if options.target not in BENCHMARKS and not Path(options.target).is_dir():
        raise InputError(f'there is no folder {options.target!r}; wanted one, or {" or ".join(BENCHMARKS)}.')
    from panet_jax.datasets.check import check_folder, check_prepared, format_report
    from panet_jax.datasets.open import prepared_home

    if options.target in BENCHMARKS:
        report = check_prepared(options.target, prepared_home(options.prepared_dir))
    else:
        report = check_folder(options.target)
    unseen = tuple(name.strip() for name in options.unseen.split(',') if name.strip())
    text, ready = format_report(*report, options.shots, options.queries, unseen)
    print(text)
    if sheet:
        _draw_sheet(sheet, options.target)
    return 0 if ready else 1


def _sheet_path(options: argparse.Namespace) -> Path | None:
    """The path of the contact sheet, or None. It goes into the data folder only if the user names a file there."""
    if options.sheet is not None or options.target in BENCHMARKS:
        path = Path(options.sheet or '')
        if options.sheet and path.suffix.lower() not in SHEET_ENDINGS:
            raise InputError(f'--sheet must end in {" or ".join(SHEET_ENDINGS)}, got {options.sheet!r}.')
        return path if options.sheet else None
    folder = Path(options.target).resolve()
    inside = Path.cwd().is_relative_to(folder)
    return None if inside else Path(f'{folder.name}-sheet.png')


def _draw_sheet(path, folder):
    from panet_jax.datasets.check import sample_images
    from panet_jax.results.contact_sheet import MOST_IMAGES, save_contact_sheet

    images, classes = sample_images(folder, MOST_IMAGES)
    if images:
        save_contact_sheet(path, images, classes)
        print(f'{len(images)} image(s) with their masks are drawn in {path}')


def _prepare(options):
    from panet_jax.datasets.open import left_out, prepare_list
    from panet_jax.datasets.prepared import Prepared

    for name in options.list or DEFAULT_LISTS[options.name]:
        folder = prepare_list(options.name, name, options.root, options.prepared_dir, options.skip_unreadable)
        source = Prepared(folder)
        print(folder, flush=True)
        if source.skipped:
            print(left_out(source, name), flush=True)
    return 0


def _clean(options):
    from panet_jax.datasets.open import prepared_home, superseded_lists
    from panet_jax.datasets.superseded import remove
    from panet_jax.disk.downloads import gigabytes

    home = prepared_home(options.prepared_dir)
    if not home.is_dir():
        raise InputError(f'there is no folder {home}; name the one of the prepared data with {{data.prepared_dir=}}.')
    old = superseded_lists(home)
    for prepared in old:
        print(f'{prepared.folder}  {gigabytes(prepared.size)}, {prepared.why}')
    size = gigabytes(sum(prepared.size for prepared in old))
    if not old:
        print(f'nothing to remove in {home}')
    elif options.yes or _agreed(f'Remove {len(old)} folder(s), {size}?'):
        for prepared in old:
            remove(prepared)
        print(f'removed {len(old)} folder(s)')
    else:
        print('nothing was removed; --yes removes them')
    return 0


def _agreed(question: str) -> bool:
    """Whether a user at a terminal answers yes."""
    return sys.stdin.isatty() and input(f'{question} [y/N] ').strip().lower() in ('y', 'yes')
