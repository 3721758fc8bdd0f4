"""Prepared lists that no run opens any more: of files that have changed since, of earlier versions, unfinished.

Only what carries our own metadata is ever looked at, and nothing is removed here that `superseded` did not name.
"""

import dataclasses
import json
import re
import shutil
import time
from pathlib import Path

from panet_jax.datasets.prepare import SPLIT, VERSION, is_prepared

OURS = {'classes', 'names', 'areas', 'skipped', 'class_lists'}  # what our metadata have had in all versions
TAG = re.compile(r'-(?:[0-9a-f]{8}|official|official-skipped)$')
UNFINISHED = '*incomplete*'  # what tensorflow-datasets calls a list that it is writing
ABANDONED = 24 * 3600  # seconds since anything was written to an unfinished one


@dataclasses.dataclass(frozen=True)
class Superseded:
    """One folder that can go.

    Attributes:
        folder: of the list, or of what is unfinished of it.
        why: in words.
        size: in bytes.
    """

    folder: Path
    why: str
    size: int


def superseded(home, datasets, current_tag):
    """The prepared lists in `home` that no run of this version opens.

    Of one list of one folder the newest is kept, and the one that the files have now.

    Args:
        home: folder of prepared data sets.
        datasets: names of those to look at.
        current_tag: from (data set, the metadata's origin) to the tag that the files have now; None if they
            cannot be read.

    Returns:
        List of Superseded.
    """
    found, by_origin = [], {}
    for folder in sorted(folder for dataset in datasets for folder in Path(home).glob(f'{dataset}/*/*')):
        if folder.is_symlink() or not folder.is_dir() or not TAG.search(folder.parent.name):
            continue
        if folder.match(UNFINISHED):
            if time.time() - _last_written(folder) > ABANDONED:
                found.append(Superseded(folder, 'unfinished', size_of(folder)))
        elif (metadata := _metadata(folder)) and _number(folder.name) < _number(VERSION):
            found.append(Superseded(folder, 'of an earlier version', size_of(folder)))
        elif metadata and folder.name == VERSION:
            key = folder.parent.parent.name, json.dumps(metadata['origin'], sort_keys=True)
            by_origin.setdefault(key, []).append(folder)
    for (dataset, origin), folders in by_origin.items():
        found += _older(folders, current_tag, dataset, json.loads(origin))
    return found


def remove(each):
    """Removes one Superseded, and the folder around it if that holds nothing else."""
    shutil.rmtree(each.folder)
    if {path.name for path in each.folder.parent.iterdir()} <= {'.lock'}:
        shutil.rmtree(each.folder.parent)


def size_of(folder):
    """The bytes of the files in a folder."""
    return sum(path.lstat().st_size for path in folder.rglob('*') if not path.is_dir())


def _older(folders, current_tag, dataset, origin):
    """Those of one list's folders that are neither the newest nor of the files as they are."""
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
    """Our metadata of a finished list, or None if it is nothing of ours."""
    try:
        metadata = json.loads((folder / 'metadata.json').read_text())
        splits = json.loads((folder / 'dataset_info.json').read_text())['splits']
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ours = isinstance(metadata, dict) and metadata.keys() >= OURS and [split['name'] for split in splits] == [SPLIT]
    return metadata if ours and is_prepared(folder) else None


def _number(version):
    """'1.10.0' -> (1, 10, 0); what is no version is later than all."""
    return tuple(map(int, version.split('.'))) if re.fullmatch(r'\d+\.\d+\.\d+', version) else (float('inf'),)


def _last_written(folder):
    return max(path.lstat().st_mtime for path in (folder, *folder.rglob('*')))
