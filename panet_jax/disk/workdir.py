"""The files of a workdir, and its default name. Which networks it holds is in `saved_networks`.

config.json            the experiment
classes.json           the training classes, the data, and the training of the initial weights
checkpoints/           Orbax, one folder a step
metrics.jsonl          losses of training, a line every log_every steps
encoder.safetensors    the trained parameters with torchvision's names, written when training ends
results.json           the latest evaluation;  results.jsonl  all of them
pictures/              sheets of episodes
tensorboard/           losses, scores and pictures for TensorBoard

All functions take paths as from `paths.workdir_path`, which converts what a user typed.
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from panet_jax.disk.atomic import append_bytes, replacing, write_object
from panet_jax.disk.locks import holding
from panet_jax.disk.paths import AnyPath, in_bucket
from panet_jax.errors import InputError

if TYPE_CHECKING:
    from ml_collections import ConfigDict

CLASSES = 'classes.json'


def default_workdir(config: 'ConfigDict') -> str:
    """The default workdir of an experiment.

    For the data set `custom`, NAME includes the name of the data folder and four digits of a hash of its path, because
    two folders may have the same name.

    Args:
        config: the experiment.

    Returns:
        'runs/NAME-foldF-Nway-Kshot', relative to the current folder.
    """
    return f'{_named(config)}-fold{config.data.fold}-{config.episode.ways}way-{config.episode.shots}shot'


def default_table_workdir(config: 'ConfigDict') -> str:
    """The default workdir of a table.

    Args:
        config: the experiment.

    Returns:
        'runs/NAME-Nway-table', relative to the current folder.
    """
    return f'{_named(config)}-{config.episode.ways}way-table'


def _named(config):
    if config.data.name != 'custom':
        return f'runs/{config.name}'
    root = Path(config.data.root).expanduser().resolve()
    return f'runs/{config.name}-{root.name}-{hashlib.sha256(str(root).encode()).hexdigest()[:4]}'


def read_classes(workdir: AnyPath) -> dict | None:
    """The content of classes.json.

    Args:
        workdir: the folder.

    Returns:
        A dictionary with 'seen', the names of the training classes; None if there is no such file.

    Raises:
        InputError: the file is damaged.
    """
    path = workdir / CLASSES
    try:
        content = json.loads(path.read_text()) if path.exists() else None
        if content is not None and not all(isinstance(name, str) for name in content['seen']):
            raise TypeError('no names of classes')
        return content
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} cannot be read ({error}); name another --workdir.') from error


@contextlib.contextmanager
def locked(workdir: AnyPath) -> Iterator[None]:
    """Keeps other trainings and tables out of a workdir; the lock ends with the process.

    Args:
        workdir: the folder; it is made.

    Yields:
        None, while the lock is held.

    Raises:
        InputError: another run holds the lock, or the folder cannot be written to.
    """
    make_workdir(workdir)

    def refuse():
        raise InputError(f'another run is working in {workdir}; wait for it, or choose another --workdir.')

    with holding(workdir / '.lock', busy=refuse):
        yield


def make_workdir(workdir: AnyPath) -> None:
    """Makes a workdir and checks that it is writable; in a bucket, by writing a small file.

    Args:
        workdir: the folder.

    Raises:
        InputError: it cannot be made or written to.
    """
    if in_bucket(workdir):
        write_object(workdir / '.writable', b'This file shows that the folder can be written to.\n')
        return
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if not os.access(workdir, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(
            f'{workdir} cannot be a workdir ({error.strerror}); name a folder to write to with --workdir='
        ) from error


def read_config(workdir: AnyPath) -> dict:
    """The configuration that a training wrote.

    Args:
        workdir: workdir of the training.

    Returns:
        The content of config.json.

    Raises:
        InputError: there is no config.json, or it is damaged.
    """
    path = workdir / 'config.json'
    try:
        content = json.loads(path.read_text())
        if not isinstance(content, dict):
            raise ValueError('not an object')
        return content
    except FileNotFoundError as error:
        raise InputError(
            f'{workdir} is not a workdir: it has no config.json. Train first, or name another one.'
        ) from error
    except ValueError as error:
        raise InputError(f'{path} cannot be read ({error}); name another --workdir.') from error


def write_json(path: AnyPath, content: Any) -> None:
    """Writes a .json file, which appears complete or not at all.

    Args:
        path: file to write.
        content: JSON values; numbers must be finite.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + '\n')


def write_text(path: AnyPath, content: str) -> None:
    """Writes a text file in UTF-8, which appears complete or not at all.

    Args:
        path: file to write; its folder is made.
        content: the text.
    """
    if not in_bucket(path):
        make_workdir(path.parent)
    with replacing(path) as temporary:
        temporary.write_text(content, encoding='utf-8')


def append_json_line(path: AnyPath, content: Any) -> None:
    """Adds one line to a .jsonl file.

    Args:
        path: the file; a new one is made.
        content: JSON values; numbers must be finite.
    """
    newline = b'\n' if not in_bucket(path) and _is_cut_off(path) else b''
    append_bytes(path, newline + json.dumps(content, allow_nan=False).encode() + b'\n')


def _is_cut_off(path):
    """Whether a crash cut off the last line of a local file."""
    if not path.exists() or not path.stat().st_size:
        return False
    with open(path, 'rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b'\n'


def read_json_lines(path: AnyPath) -> list:
    """The lines of a .jsonl file, without a last one that a crash cut off.

    Args:
        path: the file.

    Returns:
        The content of each line; [] if there is no file.
    """
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def keep_json_lines(path: AnyPath, keep: Callable[[Any], bool]) -> None:
    """Rewrites a .jsonl file without the lines for which `keep` is false.

    Args:
        path: the file; it need not exist.
        keep: called with the content of each line.
    """
    kept = [line for line in read_json_lines(path) if keep(line)]
    if path.exists():
        write_text(path, ''.join(json.dumps(line) + '\n' for line in kept))
