"""The networks of a workdir, and the History of any weights.

A workdir has its newest few networks in checkpoints/, and the final one in encoder.safetensors, with its step and training
classes as metadata.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from panet_jax.disk.paths import AnyPath, absolute, workdir_path
from panet_jax.disk.workdir import TRAINED, checkpoint_steps, read_classes, read_config, read_json_lines
from panet_jax.errors import InputError
from panet_jax.networks.encoders import ENCODERS
from panet_jax.networks.weights import read_about

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

    def metadata(self, step: int) -> dict[str, str]:
        """The metadata of the file of a network with this History, for `save_params`.

        Args:
            step: step of its training.

        Returns:
            Texts by name.
        """
        return {'step': str(step), 'dataset': self.dataset, 'seen': json.dumps(self.seen), 'unknown': self.unknown}


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
        config = read_config(workdir)
        before = History(**classes['before']) if 'before' in classes else _before(config['encoder']['weights'], workdir)
        return History(config['data']['name'], (*classes['seen'], *before.seen), before.unknown)
    about = read_about(path / TRAINED if path.is_dir() else path)
    if 'seen' in about:
        return History(about['dataset'], tuple(json.loads(about['seen'])), about['unknown'])
    return History(unknown=path.name)


def checked_history(weights: str, unseen: Sequence[str]) -> History:
    """The History of weights that must not have been trained on the unseen classes.

    Args:
        weights: as for `history`.
        unseen: names of the unseen classes.

    Returns:
        The History.

    Raises:
        InputError: they were trained on some of these classes, or a file is damaged.
    """
    past = history(weights)
    trained_on = [name for name in unseen if name in past.seen]
    if trained_on:
        raise InputError(
            f'{weights} was trained on {", ".join(trained_on)}, so it cannot be evaluated on them as unseen; choose another '
            '--workdir, other weights, or the data it was trained with.'
        )
    return past


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
            f'{path} does not say its step, and there is no checkpoint; evaluate it with '
            f"{{encoder.weights=}}{path} {{checkpoint=''}} in another --workdir."
        )
    return sorted({*checkpoints, *([] if final is None else [final])})


def saved_network(workdir: AnyPath, step: int) -> AnyPath:
    """The path of the network of a step.

    Args:
        workdir: workdir of the training.
        step: the step.

    Returns:
        encoder.safetensors, or the folder of a checkpoint, for `read_params`.

    Raises:
        InputError: there is no network of this step.
    """
    checkpoints = checkpoint_steps(workdir)
    if step == _final_step(workdir, checkpoints):
        return workdir / TRAINED
    if step not in checkpoints:
        steps = ', '.join(map(str, network_steps(workdir))) or 'none'
        raise InputError(f'no checkpoint of step {step} in {workdir}; steps there: {steps}.')
    return workdir / 'checkpoints' / str(step)


def newest_network(workdir: AnyPath) -> tuple[AnyPath, int]:
    """The path and the step of the newest network of a workdir.

    Args:
        workdir: workdir of the training.

    Returns:
        The path, as from `saved_network`, and the step; 0 if it is unknown.

    Raises:
        InputError: there is no network.
    """
    checkpoints = checkpoint_steps(workdir)
    final = _final_step(workdir, checkpoints)
    if checkpoints and (final is None or final < checkpoints[-1]):
        return workdir / 'checkpoints' / str(checkpoints[-1]), checkpoints[-1]
    if not (workdir / TRAINED).is_file():
        raise InputError(f'{workdir} has neither {TRAINED} nor a checkpoint; train first.')
    return workdir / TRAINED, final or 0


def _final_step(workdir, checkpoints):
    """The step of encoder.safetensors; None without the file, or if the step is unknown, as in earlier versions."""
    path = workdir / TRAINED
    if not path.is_file():
        return None
    if 'step' in (about := read_about(path)):
        return int(about['step'])
    logged = [line['step'] for line in read_json_lines(workdir / 'metrics.jsonl')]
    # Training writes the file at its last step. That is also the last one in the log, unless training was resumed since then
    # and stopped.
    ended = logged and (workdir / 'config.json').is_file() and logged[-1] == read_config(workdir)['steps']
    return logged[-1] if ended and not checkpoints else None


def _before(weights, workdir):
    """The History of the initial weights of a training that did not record it, as in earlier versions."""
    is_itself = weights and absolute(weights) == absolute(workdir)
    return history(weights) if weights and not is_itself else History()
