"""Checks a folder of images and masks: its content, its problems, and whether training can start."""

import concurrent.futures
import contextlib
import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from panet_jax.datasets.custom import kind_of
from panet_jax.datasets.folds import FOLDS
from panet_jax.datasets.official import ARCHIVES, NEEDED
from panet_jax.datasets.prepare import THREADS, VERSION, checked_example, is_prepared
from panet_jax.datasets.prepared import Prepared
from panet_jax.disk.downloads import gigabytes
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo

MOST_PROBLEMS = 20  # problems that a report prints


@dataclasses.dataclass
class ListReport:
    """The findings on one image list.

    Attributes:
        name: name of the list.
        classes: names of the classes.
        counts: [classes] int, number of images that show each class; None if the list could not be opened.
        images: number of usable images.
        problems: a sentence on each unusable image, or one on the list itself.
    """

    name: str
    classes: tuple[str, ...] = ()
    counts: np.ndarray | None = None
    images: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def obstacle(self, shots: int, queries: int, unseen: tuple[str, ...] = ()) -> str:
        """The reason why training cannot start on the list.

        Args:
            shots, queries: numbers of images of a class that an episode needs.
            unseen: names of the unseen classes, instead of four folds.

        Returns:
            The reason; '' if training can start.
        """
        if self.problems:
            return f'{len(self.problems)} problem(s)'
        unknown = [name for name in unseen if name not in self.classes]
        if unknown:
            return f'there is no class {unknown[0]!r}'
        if len(set(unseen)) == len(self.classes):
            return 'no class is left to train on'
        if len(self.classes) < FOLDS and not unseen:
            return f'{len(self.classes)} class(es) are too few for four folds; name the unseen ones with --unseen='
        small = [name for name, count in zip(self.classes, self.counts, strict=True) if count < shots + queries]
        if small:
            count = self.counts[self.classes.index(small[0])]
            return (
                f'{len(small)} class(es) are too small: {small[0]} has {count} image(s), but an episode needs '
                f'{shots} support and {queries} query image(s)'
            )
        return ''


def check_folder(root: str | Path) -> tuple[str, list[str], list[ListReport]]:
    """Reads and checks all images and masks of a folder.

    Args:
        root: folder of the data set.

    Returns:
        A heading; remarks on files that exist or are missing; a report of each image list.

    Raises:
        InputError: there is no such folder, or its layout is unknown.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f'there is no folder {str(root)!r}.')
    kind, outcomes = kind_of(root), {}
    reports = [_check_list(kind.open, root, name, outcomes) for name in kind.lists(root)]
    return f'{root}: {kind.heading}', kind.remarks(root), reports


def sample_images(root: str | Path, most: int) -> tuple[list[tuple], tuple[str, ...]]:
    """A few images of a folder with their masks, evenly spread over its lists, without those that have a problem.

    Args:
        root: folder of the data set.
        most: largest number of images.

    Returns:
        A list of (name, [H, W, 3] uint8, label [H, W] uint8), and the names of the classes.

    Raises:
        InputError: the layout of the folder is unknown.
    """
    root = Path(root)
    kind = kind_of(root)
    layouts, classes = {}, ()  # layouts: {image name: Layout that reads it}
    for split in kind.lists(root):
        with contextlib.suppress(InputError):  # the report names the problem
            layout = kind.open(root, split)
            layouts |= dict.fromkeys(layout.names, layout)
            classes = classes or layout.classes
    names = list(layouts)
    sample = dict.fromkeys(names[round(place)] for place in np.linspace(0, len(names) - 1, most)) if names else ()
    images = []
    for name in sample:
        with contextlib.suppress(InputError):
            image, label, *_ = layouts[name].record(name)
            images.append((name, decode_photo(image, layouts[name].where(name), label.shape), label))
    return images, classes


def check_prepared(dataset: str, home: str | Path) -> tuple[str, list[str], list[ListReport]]:
    """Lists the archives and prepared lists of a benchmark; no image is read.

    Args:
        dataset: 'pascal5i' or 'coco20i'.
        home: folder of prepared data sets.

    Returns:
        As from `check_folder`.
    """
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


def format_report(
    heading: str, remarks: list[str], reports: list[ListReport], shots: int, queries: int, unseen: tuple[str, ...] = ()
) -> tuple[str, bool]:
    """Formats the findings on a folder.

    Args:
        heading, remarks, reports: as from `check_folder`.
        shots, queries: numbers of images of a class that an episode needs.
        unseen: names of the unseen classes, instead of four folds.

    Returns:
        The text, and whether training can start on one of the lists.
    """
    obstacles = {report.name: report.obstacle(shots, queries, unseen) for report in reports}
    ready = [name for name, obstacle in obstacles.items() if not obstacle]
    task = f'{shots} support and {queries} query image(s)'
    lines = [
        heading,
        *(f'  {remark}' for remark in remarks),
        *_table_of_counts([report for report in reports if report.counts is not None]),
        *_problems(reports),
        f'Training can start on {", ".join(ready)} ({task}).' if ready else 'Training cannot start.',
        *(f'Training cannot use the list {name!r}: {obstacle}.' for name, obstacle in obstacles.items() if obstacle),
        *([] if reports else ['There is no image list.']),
    ]
    return '\n'.join(lines), bool(ready)


def _table_of_counts(reports):
    """The lines of a table: images in each list, and images that show each class."""
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
    """Lines on the first problems; a problem that several lists share appears once."""
    problems = list(dict.fromkeys(problem for report in reports for problem in report.problems))
    if not problems:
        return []
    more = len(problems) - MOST_PROBLEMS
    shown = [f'  {problem}' for problem in problems[:MOST_PROBLEMS]]
    return [f'{len(problems)} problem(s):', *shown, *([f'  and {more} more'] if more > 0 else [])]


def _check_list(open_layout, root, name, outcomes):
    """Reads the images of one list.

    Args:
        open_layout: opens a Layout from (root, name).
        root: folder of the data set.
        name: name of the list.
        outcomes: {image name: its [class, pixels] pairs, or a sentence on its problem} of earlier lists, whose images
            are not read again; those of this list are added.
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
            outcomes[image] = checked_example(layout, image)[1]
        except InputError as error:
            outcomes[image] = str(error)

    new = [image for image in names if image not in outcomes]
    # tqdm's thread_map would warn in a notebook without widgets.
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(tqdm(pool.map(check, new), f'checking {name}', len(new), leave=False, disable=None))
    of_list = [outcomes[image] for image in names]
    report.problems = [outcome for outcome in of_list if isinstance(outcome, str)]
    numbers = [number for areas in of_list if not isinstance(areas, str) for number, _ in areas]
    report.counts = np.bincount(np.array(numbers, int), minlength=len(layout.classes) + 1)[1:]
    report.images = len(names) - len(report.problems)
    return report
