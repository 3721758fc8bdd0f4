"""What is in a folder of images and masks, what is wrong with it, and whether training can start."""

import concurrent.futures
import contextlib
import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from panet_jax.datasets.coco import CocoLayout, coco_lists
from panet_jax.datasets.custom import custom_lists, open_custom
from panet_jax.datasets.folds import FOLDS
from panet_jax.datasets.official import ARCHIVES, NEEDED
from panet_jax.datasets.prepare import THREADS, VERSION, checked_example, is_prepared
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.voc import VOC_ARCHIVE, VocLayout, voc_lists
from panet_jax.disk.downloads import gigabytes
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

MOST_PROBLEMS = 20  # that a report prints


@dataclasses.dataclass
class ListReport:
    """What was learned about one image list.

    Attributes:
        name: name of the list.
        classes: names of the classes.
        counts: [classes] int, number of images that show each class; None if the list could not be opened.
        images: number of images that can be used.
        problems: a sentence for each image that cannot be used, or one about the list itself.
    """

    name: str
    classes: tuple[str, ...] = ()
    counts: np.ndarray | None = None
    images: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def obstacle(self, shots: int, queries: int, unseen: tuple[str, ...] = ()) -> str:
        """Why training cannot start on the list; '' if it can.

        Args:
            shots, queries: images of a class that an episode needs.
            unseen: names of the unseen classes, in place of four folds.
        """
        if self.problems:
            return f'{len(self.problems)} problem(s)'
        unknown = [name for name in unseen if name not in self.classes]
        if unknown:
            return f'there is no class {unknown[0]!r}'
        if len(set(unseen)) == len(self.classes):
            return 'no class is left to train on'
        if len(self.classes) < FOLDS and not unseen:
            return f'{len(self.classes)} class(es) make no four folds; name the unseen ones with --unseen='
        small = [name for name, count in zip(self.classes, self.counts, strict=True) if count < shots + queries]
        if small:
            count = self.counts[self.classes.index(small[0])]
            return (
                f'{len(small)} class(es) are too small: {small[0]} has {count} image(s), but an episode needs '
                f'{shots} support and {queries} query image(s)'
            )
        return ''


