"""The History of weights: on which data and classes they were trained, so that no evaluation calls a seen class unseen."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from panet_jax.disk.paths import AnyPath, absolute, workdir_path
from panet_jax.disk.saved_networks import TRAINED, read_about
from panet_jax.disk.workdir import read_classes, read_config
from panet_jax.errors import InputError
from panet_jax.method.encoder import Params
from panet_jax.networks.encoders import ENCODERS
from panet_jax.networks.imagenet import is_imagenet

UNTRAINED = ('imagenet', 'random', *ENCODERS)  # weights that were not trained by this program


class History(NamedTuple):
    """The data that a network was trained on.

    Attributes:
        dataset: data set of the latest training; '' if there was none, or it is unknown.
        seen: names of the training classes, of all known trainings.
        unknown: name of the initial weights if their training is unknown, else ''.
    """

    dataset: str = ''
    seen: tuple[str, ...] = ()
    unknown: str = ''


def history(weights: str | AnyPath, inside: AnyPath | None = None) -> History:
    """The History of weights.

    Args:
        weights: 'imagenet', 'random', a workdir, or a file of weights.
        inside: absolute path of the workdir that began with these weights, whose History is not its own beginning.

    Returns:
        The History.

    Raises:
        InputError: a file of the workdir, or the file itself, is damaged.
    """
    if not weights or weights in UNTRAINED:
        return History()
    path = workdir_path(weights)
    workdir = path.parent if path.name == TRAINED else path
    place = absolute(workdir)
    if place == inside:
        return History()
    classes = read_classes(workdir)
    if classes is None:
        about = read_about(path / TRAINED if path.is_dir() else path)
        if 'seen' not in about:
            return History(unknown=path.name)
        return History(about['dataset'], tuple(json.loads(about['seen'])), about['unknown'])
    config = read_config(workdir)
    # Earlier versions did not note what the initial weights had been trained on.
    before = History(**classes['before']) if 'before' in classes else history(config['encoder']['weights'], place)
    return History(config['data']['name'], (*classes['seen'], *before.seen), before.unknown)


def checked_history(weights: str, unseen: Sequence[str], params: Params | None = None) -> History:
    """The History of weights that must not have been trained on the unseen classes.

    Args:
        weights: as for `history`.
        unseen: names of the unseen classes.
        params: the loaded parameters, to recognize a copy of the ImageNet weights.

    Returns:
        The History.

    Raises:
        InputError: they were trained on some of these classes, or a file is damaged.
    """
    is_copy = params is not None and weights not in UNTRAINED and is_imagenet(params)
    past = History() if is_copy else history(weights)
    trained_on = [name for name in unseen if name in past.seen]
    if trained_on:
        raise InputError(
            f'{weights} was trained on {", ".join(trained_on)}, so it cannot be evaluated on them as unseen; choose another '
            '--workdir, other weights, or the data it was trained with.'
        )
    return past
