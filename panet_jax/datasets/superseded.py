"""Prepared lists that no run opens any more: their files have changed, or they are unfinished or of an earlier version.

Only folders with the metadata of this program count, and only those that `superseded` returns are removed.
"""

import dataclasses
import json
import re
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from panet_jax.datasets.prepare import SPLIT, VERSION, is_prepared

OURS = {'classes', 'names', 'areas', 'skipped', 'class_lists'}  # fields of this program's metadata in all versions
TAG = re.compile(r'-(?:[0-9a-f]{8}|official|official-skipped)$')
UNFINISHED = '*incomplete*'  # the name of a list while tensorflow-datasets writes it
ABANDONED = 24 * 3600  # seconds without a write after which an unfinished list counts as abandoned


@dataclasses.dataclass(frozen=True)
class Superseded:
    """A folder that can be removed.

    Attributes:
        folder: folder of a prepared list, finished or not.
        why: the reason.
        size: size in bytes.
    """

    folder: Path
    why: str
    size: int


def superseded(
    home: str | Path, datasets: Iterable[str], current_tag: Callable[[str, dict], str | None]
) -> list[Superseded]:
    """The prepared lists that no run of this version opens.

    If a list was prepared several times, two are kept: the newest, and that of the current files.

    Args:
        home: folder of prepared data sets.
        datasets: names of the data sets.
        current_tag: (data set, `origin` of the metadata) -> the tag of the current files; None if they cannot be read.

    Returns:
        The lists, by name.
    """
    old, by_origin = [], {}
    for folder in sorted(folder for dataset in datasets for folder in Path(home).glob(f'{dataset}/*/*')):
        if folder.is_symlink() or not folder.is_dir() or not TAG.search(folder.parent.name):
            continue
        if folder.match(UNFINISHED):
            if time.time() - _last_written(folder) > ABANDONED:
                old.append(Superseded(folder, 'unfinished', size_of(folder)))
        elif (metadata := _metadata(folder)) and _number(folder.name) < _number(VERSION):
            old.append(Superseded(folder, 'of an earlier version', size_of(folder)))
        elif metadata and folder.name == VERSION:
            key = folder.parent.parent.name, json.dumps(metadata['origin'], sort_keys=True)
            by_origin.setdefault(key, []).append(folder)
    for (dataset, origin), folders in by_origin.items():
        old += _older(folders, current_tag, dataset, json.loads(origin))
    return old


def remove(superseded_list: Superseded) -> None:
    """Removes a list, and the folder around it if nothing else is in it.

    Args:
        superseded_list: the list.
    """
    folder = superseded_list.folder
    shutil.rmtree(folder)
    if {path.name for path in folder.parent.iterdir()} <= {'.lock'}:
        shutil.rmtree(folder.parent)


def size_of(folder: Path) -> int:
    """The total size of the files in a folder.

    Args:
        folder: the folder, with all below it.

    Returns:
        Bytes.
    """
    return sum(path.lstat().st_size for path in folder.rglob('*') if not path.is_dir())


def _older(folders, current_tag, dataset, origin):
    """The prepared copies of one list that are neither the newest nor made from the current files."""
    if len(folders) < 2:
        return []
    newest = max(folders, key=lambda folder: (folder / 'dataset_info.json').stat().st_mtime_ns)
    current = f'{origin["list"]}-{current_tag(dataset, origin)}'
    why = f'{origin["root"]} has changed since'
    return [
        Superseded(folder, why, size_of(folder))
        for folder in folders
        if folder != newest and folder.parent.name != current
    ]


def _metadata(folder):
    """The metadata of a finished list; None if this program did not write the folder."""
    try:
        metadata = json.loads((folder / 'metadata.json').read_text())
        splits = json.loads((folder / 'dataset_info.json').read_text())['splits']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ours = isinstance(metadata, dict) and metadata.keys() >= OURS and [split['name'] for split in splits] == [SPLIT]
    return metadata if ours and is_prepared(folder) else None


def _number(version):
    """'1.10.0' -> (1, 10, 0); a name that is no version counts as later than any."""
    return tuple(map(int, version.split('.'))) if re.fullmatch(r'\d+\.\d+\.\d+', version) else (float('inf'),)


def _last_written(folder):
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob('*')))
