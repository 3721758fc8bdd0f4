"""The photographs that --query names: files, folders and globs."""

import fnmatch
import glob
import os
from collections.abc import Sequence
from pathlib import Path

from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS


def find_queries(patterns: Sequence[str]) -> tuple[list[Path], list[Path]]:
    """Finds the images of files, folders and globs, each once, in order.

    Args:
        patterns: files, folders and globs, as typed after --query.

    Returns:
        The images; and files of the same folders and globs with other endings.

    Raises:
        InputError: a pattern names no image.
    """
    images, others = {}, {}
    for pattern in patterns:
        paths = _matching(Path(pattern).expanduser())
        files = [path for path in paths if path.is_file()]
        matches = [file for file in files if file.suffix.lower() in ENDINGS]
        if not matches:
            reason = f'none of the {len(paths)} file(s) has' if paths else 'there is no such file; wanted'
            raise InputError(f'--query {pattern} names no image: {reason} one of the endings {", ".join(ENDINGS)}.')
        for image in matches:
            images.setdefault(image.resolve(), image)
        others |= {file.resolve(): file for file in set(files) - set(matches) if not file.name.startswith('.')}
    return list(images.values()), sorted(others.values())


def query_root(patterns: Sequence[str]) -> Path:
    """The folder of the photographs, to which file names in exports are relative.

    Args:
        patterns: files, folders and globs, as typed after --query.

    Returns:
        The folder that --query names, or that is before the first * of a glob; the one above all of them if there are
        several.
    """
    return Path(os.path.commonpath([_home(Path(pattern).expanduser()) for pattern in patterns]))


def _home(path):
    """The absolute path of the folder that a pattern names."""
    if path.is_dir():
        return path.absolute()
    return (path.parent if path.is_file() else _folder_and_rest(path)[0]).absolute()


def check_unsearched(
    out: Path, stems: Sequence[str], patterns: Sequence[str], queries: Sequence[Path], *, copies: Sequence[str] = ()
) -> None:
    """Checks that the next run of the same command would not take results for photographs.

    Args:
        out: folder of the results.
        stems: names of the results, without ending.
        patterns: files, folders and globs, as typed after --query.
        queries: the images that they name.
        copies: folders below `out` that get copies of the photographs.

    Raises:
        InputError: a result would lie where --query looks.
    """
    home = out.resolve()
    results = [home / name for stem in stems for name in (f'{stem}.png', f'{stem}-overlay.jpg')]
    results += [home / folder / f'{stem}{ending}' for folder in copies for stem in stems for ending in ('.jpg', '.png')]
    folders = {home, *(home / folder for folder in copies)}
    beside = folders & {query.parent.resolve() for query in queries}
    if beside or any(_searches(pattern, result) for pattern in patterns for result in results):
        raise InputError(
            f'--query looks into --out {out} too, so the next run would take these results for photographs; name another '
            'folder with --out.'
        )


def _matching(path):
    """The files of a file, folder or glob, sorted."""
    if path.is_file():
        return [path]
    if path.is_dir():
        return sorted(path.iterdir())
    folder, rest = _folder_and_rest(path)
    # Path.glob would include hidden files.
    matches = glob.glob(str(Path(glob.escape(str(folder)), rest)), recursive=True)  # noqa: PTH207
    return [Path(match) for match in sorted(matches)]


def _folder_and_rest(path):
    """The deepest existing folder of a glob, even with brackets in its name, and the rest of the glob."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    return folder, path.relative_to(folder)


def _searches(pattern, file):
    """Whether --query with a folder or glob would find a file, given its resolved path."""
    path = Path(pattern).expanduser()
    if path.is_file() or path.is_dir():
        return file.parent == path.resolve()
    folder, rest = _folder_and_rest(path)
    inside = file.is_relative_to(folder.resolve())
    return inside and _matches(file.relative_to(folder.resolve()).parts, rest.parts)


def _matches(parts, pattern):
    """Whether the parts of a path match those of a glob; ** matches any number of folders."""
    if not pattern:
        return not parts
    if pattern[0] == '**':
        return any(_matches(parts[first:], pattern[1:]) for first in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatch(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