def check_folder(root: str | Path) -> tuple[str, list[str], list[ListReport]]:
    """Reads everything in a folder.

    Returns:
        A heading; sentences on which files there are and what cannot be done for lack of others; a report of each list.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f'there is no folder {str(root)!r}.')
    heading, lists, open_layout, remarks = _recognize(root)
    checked = {}
    return heading, remarks, [_check_list(open_layout, root, name, checked) for name in lists]


def sample_images(root: str | Path, most: int) -> tuple[list[tuple], tuple[str, ...]]:
    """A few images of a folder with their masks, evenly spread over its lists; images with a problem are left out.

    Args:
        root: folder of the data set.
        most: largest number of images.

    Returns:
        A list of (name, [H, W, 3] uint8, label [H, W] uint8), and the names of the classes.
    """
    root = Path(root)
    _, lists, open_layout, _ = _recognize(root)
    layouts, classes = {}, ()  # {name of an image: the Layout that reads it}
    for split in lists:
        with contextlib.suppress(InputError):  # the report says what is wrong
            layout = open_layout(root, split)
            layouts |= dict.fromkeys(layout.names, layout)
            classes = classes or layout.classes
    names = list(layouts)
    picked = dict.fromkeys(names[round(place)] for place in np.linspace(0, len(names) - 1, most)) if names else ()
    images = []
    for name in picked:
        with contextlib.suppress(InputError):
            image, label, *_ = layouts[name].record(name)
            images.append((name, decode_photo(image, layouts[name].where(name), label.shape), label))
    return images, classes


def check_prepared(dataset: str, home: str | Path) -> tuple[str, list[str], list[ListReport]]:
    """What of a benchmark is downloaded and prepared, returned as `check_folder` does; no image is read."""
    remarks = []
    for name in dict.fromkeys(name for names in NEEDED[dataset].values() for name in names):
        path = Path(home) / 'downloads' / 'panet_jax' / name
        part = path.with_name(f'{name}.part')
        if path.exists():
            remarks.append(f'{name}: downloaded')
        elif part.exists():
            remarks.append(f'{name}: {gigabytes(part.stat().st_size)} of {gigabytes(ARCHIVES[name].size)} downloaded')
        else:
            remarks.append(f'{name}: not downloaded ({gigabytes(ARCHIVES[name].size)})')
    reports = []
    for folder in sorted(Path(home).glob(f'{dataset}/*/{VERSION}')):
        if is_prepared(folder):
            source = Prepared(folder)
            reports.append(ListReport(folder.parent.name, source.classes, source.presence.sum(0), len(source)))
            if source.skipped:
                remarks.append(f'{folder.parent.name}: {len(source.skipped)} unreadable images were left out')
    return f'{dataset} in {home}', remarks, reports


def format_report(heading, remarks, reports, shots, queries, unseen=()) -> tuple[str, bool]:
    """The report as text, and whether training can start on a list.

    Args:
        heading, remarks, reports: as from `check_folder`.
        shots, queries: images of a class that an episode needs.
        unseen: names of the unseen classes, in place of four folds.
    """
    obstacles = {report.name: report.obstacle(shots, queries, unseen) for report in reports}
    ready = [name for name, obstacle in obstacles.items() if not obstacle]
    wanted = f'{shots} support and {queries} query image(s)'
    lines = [
        heading,
        *(f'  {remark}' for remark in remarks),
        *_table_of_counts([report for report in reports if report.counts is not None]),
        *_problems(reports),
        f'Training can start on {", ".join(ready)} ({wanted}).' if ready else 'Training cannot start.',
        *(f'The list {name!r} will not do: {obstacle}.' for name, obstacle in obstacles.items() if obstacle),
        *([] if reports else ['There is no image list.']),
    ]
    return '\n'.join(lines), bool(ready)


def _table_of_counts(reports):
    """Lines that say how many images each list has, and how many show each class."""
    if not reports:
        return []
    rows = [('', [report.name for report in reports]), ('images', [report.images for report in reports])]
    rows += [(name, [report.counts[i] for report in reports]) for i, name in enumerate(reports[0].classes)]
    width = max(len(name) for name, _ in rows)
    widths = [max(len(report.name), 6) for report in reports]
    return [f'  {name.ljust(width)}  {_aligned(cells, widths)}'.rstrip() for name, cells in rows]


def _aligned(cells, widths):
    return '  '.join(str(cell).rjust(width) for cell, width in zip(cells, widths, strict=True))


def _problems(reports):
    """Lines that name the first problems, each once although several lists may have it."""
    problems = list(dict.fromkeys(problem for report in reports for problem in report.problems))
    if not problems:
        return []
    more = len(problems) - MOST_PROBLEMS
    shown = [f'  {problem}' for problem in problems[:MOST_PROBLEMS]]
    return [f'{len(problems)} problem(s):', *shown, *([f'  and {more} more'] if more > 0 else [])]


def _recognize(root):
    """What a folder is: a heading, the names of its lists, what opens one, and remarks on what it has."""
    if (root / 'masks').is_dir():
        without = open_custom(root, 'all').without_masks()
        remarks = []
        if without:
            remarks.append(f'{len(without)} image(s) without a mask are left out, the first is {without[0]}')
        if not (root / 'instances').is_dir():
            remarks.append('no instances/: connected regions serve as objects')
        return f'{root}: images/ with masks/', custom_lists(root), open_custom, remarks
    if (root / 'JPEGImages').is_dir() or not coco_lists(root):
        try:
            return f"{root}: PASCAL VOC's layout", voc_lists(root), VocLayout, VocLayout(root, '').remarks()
        except InputError as error:
            raise InputError(
                f"{str(root)!r} has none of: images/ and masks/; a json in COCO's format; JPEGImages/ or {VOC_ARCHIVE}."
            ) from error
    return f"{root}: COCO's layout", coco_lists(root), CocoLayout, []


def _check_list(open_layout, root, name, checked):
    """Reads the images of one list.

    Args:
        open_layout: opens a Layout from (root, name).
        root: folder of the data set.
        name: name of the list.
        checked: {name of an image: its [class, pixels] pairs, or a sentence on what is wrong} of the lists before,
            whose images are not read again; those of this list are added.
    """
    report = ListReport(name)
    try:
        layout = open_layout(root, name)
        report.classes = layout.classes
        names = layout.names
    except InputError as error:
        report.problems.append(str(error))
        return report

    def check(image):
        try:
            checked[image] = checked_example(layout, image)[1]
        except InputError as error:
            checked[image] = str(error)

    new = [image for image in names if image not in checked]
    # Not tqdm's thread_map, whose module warns in a notebook without widgets.
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(tqdm(pool.map(check, new), f'checking {name}', len(new), leave=False, disable=None))
    outcomes = [checked[image] for image in names]
    report.problems = [outcome for outcome in outcomes if isinstance(outcome, str)]
    numbers = [number for areas in outcomes if not isinstance(areas, str) for number, _ in areas]
    report.counts = np.bincount(np.array(numbers, int), minlength=len(layout.classes) + 1)[1:]
    report.images = len(outcomes) - len(report.problems)
    return report
