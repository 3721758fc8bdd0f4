"""YOLO's segmentation format: photographs, a text file of polygons for each, and data.yaml."""

from pathlib import Path, PurePosixPath

import numpy as np
import yaml
from skimage.draw import polygon, polygon_perimeter

from panet_jax.datasets.files import Files
from panet_jax.datasets.mask_folders import ALL
from panet_jax.datasets.outlines import Outlines
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS

SETTINGS = ('data.yaml', 'data.yml', 'dataset.yaml')
NAMES = ('classes.txt', 'obj.names')  # files with class names, from programs that write no data.yaml
LISTS = ('train', 'val', 'test')
BOX = (5, 6)  # words of a line of the detection format: class, center, size, and perhaps a score


def is_yolo(files: Files) -> bool:
    """Whether a folder looks like YOLO's.

    Args:
        files: the files of the folder.

    Returns:
        True for data.yaml, or for labels/ with the names of the classes.
    """
    return files.find(*SETTINGS) is not None or bool(files.listing('labels') and files.find(*NAMES))


def read_yolo(root: Path, files: Files) -> Outlines:
    """Reads the lists and the names of classes; label files are read when they are asked for.

    Args:
        root: the folder.
        files: its files.

    Returns:
        Outlines; the lists are those of data.yaml, and 'all'.

    Raises:
        InputError: data.yaml cannot be read, or names no images.
    """
    settings = _settings(files)
    paths_of = {name: _photos(root, settings, settings[name]) for name in LISTS if settings.get(name)}
    if not paths_of:
        paths_of = {ALL: _in_folder(root, 'images')}
    photos, sources, lists = {}, {}, {}
    for name, paths in paths_of.items():
        labeled = {
            _stem(path): (path, label) for path in paths if (label := _label_file(path)) and _has_lines(root, label)
        }
        photos |= {stem: path for stem, (path, _) in labeled.items()}
        sources |= {stem: label for stem, (_, label) in labeled.items()}
        lists[name] = list(labeled)
    lists[ALL] = list(dict.fromkeys(stem for stems in lists.values() for stem in stems))
    classes = tuple(settings['names'])

    def masks(name, shape):
        return _read_masks(files, sources[name], shape, len(classes))

    return Outlines(classes, photos, sources, masks, lists)


def _settings(files: Files) -> dict:
    """The content of data.yaml, with the names of classes as a list."""
    path = files.find(*SETTINGS)
    if path is None:
        lines = files.read_text(files.find(*NAMES)).splitlines()
        return {'names': [line.strip() for line in lines if line.strip()]}
    try:
        settings = yaml.safe_load(files.read_text(path))
        names = settings['names']
        if isinstance(names, dict):
            names = [names[number] for number in range(len(names))]
        return {**settings, 'names': [str(name) for name in names]}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise InputError(
            f'{files.where(path)} cannot be read ({type(error).__name__}: {error}); wanted names: with a name for each class, '
            '0, 1, 2, ...'
        ) from error


def _photos(root: Path, settings: dict, value: str | list[str]) -> list[str]:
    """The photographs of a list of data.yaml: a folder, a text file of paths, or several of these."""
    if isinstance(value, list):
        return [path for part in value for path in _photos(root, settings, part)]
    place = _existing(root, settings, str(value))
    if (root / place).is_dir():
        return _in_folder(root, place)
    home = PurePosixPath(place).parent
    lines = (root / place).read_text(encoding='utf-8', errors='replace').splitlines()
    return [(home / line.strip()).as_posix() for line in lines if line.strip()]


def _existing(root: Path, settings: dict, value: str) -> str:
    """A folder or file that data.yaml names, relative to the root; its `path` may belong to another machine."""
    inside = value.removeprefix('./').removeprefix('../')  # Roboflow writes ../train/images for train/images
    for place in (value, f'{settings.get("path", "")}/{value}', inside):
        if place and (root / place).exists():
            return PurePosixPath(place).as_posix()
    raise InputError(f'{root / "data.yaml"} names {value}, which is not in {root}; correct train: or val:.')


def _in_folder(root: Path, place: str) -> list[str]:
    paths = sorted(path for path in (root / place).rglob('*') if path.suffix.lower() in ENDINGS)
    return [path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix() for path in paths]


def _stem(photo: str) -> str:
    return PurePosixPath(photo).with_suffix('').as_posix().replace('images/', '', 1)


def _label_file(photo: str) -> str:
    """The label file of a photograph: the last folder called images becomes labels, as in YOLO."""
    path = PurePosixPath(photo).with_suffix('.txt')
    parts = list(path.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == 'images']
    if places:
        parts[places[-1]] = 'labels'
    return PurePosixPath(*parts).as_posix()


def _has_lines(root: Path, label: str) -> bool:
    """Whether a label file lists an object; for a photograph without objects the file is missing or empty."""
    path = root / label
    return path.is_file() and path.stat().st_size > 0


def _read_masks(files: Files, file: str, shape: tuple[int, int], classes: int) -> list[tuple[int, np.ndarray]]:
    """The class and the mask of each line of a label file."""
    masks = []
    for number, line in enumerate(files.read_text(file).splitlines(), 1):
        if words := line.split():
            masks.append(_read_line(words, shape, classes, f'line {number} of {files.where(file)}'))
    return masks


def _read_line(words: list[str], shape: tuple[int, int], classes: int, where: str) -> tuple[int, np.ndarray]:
    if len(words) in BOX:
        raise InputError(f'{where} is a box, not the polygon of an object; wanted labels for segmentation.')
    try:
        label, numbers = int(float(words[0])), np.array(words[1:], float)
        points = numbers.reshape(-1, 2)
    except ValueError as error:
        raise InputError(f'{where} is no class with x and y of points ({error}).') from error
    if not 0 <= label < classes:
        raise InputError(f'{where} has the class {label}, but there are {classes}, counted from 0.')
    if len(points) < 3 or not ((points > -0.01) & (points < 1.01)).all():
        raise InputError(f'{where} is no polygon; wanted three points or more, x and y from 0 to 1.')
    return 1 + label, _painted(points, shape)


def _painted(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The pixels of a polygon, which runs through the centers of the outermost ones, as OpenCV paints it."""
    columns, rows = np.rint(points * shape[::-1]).astype(int).T
    mask = np.zeros(shape, bool)
    for pixels in (polygon(rows, columns, shape), polygon_perimeter(rows, columns, shape, clip=True)):
        mask[pixels] = True
    return mask
