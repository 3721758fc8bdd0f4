"""A cache of compiled programs on disk: a second run starts without compiling."""

import os

import jax

from panet_jax.disk.downloads import cache_dir
from panet_jax.disk.paths import local_path

MOST_BYTES = 2**30


def keep_compiled(folder: str | None = None) -> None:
    """Makes JAX keep compiled programs in a folder, of 1 GiB at most; the least recently used ones are removed.

    The environment variable JAX_COMPILATION_CACHE_DIR takes precedence.

    Args:
        folder: the folder; None is compiled/ beside the downloaded weights, '' is no cache.
    """
    if 'JAX_COMPILATION_CACHE_DIR' in os.environ or folder == '':
        return
    path = local_path(folder, '--compilation_cache') if folder else cache_dir() / 'compiled'
    jax.config.update('jax_compilation_cache_dir', str(path))
    jax.config.update('jax_compilation_cache_max_size', MOST_BYTES)
