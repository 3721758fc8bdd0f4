"""What is in a folder of images and masks, what is wrong with it, and whether training can start."""

import concurrent.futures
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


@dataclasses.dataclass
class ListReport:
    """One image list.

    Attributes:
        name: of the list.
        classes: names of the classes.
        counts: [classes] int, how many images show each.
        images: how many can be used.
        problems: a sentence for each image that cannot, or for the list itself.
    """

    name: str
    classes: tuple[str, ...] = ()
    counts: np.ndarray | None = None
    images: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)

    def obstacle(self, shots, queries, unseen=()):
        """Why training cannot start on the list; '' if it can.

        Args:
            shots, queries: images of a class that an episode needs.
            unseen: names of the unseen classes, in place of four folds.
        """
        if self.problems:
            return f'{len(self.problems)} problem(s)'
        strange = [name for name in unseen if name not in self.classes]
        if strange:
            return f'there is no class {strange[0]!r}'
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


def check_folder(root):
    """Reads everything in a folder.

    Returns:
        A heading, remarks on what is there and what is missing for which feature, and a ListReport each.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(f'there is no folder {str(root)!r}.')
    heading, lists, open_layout, remarks = _recognize(root)
    done = {}
    return heading, remarks, [_check_list(open_layout, root, name, done) for name in lists]


def sample_images(root, most):
    """Some images of a folder with their masks, evenly spread over its lists; those with a problem are left out.

    Args:
        root: the folder.
        most: how many.

    Returns:
        A list of (name, [H, W, 3] uint8, label [H, W] uint8), and the names of the classes.
    """
    root = Path(root)
    _, lists, open_layout, _ = _recognize(root)
    found, classes = {}, ()
    for split in lists:
        try:
            layout = open_layout(root, split)
            found |= dict.fromkeys(layout.names, layout)
            classes = classes or layout.classes
        except InputError:  # the report says what is wrong
            continue
    names = list(found)
    spread = dict.fromkeys(names[round(place)] for place in np.linspace(0, len(names) - 1, most)) if names else ()
    images = []
    for name in spread:
        try:
            image, label, *_ = found[name].record(name)
            images.append((name, decode_photo(image, found[name].where(name), label.shape), label))
        except InputError:
            continue
    return images, classes


def check_prepared(dataset, home):
    """Looks at what is prepared and downloaded of a benchmark; returns the same as `check_folder`."""
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


def format_report(heading, remarks, reports, shots, queries, unseen=()):
    """The report as text, and whether training can start on any list."""
    lines = [heading, *(f'  {remark}' for remark in remarks)]
    counted = [report for report in reports if report.counts is not None]
    if counted:
        classes = counted[0].classes
        width = max(map(len, ('images', *classes)))
        columns = [max(len(report.name), 6) for report in counted]
        rows = [('', [report.name for report in counted]), ('images', [report.images for report in counted])]
        rows += [(name, [report.counts[i] for report in counted]) for i, name in enumerate(classes)]
        for name, cells in rows:
            numbers = (str(cell).rjust(column) for cell, column in zip(cells, columns, strict=True))
            lines.append(f'  {name.ljust(width)}  {"  ".join(numbers)}'.rstrip())
    problems = list(dict.fromkeys(problem for report in reports for problem in report.problems))
    if problems:
        lines += [f'{len(problems)} problem(s):', *(f'  {problem}' for problem in problems[:20])]
        lines += [f'  and {len(problems) - 20} more'] if len(problems) > 20 else []
    obstacles = {report.name: report.obstacle(shots, queries, unseen) for report in reports}
    ready = [name for name, obstacle in obstacles.items() if not obstacle]
    wanted = f'{shots} support and {queries} query image(s)'
    lines.append(f'Training can start on {", ".join(ready)} ({wanted}).' if ready else 'Training cannot start.')
    lines += [f'The list {name!r} will not do: {obstacle}.' for name, obstacle in obstacles.items() if obstacle]
    if not reports:
        lines.append('There is no image list.')
    return '\n'.join(lines), bool(ready)


def _recognize(root):
    """What a folder is: heading, its lists, how to open one, and remarks."""
    if (root / 'masks').is_dir():
        left_out = open_custom(root, 'all').without_masks()
        remarks = []
        if left_out:
            remarks.append(f'{len(left_out)} image(s) without a mask are left out, the first is {left_out[0]}')
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


def _check_list(open_layout, root, name, done):
    """Reads the images of one list; `done` remembers those of the lists before."""
    report = ListReport(name)
    try:
        layout = open_layout(root, name)
        report.classes = layout.classes
        names = layout.names
    except InputError as error:
        report.problems.append(str(error))
        return report
    todo = [image for image in names if image not in done]

    def check(image):
        try:
            done[image] = checked_example(layout, image)[1]
        except InputError as error:
            done[image] = str(error)

    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        list(tqdm(pool.map(check, todo), f'checking {name}', len(todo), leave=False, disable=None))
    shown = [done[image] for image in names]
    report.problems = [problem for problem in shown if isinstance(problem, str)]
    numbers = [c for areas in shown if not isinstance(areas, str) for c, _ in areas]
    report.counts = np.bincount(np.array(numbers, int), minlength=len(layout.classes) + 1)[1:]
    report.images = len(shown) - len(report.problems)
    return report
