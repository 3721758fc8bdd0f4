"""Paths that a user typed: on this machine, or, for a workdir, also in a bucket."""

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from panet_jax.errors import InputError

# A path on this machine or in a bucket; both types have the same methods. Only buckets need etils.
if TYPE_CHECKING:
    from etils import epath

    AnyPath = Path | epath.Path
else:
    AnyPath = Path

BUCKET = 'gs://'
# An address such as gs://bucket, or gs:/bucket, as pathlib shortens it; C:\ of Windows does not match.
ADDRESS = re.compile(r'[a-z][a-z0-9]+:/+(?P<rest>.*)')


def local_path(text: str | os.PathLike, setting: str) -> Path:
    """A path on this machine, with ~ expanded.

    Args:
        text: the path as typed.
        setting: its name in errors: an option such as '--workdir', or a setting such as '{data.root}'.

    Returns:
        The path.

    Raises:
        InputError: it is the address of a bucket, which pathlib would turn into a local folder called gs:.
    """
    if ADDRESS.match(str(text)):
        raise InputError(
            f'{setting} must be a path on this machine, got {text}; only a workdir can be in a bucket: name a folder, or '
            'where the bucket is mounted.'
        )
    return Path(text).expanduser()


def workdir_path(text: str | os.PathLike, setting: str = 'a workdir') -> AnyPath:
    """A path on this machine, with ~ expanded, or one in a bucket of Google Cloud Storage.

    Args:
        text: the path as typed, or a path from this function.
        setting: its name in errors, an option or a setting.

    Returns:
        A pathlib.Path; for gs://BUCKET/FOLDER an epath.Path, which has the same methods.

    Raises:
        InputError: it is an address of another kind, or gcsfs is not installed.
    """
    address = ADDRESS.match(str(text))
    if not address:
        return Path(text).expanduser()
    if not str(text).startswith(BUCKET) or not address['rest'].strip('/'):
        raise InputError(
            f'{setting} must be a path on this machine or gs://BUCKET/FOLDER, got {text}; name a folder, or where '
            'the bucket is mounted.'
        )
    _prepare_gcsfs(text)
    from etils import epath

    return epath.Path(text)


def absolute(text: str | os.PathLike) -> AnyPath:
    """The absolute path of a workdir.

    Args:
        text: the path as typed.

    Returns:
        The path, with links resolved; for a bucket, the address itself.

    Raises:
        InputError: as in `workdir_path`.
    """
    path = workdir_path(text)
    return path if in_bucket(path) else path.resolve()  # epath would put the current folder before gs://


def in_bucket(path: AnyPath) -> bool:
    """Whether a path is in a bucket.

    Args:
        path: as from `workdir_path`.

    Returns:
        True or False.
    """
    return str(path).startswith(BUCKET)


def _prepare_gcsfs(text: str) -> None:
    """Makes etils read buckets with gcsfs, without a cache of listings; an InputError if gcsfs is not installed."""
    if importlib.util.find_spec('gcsfs') is None:
        raise InputError(f"{text} needs gcsfs, which is not installed; type pip install 'panet-jax[gcs]'.")
    import fsspec.config

    # By default etils prefers TensorFlow, and gcsfs caches listings, so that files of other processes stay hidden.
    os.environ.setdefault('EPATH_USE_TF', 'false')
    fsspec.config.conf.setdefault('gs', {}).setdefault('use_listings_cache', False)
