"""`panet-jax data`: what is in a data set, preparing it, and removing what was prepared before."""

import sys
from pathlib import Path

from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.datasets.check import check_folder, check_prepared, format_report, sample_images
from panet_jax.datasets.official import NEEDED
from panet_jax.datasets.open import LAYOUTS, left_out, prepare_list, prepared_home, superseded_lists
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.superseded import remove
from panet_jax.disk.downloads import gigabytes
from panet_jax.errors import InputError
from panet_jax.results.contact_sheet import MOST_IMAGES, save_contact_sheet

SHEET_ENDINGS = ('.png', '.jpg', '.pdf')
DEFAULT_LISTS = {'pascal5i': ('trainaug',), 'coco20i': ('train2014', 'val2014'), 'custom': ('all',)}

OWN_FLAGS = {
    '--config.data.train_split= and --config.data.test_split=': '--list=',
    '--config.data.skip_unreadable=True': '--skip-unreadable',
    '--config.data.root=': '--root=',
    '--config.data.prepared_dir=': '--prepared-dir=',
    '--config.data.unseen=': '--unseen=',
}


def run(arguments):
    """Does what the arguments say; returns the exit status."""
    arguments = _parser().parse_args(arguments)
    try:
        return arguments.action(arguments)
    except InputError as error:
        raise InputError(in_own_flags(str(error))) from error


def in_own_flags(sentence):
    """The readers speak of an experiment's settings; here they have shorter names."""
    for setting, flag in OWN_FLAGS.items():
        sentence = sentence.replace(setting, flag)
    return sentence


def _parser():
    parser = OptionParser(prog='panet-jax data', description='Data sets: what is there, and preparing it.')
    actions = parser.add_subparsers(required=True, metavar='check|prepare|clean')
    check = actions.add_parser(
        'check',
        help='say what is in a folder or of a benchmark, and whether training can start (exit status 0)',
        description='Reads every image and mask. Exit status 0: training can start; 1: it cannot; 2: wrong arguments.',
    )
    check.add_argument('target', metavar='DIR_OR_NAME', help=f'a folder, or {" or ".join(NEEDED)}')
    check.add_argument(
        '--shots', type=whole_number(1), default=1, help='support images a class in an episode (%(default)s)'
    )
    check.add_argument('--queries', type=whole_number(1), default=1, help='query images in an episode (%(default)s)')
    check.add_argument('--unseen', default='', help='CLASS,CLASS: the unseen classes, in place of four folds')
    check.add_argument(
        '--sheet',
        metavar='FILE',
        help='where to draw some images with their masks (FOLDER-sheet.png in the current folder, unless that is in '
        'FOLDER); --sheet= draws none',
    )
    check.set_defaults(action=_check)
    prepare = actions.add_parser(
        'prepare',
        help='check and write an image list as ArrayRecord; a training does that by itself',
        description='Checks and writes image lists as ArrayRecord, downloading a benchmark if no --root is given.',
    )
    prepare.add_argument('name', metavar='NAME', choices=list(LAYOUTS), help=', '.join(LAYOUTS))
    prepare.add_argument('--root', default='', help='folder of the files; without it, the official archives')
    prepare.add_argument('--list', action='append', help='an image list; may be repeated (default: as the configs use)')
    prepare.add_argument('--skip-unreadable', action='store_true', help='leave out images that cannot be read')
    prepare.set_defaults(action=_prepare)
    clean = actions.add_parser(
        'clean',
        help='remove prepared lists that no run opens any more',
        description='Lists prepared lists of files that have changed since, of earlier versions, and unfinished ones of '
        'which a day ago was the last sign of life; removes them when told to. Of each list the newest stays, and so do your '
        'files. No run may be using what is removed.',
    )
    clean.add_argument('--yes', action='store_true', help='remove them without asking')
    clean.set_defaults(action=_clean)
    for action in (check, prepare, clean):
        action.add_argument(
            '--prepared-dir', default='', help='where prepared data are ($TFDS_DATA_DIR, else ~/tensorflow_datasets)'
        )
    return parser


def _check(arguments):
    sheet = _sheet_path(arguments)
    if arguments.target in NEEDED:
        report = check_prepared(arguments.target, prepared_home(arguments.prepared_dir))
    else:
        report = check_folder(arguments.target)
    unseen = tuple(name.strip() for name in arguments.unseen.split(',') if name.strip())
    text, ready = format_report(*report, arguments.shots, arguments.queries, unseen)
    print(in_own_flags(text))
    if sheet:
        _draw_sheet(sheet, arguments.target)
    return 0 if ready else 1


def _sheet_path(arguments):
    """Where the contact sheet goes, or None: never into the data unless that was typed."""
    if arguments.sheet is not None or arguments.target in NEEDED:
        path = Path(arguments.sheet or '')
        if arguments.sheet and path.suffix.lower() not in SHEET_ENDINGS:
            raise InputError(f'--sheet must end in {" or ".join(SHEET_ENDINGS)}, got {arguments.sheet!r}.')
        return path if arguments.sheet else None
    folder = Path(arguments.target).resolve()
    inside = Path.cwd().is_relative_to(folder)
    return None if inside else Path(f'{folder.name}-sheet.png')


def _draw_sheet(path, folder):
    images, classes = sample_images(folder, MOST_IMAGES)
    if images:
        save_contact_sheet(path, images, classes)
        print(f'{len(images)} image(s) with their masks are drawn in {path}')


def _prepare(arguments):
    for name in arguments.list or DEFAULT_LISTS[arguments.name]:
        folder = prepare_list(arguments.name, name, arguments.root, arguments.prepared_dir, arguments.skip_unreadable)
        source = Prepared(folder)
        print(folder, flush=True)
        if source.skipped:
            print(left_out(source, name), flush=True)
    return 0


def _clean(arguments):
    home = prepared_home(arguments.prepared_dir)
    old = superseded_lists(home)
    for each in old:
        print(f'{each.folder}  {gigabytes(each.size)}, {each.why}')
    if not old:
        print(f'nothing to remove in {home}')
    elif arguments.yes or _agreed(f'Remove {len(old)} folder(s), {gigabytes(sum(each.size for each in old))}?'):
        for each in old:
            remove(each)
        print(f'removed {len(old)} folder(s)')
    else:
        print('nothing was removed; --yes removes them')
    return 0


def _agreed(question):
    """Whether somebody who is there says yes."""
    return sys.stdin.isatty() and input(f'{question} [y/N] ').strip().lower() in ('y', 'yes')
