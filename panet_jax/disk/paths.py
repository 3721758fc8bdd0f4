"""What a typed path may be: a place on this machine, and for a workdir also one in a bucket."""

import importlib.util
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from panet_jax.errors import InputError

if TYPE_CHECKING:
    from etils import epath

BUCKET = 'gs://'
# An address such as gs://bucket, or gs:/bucket, which is what pathlib makes of it; not C:\ of Windows.
ADDRESS = re.compile(r'[a-z][a-z0-9]+:/+(?P<rest>.*)')


def local_path(text: str | os.PathLike, setting: str) -> Path:
    """A path on this machine, with ~ filled in.

    Args:
        text: what was typed.
        setting: how an error calls it: an option such as '--workdir', or a setting as '{data.root}'.

    Raises:
        InputError: it is the address of a bucket, of which pathlib would make a local folder called gs:.
    """
    if ADDRESS.match(str(text)):
        raise InputError(
            f'{setting} must be a path on this machine, got {text}; only a workdir can be in a bucket: name a folder, or '
            'where the bucket is mounted.'
        )
    return Path(text).expanduser()


def workdir_path(text: 'str | os.PathLike', setting: str = 'a workdir') -> 'Path | epath.Path':
    """A path on this machine, with ~ filled in, or one in a bucket of Google Cloud Storage.

    Args:
        text: what was typed, or a path from here.
        setting: the flag or setting it was typed for.

    Returns:
        A pathlib.Path, or of gs://BUCKET/FOLDER an epath.Path, which has the same methods.

    Raises:
        InputError: it is another kind of address, or gcsfs is not installed.
    """
    address = ADDRESS.match(str(text))
    if not address:
        return Path(text).expanduser()
    if not str(text).startswith(BUCKET) or not address['rest'].strip('/'):
        raise InputError(
            f'{setting} must be a path on this machine or the text gs://BUCKET/FOLDER, got {text}; name a folder, or where '
            'the bucket is mounted.'
        )
    _prepare_gcsfs(text)
    from etils import epath

    return epath.Path(text)


def absolute(text: 'str | os.PathLike') -> 'Path | epath.Path':
    """A workdir's path that is the same from any folder; links are followed."""
    path = workdir_path(text)
    return path if in_bucket(path) else path.resolve()  # epath would put the current folder before gs://


def in_bucket(path: 'Path | epath.Path') -> bool:
    """Whether a path from `workdir_path` is one in a bucket."""
    return str(path).startswith(BUCKET)


def _prepare_gcsfs(text: str) -> None:
    """Checks that there is gcsfs, and makes it the one that reads buckets, without remembering what they held."""
    if importlib.util.find_spec('gcsfs') is None:
        raise InputError(f"{text} needs gcsfs, which is not installed; type pip install 'panet-jax[gcs]'.")
    import fsspec.config

    # etils would take TensorFlow where that is installed, and gcsfs would not see what other processes write.
    os.environ.setdefault('EPATH_USE_TF', 'false')
    fsspec.config.conf.setdefault('gs', {}).setdefault('use_listings_cache', False)
