"""Compiled programs kept on disk, so that a second run begins at once."""

import os

import jax

from panet_jax.disk.downloads import cache_dir
from panet_jax.disk.paths import local_path

MOST_BYTES = 2**30


def keep_compiled(folder: str | None = None):
    """Makes JAX keep compiled programs in a folder and take them from there; JAX_COMPILATION_CACHE_DIR goes first.

    Beyond 1 GiB the least recently used programs are removed.

    Args:
        folder: to keep them in; None is compiled/ beside the downloaded weights, '' keeps nothing.
    """
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ or folder == '':
        return
    path = local_path(folder, '--compilation_cache') if folder else cache_dir() / 'compiled'
    jax.config.update('jax_compilation_cache_dir', str(path))
    jax.config.update('jax_compilation_cache_max_size', MOST_BYTES)
