"""The networks of a workdir, and the history of any weights.

A workdir has its newest few networks in checkpoints/, and the final one in encoder.safetensors, whose metadata have its
step and training classes.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from panet_jax.disk.paths import AnyPath, absolute, workdir_path
from panet_jax.disk.workdir import TRAINED, checkpoint_steps, read_classes, read_config, read_json_lines
from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder, Params
from panet_jax.networks.encoders import DEFAULT, ENCODERS, encoder_of
from panet_jax.networks.imagenet import is_imagenet
from panet_jax.networks.published import default_weights, published_name
from panet_jax.networks.weights import read_about, read_encoder, read_params

UNTRAINED = ('imagenet', 'random', *ENCODERS)  # weights that were trained on none of the data sets here


class History(NamedTuple):
    """What a network was trained on.

    Attributes:
        dataset: data set of the latest training; '' if there was none, or it is unknown.
        seen: names of the training classes, of all known trainings.
        unknown: name of the initial weights if their training is unknown, else ''.
    """

    dataset: str = ''
    seen: tuple[str, ...] = ()
    unknown: str = ''


def history(weights: str | AnyPath) -> History:
    """The History of weights.

    Args:
        weights: 'imagenet', 'random', a workdir, or a file of weights.

    Returns:
        The History.

    Raises:
        InputError: a file of the workdir, or the file itself, is damaged.
    """
    if weights in UNTRAINED:
        return History()
    path = workdir_path(weights)
    workdir = path.parent if path.name == TRAINED else path
    classes = read_classes(workdir)
    if classes is not None:
        before = _before(workdir, classes)
        return History(read_config(workdir)['data']['name'], (*classes['seen'], *before.seen), before.unknown)
    about = read_about(path / TRAINED if path.is_dir() else path)
    if 'seen' in about:
        return History(about['dataset'], tuple(json.loads(about['seen'])), about['unknown'])
    return History(unknown=path.name)


def about_training(workdir: AnyPath, step: int) -> dict[str, str]:
    """The metadata of `encoder.safetensors`, for `save_params`.

    Args:
        workdir: workdir of the training.
        step: its step.

    Returns:
        Texts by name: 'step', and the fields of the History.
    """
    past = history(workdir)
    return {'step': str(step), 'dataset': past.dataset, 'seen': json.dumps(past.seen), 'unknown': past.unknown}


def check_unseen(weights: str, known: History, unseen: Sequence[str]) -> None:
    """Checks that a network was trained on none of the classes that are to be unseen.

    Args:
        weights: name of the network in the error.
        known: its History.
        unseen: names of the unseen classes.

    Raises:
        InputError: it was trained on some of them.
    """
    both = [name for name in unseen if name in known.seen]
    if both:
        raise InputError(
            f'{weights} was trained on {", ".join(both)}, so it cannot be evaluated on them as unseen; choose another '
            '--workdir or other weights, or the data it was made with.'
        )


def initial_weights(settings: Mapping[str, Any], params: Params | None = None) -> str:
    """The name of the weights that a network has before its training.

    Args:
        settings: section `encoder` of the network's configuration.
        params: the parameters before training, by which a copy of the ImageNet weights is recognized; None if they are
            not at hand.

    Returns:
        'imagenet', 'random', the name of an encoder, or a path.
    """
    encoder = encoder_of(settings)
    weights = settings['weights'] or default_weights(encoder)
    if weights in ('imagenet', *ENCODERS):  # two names of the same weights
        return 'imagenet' if encoder.name == DEFAULT else published_name(encoder) or weights
    is_copy = weights != 'random' and params is not None and is_imagenet(params)
    return 'imagenet' if is_copy else weights


def network_steps(workdir: AnyPath) -> list[int]:
    """The steps of the networks in a workdir.

    Args:
        workdir: workdir of the training.

    Returns:
        The steps, in ascending order.

    Raises:
        InputError: the step of the only network is unknown.
    """
    checkpoints = checkpoint_steps(workdir)
    final = _final_step(workdir, checkpoints)
    path = workdir / TRAINED
    if not checkpoints and final is None and path.is_file():
        raise InputError(
            f'{path} does not say of which step it is, and there is no checkpoint; evaluate it with '
            f"{{encoder.weights=}}{path} {{checkpoint=''}} in another --workdir."
        )
    return sorted({*checkpoints, *([] if final is None else [final])})


def read_network(workdir: AnyPath, step: int, encoder: Encoder) -> Params:
    """Reads the parameters of one step, from encoder.safetensors or from a checkpoint.

    Args:
        workdir: workdir of the training.
        step: the step.
        encoder: the encoder of the network.

    Returns:
        A tree of float32 numpy arrays.

    Raises:
        InputError: there is no network of this step, or it is damaged.
    """
    checkpoints = checkpoint_steps(workdir)
    if step == _final_step(workdir, checkpoints):
        return read_params(workdir / TRAINED, encoder)
    if step not in checkpoints:
        steps = ', '.join(map(str, network_steps(workdir))) or 'none'
        raise InputError(f'no checkpoint of step {step} in {workdir}; steps there: {steps}.')
    return _read_checkpoint(workdir, step, encoder)


def newest_network(workdir: AnyPath) -> tuple[Encoder, Params, int]:
    """Reads the newest network of a workdir.

    Args:
        workdir: workdir of the training.

    Returns:
        The Encoder, its parameters as float32 numpy arrays, and the step; 0 if it is unknown.

    Raises:
        InputError: there is no network, or it is damaged.
    """
    checkpoints = checkpoint_steps(workdir)
    final = _final_step(workdir, checkpoints)
    if checkpoints and (final is None or final < checkpoints[-1]):
        encoder = encoder_of(read_config(workdir)['encoder'])
        return encoder, _read_checkpoint(workdir, checkpoints[-1], encoder), checkpoints[-1]
    if not (workdir / TRAINED).is_file():
        raise InputError(f'{workdir} has neither {TRAINED} nor a checkpoint; train first.')
    return *read_encoder(workdir / TRAINED), final or 0


def _read_checkpoint(workdir, step, encoder):
    from panet_jax.networks.checkpoints import Checkpoints  # Orbax takes seconds to import

    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore_params(step, encoder.shapes())


def _final_step(workdir, checkpoints):
    """The step of encoder.safetensors; None without the file, or if the step is unknown, as with earlier versions."""
    path = workdir / TRAINED
    if not path.is_file():
        return None
    if 'step' in (about := read_about(path)):
        return int(about['step'])
    logged = [line['step'] for line in read_json_lines(workdir / 'metrics.jsonl')]
    # Training writes the file at its last step, which then is the last one in the log, unless training was resumed since
    # and stopped.
    ended = logged and (workdir / 'config.json').is_file() and logged[-1] == read_config(workdir)['steps']
    return logged[-1] if ended and not checkpoints else None


def _before(workdir, classes):
    """The History of the initial weights of a training. Earlier versions did not note it."""
    if 'before' in classes:
        return History(**classes['before'])
    weights = read_config(workdir)['encoder']['weights']
    is_itself = weights and absolute(weights) == absolute(workdir)
    return history(weights) if weights and not is_itself else History()
