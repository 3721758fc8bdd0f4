"""The network to evaluate: that of a checkpoint, or the initial one, with which a training begins."""

from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.disk.experiment import check_split, check_untrained
from panet_jax.disk.paths import AnyPath, absolute, workdir_path
from panet_jax.disk.saved_networks import network_steps, saved_network
from panet_jax.disk.workdir import read_config
from panet_jax.errors import InputError
from panet_jax.networks.encoders import encoder_of
from panet_jax.networks.initial import InitialNetwork
from panet_jax.networks.network import Network
from panet_jax.networks.weights import read_params


def check_checkpoint(config: ConfigDict) -> None:
    """Checks a workdir in config.checkpoint before hours of training; '', 'latest' and steps need no check.

    Args:
        config: the experiment.

    Raises:
        InputError: the folder is no workdir, or its config.json is damaged.
    """
    checkpoint = str(config.checkpoint)
    if checkpoint not in ('', 'latest') and not checkpoint.isdigit():
        read_config(workdir_path(checkpoint, '{checkpoint=}'))


def network_to_evaluate(config: ConfigDict, workdir: AnyPath) -> Network:
    """The network of config.checkpoint: a trained one or, for '', the initial one.

    Args:
        config: the experiment.
        workdir: workdir of the evaluation; 'latest' and steps are those of its training.

    Returns:
        The Network. Its `origin` is the absolute path of the training's workdir. Without training its `origin` is None
        and its `step` is 0.

    Raises:
        InputError: there is no such checkpoint, or the evaluation does not fit its training.
    """
    if config.checkpoint == '':
        hosts.value_from_primary(lambda: check_untrained(workdir, config))
        initial = InitialNetwork.of(config.encoder, config.seed)
        return Network(initial.encoder, hosts.primary_first(initial.load), config.data.size)
    home, step, settings = hosts.value_from_primary(lambda: _checkpoint(config, workdir))
    encoder = encoder_of(settings)
    params = hosts.from_primary(lambda: read_params(saved_network(workdir_path(home), step), encoder), encoder.shapes())
    return Network(encoder, params, config.data.size, home, step)


def _checkpoint(config, workdir):
    """Workdir of the training, step, and section `encoder` of its configuration, for config.checkpoint."""
    home, step = find_checkpoint(config, workdir)
    return str(absolute(home)), step, read_config(home)['encoder']


def find_checkpoint(config: ConfigDict, workdir: AnyPath) -> tuple[AnyPath, int]:
    """Finds the checkpoint that config.checkpoint names.

    Args:
        config: the experiment; its checkpoint is 'latest', a step, or another workdir, for its latest step.
        workdir: workdir of 'latest' and of steps.

    Returns:
        Workdir of the training, and the step. A step that config.checkpoint names may be missing there.

    Raises:
        InputError: there is no workdir or no checkpoint, or classes that are unseen now were seen in training.
    """
    checkpoint = str(config.checkpoint)
    is_own = checkpoint == 'latest' or checkpoint.isdigit()
    home = workdir if is_own else workdir_path(checkpoint, '{checkpoint=}')
    if not home.is_dir():
        raise InputError(
            f'there is no workdir {home} to evaluate; train first, or type {{checkpoint=}} with latest, a step, '
            "another workdir, or '' for the untrained network."
        )
    check_split(home, config)
    steps = network_steps(home)
    if not steps:
        raise InputError(
            f"{home} has no complete checkpoint; train first, or use {{checkpoint=}}'' for the untrained network."
        )
    return home, int(checkpoint) if checkpoint.isdigit() else steps[-1]
