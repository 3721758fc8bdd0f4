"""A trained network to share: a folder with the weights, model.json, which describes them, and a model card."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from panet_jax.disk.atomic import replacing
from panet_jax.disk.paths import absolute
from panet_jax.disk.saved_networks import TRAINED
from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.networks.history import History
from panet_jax.networks.network import Network
from panet_jax.networks.weights import save_params

MODEL = 'model.json'
CARD = 'README.md'  # the name that the Hugging Face hub shows as the page of a model
FORMAT = 1


def is_exported(folder: Path) -> bool:
    """Whether a folder holds an exported network.

    Args:
        folder: any path.

    Returns:
        True or False.
    """
    return (folder / MODEL).is_file()


def describe(network: Network, past: History, results: list[dict[str, Any]]) -> dict[str, Any]:
    """The content of model.json.

    Args:
        network: the network.
        past: its training data.
        results: rows of its evaluations, with protocols and scores.

    Returns:
        JSON values.
    """
    return {
        'format': FORMAT,
        'encoder': network.encoder.name,
        'width': network.encoder.width,
        'size': network.size,
        'step': network.step,
        'hash': network.hash,
        'dataset': past.dataset,
        'classes': list(past.seen),
        'unknown': past.unknown,
        'results': results,
    }


def write_exported(folder: Path, network: Network, about: dict[str, Any], card: str) -> None:
    """Writes an exported network; model.json comes last, so that a folder that has it is complete.

    Args:
        folder: folder to write to; it is made, and an earlier export in it is replaced.
        network: the network.
        about: the content of model.json, as from `describe`.
        card: text of the model card.

    Raises:
        InputError: the folder holds something else.
    """
    if folder.exists() and not (folder.is_dir() and (is_exported(folder) or not any(folder.iterdir()))):
        raise InputError(f'{folder} exists and holds no exported network; name another folder.')
    (folder / MODEL).unlink(missing_ok=True)
    past = {name: about[name] for name in ('step', 'dataset', 'unknown')} | {'seen': about['classes']}
    save_params(folder / TRAINED, network.encoder, network.params, past)
    with replacing(folder / CARD) as temporary:
        temporary.write_text(card, encoding='utf-8')
    write_json(folder / MODEL, about)


def as_exported(network: Network, folder: Path) -> Network:
    """Adds the size, step and origin of model.json to a network that was read from an exported folder.

    Args:
        network: the Network of the folder's weights.
        folder: the folder.

    Returns:
        The Network with its size, step and origin.

    Raises:
        InputError: model.json is damaged, has another format, or describes other weights.
    """
    path = folder / MODEL
    try:
        about = json.loads(path.read_text(encoding='utf-8'))
        version, size, step, digest = (about[name] for name in ('format', 'size', 'step', 'hash'))
        if not all(isinstance(number, int) for number in (version, size, step)):
            raise ValueError('its format, size and step must be whole numbers')
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f'{path} is no description of a network ({error}); get the folder again.') from error
    if version != FORMAT:
        raise InputError(f'{path} has the format {version}, wanted {FORMAT}; it may need a newer panet_jax.')
    if digest != network.hash:
        raise InputError(
            f'the weights in {folder} have the hash {network.hash}, {MODEL} says {digest}; get them again.'
        )
    return dataclasses.replace(network, size=size, step=step, origin=str(absolute(folder)))
