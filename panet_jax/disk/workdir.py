"""The files of a workdir, and the checks that it holds one experiment only.

config.json            the experiment
classes.json           the classes that it trains on, the data, and what the weights that it began with had seen
checkpoints/           Orbax, one folder a step
metrics.jsonl          losses of training, a line every log_every steps
encoder.safetensors    the trained parameters with torchvision's names, written when training ends
results.json           the latest evaluation;  results.jsonl  all of them
pictures/              sheets of episodes
tensorboard/           losses, scores and pictures for TensorBoard
"""

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from panet_jax.disk.atomic import append, replacing, write_object
from panet_jax.disk.locks import holding
from panet_jax.disk.paths import in_bucket, workdir_path
from panet_jax.errors import InputError
from panet_jax.settings import Role, defaults, flat, is_fixed, with_role

TRAINED = 'encoder.safetensors'


def default_workdir(config) -> str:
    """runs/NAME-foldF-Nway-Kshot, relative to the current folder.

    For a user's own data NAME includes the name of their folder and four digits of its path, because two folders can
    have one name.
    """
    return f'{_named(config)}-fold{config.data.fold}-{config.episode.ways}way-{config.episode.shots}shot'


def default_table_workdir(config) -> str:
    """runs/NAME-Nway-table."""
    return f'{_named(config)}-{config.episode.ways}way-table'


def _named(config):
    if config.data.name != 'custom':
        return f'runs/{config.name}'
    root = Path(config.data.root).expanduser().resolve()
    return f'runs/{config.name}-{root.name}-{hashlib.sha256(str(root).encode()).hexdigest()[:4]}'


def check_experiment(workdir, config):
    """Checks that `workdir` is free, has no checkpoint yet and lost none, or holds the experiment `config`."""
    if checkpoint_steps(workdir):
        here, now = _settings(workdir), flat(config.to_dict())
        _refuse(workdir, here, now, filter(is_fixed, here | now))
    elif left := _left_of_training(workdir_path(workdir)):
        raise InputError(
            f'{workdir} has {left} of a training, but no checkpoint to go on from: training would begin again and write '
            'over it. Choose another --workdir=, or evaluate what is there with --mode=evaluate.'
        )


def checkpoint_steps(workdir) -> list[int]:
    """The steps of the complete checkpoints in a workdir, in order."""
    folder = workdir_path(workdir) / 'checkpoints'
    if in_bucket(folder):  # Orbax cannot rename there, so it writes a file when a checkpoint is complete
        names = [path.parent.name for path in folder.glob('*/commit_success.txt')]
    else:
        names = [path.name for path in folder.glob('[0-9]*')]
    return sorted(int(name) for name in names if name.isdigit())


def _left_of_training(workdir):
    """The file that a training wrote whose checkpoints are gone; '' if none was due yet."""
    if (workdir / TRAINED).exists():
        return TRAINED
    lines = read_json_lines(workdir / 'metrics.jsonl')
    # The second is saved only when the first is, which goes on in the background.
    due = (
        lines
        and (workdir / 'config.json').exists()
        and lines[-1]['step'] > 2 * read_config(workdir)['checkpoint_every']
    )
    return 'metrics.jsonl' if due else ''


def check_split(workdir, config):
    """Checks that evaluating `config` on the checkpoints of `workdir` meets classes unseen in training."""
    here, now = _settings(workdir), flat(config.to_dict())
    if here['data.name'] == now['data.name']:
        _refuse(workdir, here, now, with_role(Role.SPLIT))


def check_untrained(workdir, config):
    """Checks that the untrained network of `config` is the one that training in `workdir` began with."""
    if (workdir_path(workdir) / 'config.json').exists():
        _refuse(workdir, _settings(workdir), flat(config.to_dict()), with_role(Role.SPLIT, Role.START))


def check_same_data(workdir, seen: Sequence[str], data: dict, before: dict) -> None:
    """Checks that a training that goes on has the data it began with; writes classes.json.

    Args:
        workdir: workdir of the training.
        seen: names of the classes that it trains on.
        data: {'fingerprint', 'images', 'list', 'root'} of its Source.
        before: what its initial weights were trained on, the fields of a History.
    """
    written = read_classes(workdir) if checkpoint_steps(workdir) else None
    if written is not None:
        _check_classes(workdir, written['seen'], list(seen))
        before = written.get('before', before)
        if 'data' not in written:
            print(
                f'{workdir} does not say on which data it was trained; it goes on with {_described(data)}', flush=True
            )
        elif written['data']['fingerprint'] != data['fingerprint']:
            raise InputError(
                f'{workdir} was trained on {_described(written["data"])}, but the data now are {_described(data)}; choose '
                'another --workdir=, or the data it was made with.'
            )
    write_json(workdir_path(workdir) / 'classes.json', {'seen': list(seen), 'data': data, 'before': before})


