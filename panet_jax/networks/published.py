"""Published weights by the name of their encoder: from a cache of this machine, or downloaded."""

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from panet_jax.disk.downloads import Download, DownloadFailed, cache_dir, download, gigabytes
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder
from panet_jax.method.resnet import STAGE4
from panet_jax.networks.encoders import DEFAULT

LOGGER = logging.getLogger(__name__)
META = 'https://dl.fbaipublicfiles.com/dinov2'
TORCHVISION = 'https://download.pytorch.org/models'
HUGGING_FACE = 'https://huggingface.co/facebook'


class Published(NamedTuple):
    """The place where the weights of an encoder are published.

    Attributes:
        page: address for a person.
        file: the Download; None if its checksum is unknown.
        gated: whether the page requires that a license is accepted.
    """

    page: str
    file: Download | None = None
    gated: bool = False


def _file(url, size, sha256):
    return Download((url,), size, sha256)


PUBLISHED = {
    'resnet50': Published(
        f'{TORCHVISION}/resnet50-0676ba61.pth',
        _file(
            f'{TORCHVISION}/resnet50-0676ba61.pth',
            102_530_333,
            '0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a',
        ),
    ),
    'resnet101': Published(f'{TORCHVISION}/resnet101-63fe2227.pth'),
    'dinov2-small': Published(
        f'{HUGGING_FACE}/dinov2-small',
        _file(
            f'{META}/dinov2_vits14/dinov2_vits14_pretrain.pth',
            88_283_115,
            'b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9',
        ),
    ),
    'dinov2-base': Published(f'{HUGGING_FACE}/dinov2-base'),
    'dinov2-large': Published(
        f'{HUGGING_FACE}/dinov2-large',
        _file(
            f'{META}/dinov2_vitl14/dinov2_vitl14_pretrain.pth',
            1_217_586_395,
            'd5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428',
        ),
    ),
    'dinov2-small-registers': Published(f'{HUGGING_FACE}/dinov2-with-registers-small'),
    'dinov2-base-registers': Published(
        f'{HUGGING_FACE}/dinov2-with-registers-base',
        _file(
            f'{META}/dinov2_vitb14/dinov2_vitb14_reg4_pretrain.pth',
            346_393_545,
            '73182a088cf94833c94b1666d1c99e02fe87e2007bff57b564fb6206e25dba71',
        ),
    ),
    'dinov2-large-registers': Published(f'{HUGGING_FACE}/dinov2-with-registers-large'),
    **{
        f'dinov3-{size}': Published(f'{HUGGING_FACE}/dinov3-vit{size[0]}16-pretrain-lvd1689m', gated=True)
        for size in ('small', 'base', 'large')
    },
}


def published_name(encoder: Encoder) -> str | None:
    """The name of an encoder's published weights.

    Args:
        encoder: the encoder.

    Returns:
        A key of PUBLISHED; None if there are no weights of its architecture and width.
    """
    name = encoder.name.removesuffix(STAGE4)
    return name if name in PUBLISHED and encoder.width == 1 else None


def published_file(source: str, encoder: Encoder) -> Path:
    """The file of the published parameters of an encoder, from our cache, PyTorch's or Hugging Face's, or downloaded.

    Args:
        source: 'imagenet', or the name of the encoder that the weights were published for.
        encoder: the encoder; VGG-16 has its own `imagenet_params`.

    Returns:
        The path of the file.

    Raises:
        InputError: there are no such weights for the encoder, or they could not be downloaded. The message says what to
            type, or which file to get and where to put it.
    """
    source, name = source.removesuffix(STAGE4), published_name(encoder)
    if name is None:
        what = 'ImageNet' if source == 'imagenet' else source
        raise InputError(f"there are no {what} weights for {encoder.name}; use weights='random', or name a file.")
    if source != name and not (source == 'imagenet' and name.startswith('resnet')):
        raise InputError(
            f'there are no {source} weights for {encoder.name}; type {{encoder.weights=}}{name}, or name a file.'
        )
    return next(_on_this_machine(name), None) or _downloaded(name)


def default_weights(encoder: Encoder) -> str:
    """The default weights of an encoder.

    Args:
        encoder: the encoder.

    Returns:
        'imagenet' or the name of published weights; 'random' if there are none.
    """
    if encoder.name == DEFAULT and encoder.width == 1:
        return 'imagenet'
    return published_name(encoder) or 'random'


def is_at_hand(name: str) -> bool:
    """Whether published weights need no download.

    Args:
        name: a key of PUBLISHED.

    Returns:
        True if a file of them is on this machine.
    """
    return next(_on_this_machine(name), None) is not None


def _on_this_machine(name) -> Iterator[Path]:
    """The files of published weights on this machine. Those with PyTorch's names must have the right checksum."""
    page, file, _ = PUBLISHED[name]
    torch_home = Path(os.environ.get('TORCH_HOME', '~/.cache/torch')).expanduser()
    for folder in (cache_dir(), torch_home / 'hub/checkpoints') if file else ():
        path = folder / file.name
        if path.is_file() and _checksum(path) == file.sha256:
            yield path
    for ending in ('.safetensors', '.pth'):
        path = cache_dir() / f'{name}{ending}'
        if path.is_file():
            yield path
    if page.startswith(HUGGING_FACE):
        hub = Path(os.environ.get('HF_HOME', '~/.cache/huggingface')).expanduser() / 'hub'
        model = f'models--facebook--{page.rpartition("/")[2]}'
        yield from sorted(hub.glob(f'{model}/snapshots/*/model.safetensors'))


def _downloaded(name):
    page, file, gated = PUBLISHED[name]
    source = f'{page} (model.safetensors, once you have accepted the license there)' if gated else page
    by_hand = (
        f'get the weights from {source} and put them in {cache_dir()} as {name}.safetensors (or .pth), or name the file'
    )
    if file is None:
        raise InputError(f'the weights of {name} are not on this machine, and are not downloaded by name; {by_hand}.')
    LOGGER.warning('Downloading %s (%s) into %s.', file.urls[0], gigabytes(file.size), cache_dir())
    try:
        return download(file, cache_dir())
    except DownloadFailed as error:
        raise InputError(
            f'no weights of {name}: none on this machine, and the download failed ({error}); {by_hand}.'
        ) from error


def _checksum(path):
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
