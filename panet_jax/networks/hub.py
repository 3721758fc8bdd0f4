"""Exported networks on the Hugging Face hub, by addresses such as hf://USER/NAME."""

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path

from panet_jax.disk.saved_networks import TRAINED
from panet_jax.errors import InputError
from panet_jax.networks.exported import CARD, MODEL, is_exported
from panet_jax.networks.names import HUB

ADDRESS = re.compile(rf'{HUB}(?P<name>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?')
# (name, revision or None, names of files) -> folder on this machine with those files.
Fetch = Callable[[str, str | None, list[str]], str]


def is_on_hub(source: object) -> bool:
    """Whether a name of weights is an address on the hub.

    Args:
        source: the name, as a user typed it.

    Returns:
        True or False.
    """
    return isinstance(source, str) and source.startswith(HUB)


def fetch_exported(address: str, fetch: Fetch | None = None) -> Path:
    """Downloads an exported network from the hub, into the hub's own cache.

    Args:
        address: 'hf://USER/NAME', or 'hf://USER/NAME@REVISION', where REVISION is a branch, tag or commit.
        fetch: downloads the files; by default with huggingface_hub.

    Returns:
        The network's folder on this machine.

    Raises:
        InputError: the address is wrong, huggingface_hub is missing, there is no such network, or it cannot be reached.
    """
    parts = ADDRESS.fullmatch(address)
    if not parts:
        raise InputError(f'a network on the hub is {HUB}USER/NAME or {HUB}USER/NAME@REVISION, got {address}.')
    folder = Path((fetch or _fetch)(parts['name'], parts['revision'], [MODEL, TRAINED, CARD]))
    if not is_exported(folder):
        raise InputError(f'{address} has no {MODEL}; panet-jax export did not write it.')
    return folder


def _fetch(name, revision, files):
    """Gets files with huggingface_hub, which is optional."""
    if importlib.util.find_spec('huggingface_hub') is None:
        raise InputError(f"{HUB}{name} needs huggingface_hub; type pip install 'panet-jax[hub]'.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return snapshot_download(name, revision=revision, allow_patterns=files)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = ' '.join(str(error).split()).rstrip('.')[:200]
        raise InputError(f'{HUB}{name} cannot be downloaded from the hub ({reason}).') from error
