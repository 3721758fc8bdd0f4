"""The checks that a workdir holds one experiment only."""

from typing import TYPE_CHECKING, Any

from panet_jax.disk.paths import AnyPath
from panet_jax.disk.saved_networks import TRAINED, checkpoint_steps
from panet_jax.disk.workdir import read_config, read_json_lines
from panet_jax.errors import InputError
from panet_jax.settings import Role, defaults, flat, is_fixed, with_role

if TYPE_CHECKING:
    from ml_collections import ConfigDict


def check_experiment(workdir: AnyPath, config: 'ConfigDict') -> None:
    """Checks that an experiment may train in a workdir.

    Args:
        workdir: the folder.
        config: the experiment.

    Raises:
        InputError: the workdir holds the checkpoints of another experiment, or files of a training whose checkpoints
            are gone.
    """
    if checkpoint_steps(workdir):
        saved, current = _settings(workdir), flat(config.to_dict())
        names = [name for name in saved | current if is_fixed(name)]
        if current['optimizer.schedule'] == 'cosine':  # it ends at the last step
            names.append('steps')
        _refuse(workdir, saved, current, names)
    elif file_name := _trace_of_training(workdir):
        otherwise = 'evaluate this one with --mode=evaluate' if file_name == TRAINED else f'remove {file_name}'
        raise InputError(
            f'{workdir} has {file_name} of a training, but no complete checkpoint to resume from: training would start again '
            f'and replace it. Choose another --workdir=, or {otherwise}.'
        )


def _trace_of_training(workdir):
    """Name of a file that shows that there were checkpoints; '' if none was due yet."""
    if (workdir / TRAINED).exists():
        return TRAINED
    lines = read_json_lines(workdir / 'metrics.jsonl')
    if not (lines and (workdir / 'config.json').exists()):
        return ''
    # Checkpoints are written in the background; at the second one the first is complete.
    return 'metrics.jsonl' if lines[-1]['step'] > 2 * read_config(workdir)['checkpoint_every'] else ''


def check_split(workdir: AnyPath, config: 'ConfigDict') -> None:
    """Checks that the unseen classes of an evaluation were unseen in training too.

    Args:
        workdir: workdir of the training.
        config: the evaluation.

    Raises:
        InputError: both have the same data set, but different classes are unseen.
    """
    saved, current = _settings(workdir), flat(config.to_dict())
    if saved['data.name'] == current['data.name']:
        _refuse(workdir, saved, current, with_role(Role.SPLIT))


def check_untrained(workdir: AnyPath, config: 'ConfigDict') -> None:
    """Checks that an untrained network is the one that a training began with.

    Args:
        workdir: workdir of the training; nothing is checked if there was none.
        config: the evaluation of the untrained network.

    Raises:
        InputError: a setting of the initial network, or of the unseen classes, differs.
    """
    if (workdir / 'config.json').exists():
        _refuse(workdir, _settings(workdir), flat(config.to_dict()), with_role(Role.SPLIT, Role.START))


def training_recipe(workdir: AnyPath) -> dict[str, Any]:
    """The settings on which the network of a workdir depends.

    Args:
        workdir: workdir of the training.

    Returns:
        {setting: value}.

    Raises:
        InputError: as in `read_config`.
    """
    return {name: value for name, value in flat(read_config(workdir)).items() if is_fixed(name)}


def _settings(workdir):
    """{name: value} of a workdir's experiment; settings that its version lacked have their defaults."""
    return defaults() | flat(read_config(workdir))


def _with_synonyms(settings):
    """The settings, with 'imagenet' for the published weights of an encoder, which its own name means too."""
    weights = settings.get('encoder.weights')
    published = ('imagenet', settings['encoder.name'].removesuffix('-stage4'))
    return {**settings, 'encoder.weights': 'imagenet' if weights in published else weights}


def _refuse(workdir, saved, current, names):
    """Raises an InputError if one of the named settings differs."""
    one, other = _with_synonyms(saved), _with_synonyms(current)
    different = [name for name in names if one.get(name) != other.get(name)]
    if different:
        lines = [f'{name} is {saved.get(name)!r} there and {current.get(name)!r} here' for name in different]
        raise InputError(
            f'{workdir} holds another experiment: {"; ".join(lines[:4])}{"; ..." * (len(lines) > 4)}. '
            'Choose another --workdir, or the settings it was made with.'
        )
