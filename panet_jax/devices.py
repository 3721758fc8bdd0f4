"""The only file that knows there are several devices."""

import math

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = 'devices'


def usable_devices(batch):
    """As many local devices as a batch of `batch` episodes can be divided among evenly."""
    devices = jax.local_devices()
    return devices[: math.gcd(batch, len(devices))] if batch % len(devices) else devices


def host_share():
    """This process's number among the hosts, and how many there are, as a loader wants to know them."""
    return {'host': jax.process_index(), 'hosts': jax.process_count()}


def banner(batch, what):
    """One line on what runs where: a batch of `what`, such as 'episode(s)'."""
    used, there = usable_devices(batch), jax.local_devices()
    return (
        f'jax {jax.__version__} on {len(used)} of {len(there)} {there[0].device_kind} device(s), '
        f'{batch // len(used)} {what} each a step'
    )


def parallel(function, devices):
    """Runs a training step on several devices, each with its share of the batch.

    The state has no device axis on either side, so that it can be saved as it is, and the old state's
    memory is reused.

    Args:
        function: pure, (state, batch) -> (state, metrics); the batch's leading axis is the episodes, and
            what comes out is the same on all devices: it averages with `mean_over_devices`.
        devices: to run on; their number divides the batch.

    Returns:
        A compiled function of the same signature.
    """
    mapped = jax.pmap(function, AXIS, in_axes=(None, 0), out_axes=None, devices=devices, donate_argnums=0)
    return lambda state, batch: mapped(state, split(batch, devices))


def sharded(function, devices, *, with_params=False):
    """Runs function(batch) or function(params, batch) on several devices; all stays where it is.

    Args:
        function: pure; params are whole on each device, the batch is a share of it.
        devices: to run on.
        with_params: whether the function takes params.

    Returns:
        A compiled function that takes a batch from `split`, or what another such function returned, and
        returns arrays [devices, batch / devices, ...].
    """
    return jax.pmap(function, AXIS, in_axes=(None, 0) if with_params else 0, devices=devices)


def mean_over_devices(tree):
    """Inside a parallel function: the mean of each array over the devices."""
    return jax.lax.pmean(tree, AXIS)


def replicate(tree, devices):
    """Places a tree on all devices once; without it the first two calls of a step would compile twice."""
    sharding = NamedSharding(Mesh(np.array(devices), (AXIS,)), PartitionSpec())
    return jax.device_put(tree, sharding)


def split(batch, devices):
    """A tree of arrays [B, ...] -> [devices, B / devices, ...]."""
    count = len(devices)
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)


def join(outputs):
    """What a sharded function returned -> numpy arrays [B, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)
