"""Paths that a user types."""

from pathlib import Path

from panet_jax.errors import InputError


def local_path(text, setting):
    """A path on this machine, with ~ filled in.

    Args:
        text: what was typed.
        setting: how an error calls it: an option such as '--workdir', or a setting as '{data.root}'.

    Raises:
        InputError: it is the address of a bucket, of which pathlib would make a folder called gs: here.
    """
    if '://' in str(text):
        raise InputError(
            f'{setting} must be a path on this machine, got {text}; buckets are not read or written yet: name a folder, '
            'or where the bucket is mounted.'
        )
    return Path(text).expanduser()
