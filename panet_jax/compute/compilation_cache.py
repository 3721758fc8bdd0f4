"""Compiled programs kept on disk, so that a second run begins at once."""

import os

import jax

from panet_jax.disk.downloads import cache_dir
from panet_jax.disk.paths import local_path

MOST_BYTES = 2**30


def keep_compiled(folder=None):
    """Has JAX keep what it compiles and take it from there; JAX_COMPILATION_CACHE_DIR has its way.

    Args:
        folder: where; None is compiled/ beside the downloaded weights, '' keeps nothing. The least recently
            used goes beyond 1 GiB.
    """
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ or folder == '':
        return
    where = local_path(folder, '--compilation_cache') if folder else cache_dir() / 'compiled'
    jax.config.update('jax_compilation_cache_dir', str(where))
    jax.config.update('jax_compilation_cache_max_size', MOST_BYTES)
