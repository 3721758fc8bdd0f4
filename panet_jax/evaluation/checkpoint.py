"""Which network is evaluated: that of a checkpoint, or the one that training begins with."""

from panet_jax.compute import hosts
from panet_jax.disk.paths import absolute, workdir_path
from panet_jax.disk.workdir import check_split, check_untrained, read_config
from panet_jax.errors import InputError
from panet_jax.networks.choose import initial_params
from panet_jax.networks.encoders import encoder_of
from panet_jax.networks.network import Network
from panet_jax.networks.trained import network_steps, read_network


def check_checkpoint(config):
    """Checks that another workdir named by config.checkpoint is one, before hours of training."""
    wanted = str(config.checkpoint)
    if wanted not in ('', 'latest') and not wanted.isdigit():
        read_config(wanted)


def network_to_evaluate(config, workdir):
    """The Network that config.checkpoint names: of a training, or, for '', as it is without one.

    Its `step` is 0 without training; otherwise its `origin` is the workdir of the training.
    """
    if config.checkpoint == '':
        hosts.value_from_primary(lambda: check_untrained(workdir, config))
        params = hosts.primary_first(lambda: initial_params(config.encoder, config.seed))
        return Network(encoder_of(config.encoder), params, config.data.size)
    home, step, settings = hosts.value_from_primary(lambda: _checkpoint(config, workdir))
    encoder = encoder_of(settings)
    params = hosts.from_primary(lambda: read_network(home, step, encoder), encoder.shapes())
    return Network(encoder, params, config.data.size, home, step)


def _checkpoint(config, workdir):
    """Folder, step and settings of the encoder of config.checkpoint."""
    home, step = find_checkpoint(config, workdir)
    return str(absolute(home)), step, read_config(home)['encoder']


def find_checkpoint(config, workdir):
    """Where config.checkpoint is: (workdir of its training, step); an InputError if there is none."""
    wanted = str(config.checkpoint)
    own = wanted == 'latest' or wanted.isdigit()
    home = workdir_path(workdir) if own else workdir_path(wanted, '{checkpoint=}')
    if not home.is_dir():
        raise InputError(
            f'there is no workdir {home} to evaluate; train first, or type {{checkpoint=}} with latest, a step, '
            "another workdir, or '' for the untrained network."
        )
    check_split(home, config)
    steps = network_steps(home)
    if not steps:
        raise InputError(f"{home} has no checkpoint; train first, or use {{checkpoint=}}'' for the untrained network.")
    return home, int(wanted) if wanted.isdigit() else steps[-1]