def _check_classes(workdir, before, now):
    if before != now:
        raise InputError(
            f'{workdir} was trained on the classes {", ".join(before)}, but the data now give {", ".join(now)}; choose '
            'another --workdir.'
        )


def _described(data):
    where = f' in {data["root"]}' if data['root'] else ''
    return f'{data["images"]} images of {data["list"]!r}{where} (fingerprint {data["fingerprint"]})'


def read_classes(workdir) -> dict | None:
    """The content of classes.json, a dictionary with 'seen'; None if there is no such file."""
    path = workdir_path(workdir) / 'classes.json'
    try:
        content = json.loads(path.read_text()) if path.exists() else None
        if content is not None and not all(isinstance(name, str) for name in content['seen']):
            raise TypeError('no names of classes')
        return content
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} cannot be read ({error}); name another --workdir.') from error


@contextlib.contextmanager
def locked(workdir) -> Iterator[None]:
    """Keeps other trainings and tables out of `workdir`; the lock ends with the process."""
    make_workdir(workdir)

    def refuse():
        raise InputError(f'another run is working in {workdir}; wait for it, or choose another --workdir.')

    with holding(workdir_path(workdir) / '.lock', busy=refuse):
        yield


def make_workdir(workdir) -> None:
    """Makes the folder, and checks that it can be written to; in a bucket a small file is written to find out."""
    path = workdir_path(workdir)
    if in_bucket(path):
        write_object(path / '.writable', b'This file shows that the folder can be written to.\n')
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise InputError(
            f'{workdir} cannot be a workdir ({error.strerror}); name a folder to write to with --workdir='
        ) from error


def read_config(workdir) -> dict:
    """The configuration that a training wrote."""
    path = workdir_path(workdir) / 'config.json'
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


def training_recipe(workdir):
    """How the network of a workdir was trained: {setting: value} of all that makes a difference; {} for no workdir."""
    settings = flat(read_config(workdir)) if workdir else {}
    return {name: value for name, value in settings.items() if is_fixed(name)}


def _settings(workdir):
    """{name: value} of a workdir's experiment; a setting that its version did not have yet has its default."""
    return defaults() | flat(read_config(workdir))


def write_json(path, content) -> None:
    """Writes a .json file, which appears complete or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + '\n')


def write_text(path, content: str) -> None:
    """Writes a text file, which appears complete or not at all."""
    if not in_bucket(path):
        make_workdir(Path(path).parent)
    with replacing(path) as temporary:
        temporary.write_text(content, encoding='utf-8')


def append_json_line(path, content) -> None:
    """Adds one line to a .jsonl file."""
    path = workdir_path(path)
    begin = b'\n' if not in_bucket(path) and _is_cut_off(path) else b''
    append(path, begin + json.dumps(content, allow_nan=False).encode() + b'\n')


def _is_cut_off(path):
    """Whether a crash cut off the last line of a local file."""
    if not path.exists() or not path.stat().st_size:
        return False
    with open(path, 'rb') as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b'\n'


def read_json_lines(path) -> list:
    """The lines of a .jsonl file, none if there is no file; a line that a crash cut off is left out."""
    path = workdir_path(path)
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            lines.append(json.loads(line))
    return lines


def keep_json_lines(path, keep: Callable) -> None:
    """Rewrites a .jsonl file without the lines for which `keep` is false."""
    kept = [line for line in read_json_lines(path) if keep(line)]
    if workdir_path(path).exists():
        write_text(path, ''.join(json.dumps(line) + '\n' for line in kept))


def _refuse(workdir, here, now, names):
    different = [name for name in names if here.get(name) != now.get(name)]
    if different:
        lines = [f'{name} is {here.get(name)!r} there and {now.get(name)!r} here' for name in different]
        raise InputError(
            f'{workdir} holds another experiment: {"; ".join(lines[:4])}{"; ..." * (len(lines) > 4)}. '
            'Choose another --workdir, or the settings it was made with.'
        )
