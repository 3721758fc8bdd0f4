"""The networks of a workdir, and what is known of how any weights were trained.

A workdir has its newest few networks in checkpoints/, and in encoder.safetensors the one that training ended with,
whose metadata say at which step and on which classes.
"""

import json
from typing import NamedTuple

from panet_jax.compute import hosts
from panet_jax.disk.paths import absolute, workdir_path
from panet_jax.disk.workdir import TRAINED, checkpoint_steps, read_classes, read_config, read_json_lines
from panet_jax.errors import InputError
from panet_jax.networks.encoders import ENCODERS, encoder_of
from panet_jax.networks.imagenet import is_imagenet
from panet_jax.networks.published import default_weights
from panet_jax.networks.weights import encoder_of_file, read_about, read_params

UNTRAINED = ('imagenet', 'random', *ENCODERS)  # the weights that have seen nothing of any data set here


class History(NamedTuple):
    """What a network was trained on.

    Attributes:
        dataset: of the latest training; '' if there was none, or it is not known.
        seen: names of the classes of all trainings that are known.
        unknown: the name of weights of which it is not known what they were trained on; '' if there are none.
    """

    dataset: str = ''
    seen: tuple[str, ...] = ()
    unknown: str = ''


def history(weights):
    """The History of 'imagenet', 'random', a workdir, or a file of weights."""
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


def about_training(workdir, step):
    """What `encoder.safetensors` is to say of the network in it: texts by name."""
    known = history(workdir)
    return {'step': str(step), 'dataset': known.dataset, 'seen': json.dumps(known.seen), 'unknown': known.unknown}


def check_unseen(weights, known, unseen):
    """Checks that a network saw none of the classes it is to be evaluated on.

    Args:
        weights: how to call it.
        known: its History.
        unseen: names of classes.
    """
    both = [name for name in unseen if name in known.seen]
    if both:
        raise InputError(
            f'{weights} was trained on {", ".join(both)}, so it cannot be evaluated on them as unseen; choose another '
            '--workdir or other weights, or the data it was made with.'
        )


def origin(config, params, checkpoint):
    """What the training of a checkpoint began with, or, without one, what is evaluated.

    Args:
        config: the experiment.
        params: what is evaluated.
        checkpoint: the workdir of its training, or ''.

    Returns:
        'imagenet', 'random', or a path; a file of torchvision's very weights is 'imagenet'.
    """
    if checkpoint:
        encoder = hosts.value_from_primary(lambda: read_config(checkpoint)['encoder'])
    else:
        encoder = config.encoder.to_dict()
    weights = encoder['weights'] or default_weights(encoder_of(encoder))
    return 'imagenet' if not checkpoint and weights not in UNTRAINED and is_imagenet(params) else weights


def network_steps(workdir):
    """The steps of the networks in a workdir, in order; an InputError if the only one has no known step."""
    saved = _saved_step(workdir_path(workdir))
    steps = sorted({*checkpoint_steps(workdir), *([] if saved is None else [saved])})
    if not steps and (path := workdir_path(workdir) / TRAINED).is_file():
        raise InputError(
            f'{path} does not say of which step it is, and there is no checkpoint; evaluate it with '
            f"{{encoder.weights=}}{path} {{checkpoint=''}} in another --workdir."
        )
    return steps


def encoder_of_workdir(workdir):
    """The Encoder that training in a workdir trains."""
    return encoder_of(read_config(workdir)['encoder'])


def read_network(workdir, step, encoder):
    """The parameters of a workdir at one step: of encoder.safetensors, else of a checkpoint."""
    workdir = workdir_path(workdir)
    if step == _saved_step(workdir):
        return read_params(workdir / TRAINED, encoder)
    from panet_jax.networks.checkpoints import Checkpoints  # Orbax, which takes seconds to import

    with Checkpoints(workdir) as checkpoints:
        if step in checkpoints.steps():
            return checkpoints.restore_params(step, encoder.shapes())
    steps = ', '.join(map(str, network_steps(workdir))) or 'none'
    raise InputError(f'no checkpoint of step {step} in {workdir}; steps there: {steps}.')


def newest_network(workdir):
    """The network that training in a workdir has come to: (Encoder, parameters, step, 0 if it is not known)."""
    workdir = workdir_path(workdir)
    steps, saved = checkpoint_steps(workdir), _saved_step(workdir)
    if steps and (saved is None or saved < steps[-1]):
        encoder = encoder_of_workdir(workdir)
        return encoder, read_network(workdir, steps[-1], encoder), steps[-1]
    if not (workdir / TRAINED).is_file():
        raise InputError(f'{workdir} has neither {TRAINED} nor a checkpoint; train first.')
    encoder = encoder_of_file(workdir / TRAINED)
    return encoder, read_params(workdir / TRAINED, encoder), saved or 0


def newest_params(workdir, encoder):
    """The parameters that training in a workdir has come to, which must be of one encoder."""
    own, params, _ = newest_network(workdir)
    if own.name != encoder.name:
        raise InputError(f'the network in {workdir} is a {own.name}, wanted is a {encoder.name}.')
    if own.width != encoder.width:
        raise InputError(
            f'the network in {workdir} is of width {own.width:g}, wanted is one of width {encoder.width:g}.'
        )
    return params


def _saved_step(workdir):
    """The step of encoder.safetensors; None if it is not there, or not known, as with earlier versions."""
    path = workdir / TRAINED
    if not path.is_file():
        return None
    if 'step' in (about := read_about(path)):
        return int(about['step'])
    logged = [line['step'] for line in read_json_lines(workdir / 'metrics.jsonl')]
    # It was written when training had come to its last step, and that is the last one in the log, unless training
    # went on since and was stopped.
    ended = logged and (workdir / 'config.json').is_file() and logged[-1] == read_config(workdir)['steps']
    return logged[-1] if ended and not checkpoint_steps(workdir) else None


def _before(workdir, classes):
    """The History of the weights that a training began with: as noted then, or, by earlier versions, not at all."""
    if 'before' in classes:
        return History(**classes['before'])
    weights = read_config(workdir)['encoder']['weights']
    itself = weights and absolute(weights) == absolute(workdir)
    return history(weights) if weights and not itself else History()
