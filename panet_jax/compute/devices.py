"""The only file that knows there are several devices."""

import collections

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from panet_jax.errors import InputError

AXIS = 'devices'


def usable_devices(batch):
    """As many devices of this process as a batch of `batch` can be divided among evenly."""
    devices = jax.local_devices()
    return devices[: max(count for count in range(1, len(devices) + 1) if batch % count == 0)]


def training_devices(batch):
    """The devices that share a batch of `batch` episodes: of this process, or all of all processes.

    Raises:
        InputError: several processes cannot share the batch evenly.
    """
    if jax.process_count() == 1:
        return usable_devices(batch)
    if batch % jax.device_count():
        raise InputError(
            f'batch must be a multiple of {jax.device_count()}, the devices of {jax.process_count()} processes, got {batch}; '
            f'type {{batch=}}{-(-batch // jax.device_count()) * jax.device_count()}.'
        )
    return jax.devices()


def host_share():
    """This process's number among the hosts, and how many there are, as a loader wants to know them."""
    return {'host': jax.process_index(), 'hosts': jax.process_count()}


def banner(batch, used, what):
    """One line on what runs where: a batch of `what`, such as 'episode(s)', on the devices `used`."""
    there, hosts = jax.device_count(), jax.process_count()
    count = len(used) * (hosts if len(_local(used)) == len(used) else 1)  # a share of this process's, or all
    where = f' of {hosts} processes' if hosts > 1 else ''
    return (
        f'jax {jax.__version__} on {count} of {there} {used[0].device_kind} device(s){where}, '
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
        A compiled function (state, batch from `split`) -> (state, metrics).
    """
    return jax.pmap(function, AXIS, in_axes=(None, 0), out_axes=None, devices=devices, donate_argnums=0)


def sharded(function, devices, *, with_params=False):
    """Runs function(batch) or function(params, batch) on several devices; all stays where it is.

    Args:
        function: pure; params are whole on each device, the batch is a share of it.
        devices: to run on, of this process.
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
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


def split(batch, devices):
    """A tree of arrays [B, ...], this process's share -> [d, B / d, ...] for its d devices among `devices`."""
    count = len(_local(devices))
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)


def prefetched(batches, devices, ahead=2):
    """`split` batches on their devices, sent `ahead` before they are asked for: while the devices compute.

    Args:
        batches: iterator of trees of numpy arrays [B, ...], this process's share.
        devices: as for `parallel`.
        ahead: how many wait on the devices.
    """
    sharding = NamedSharding(_mesh(devices), PartitionSpec(AXIS))
    waiting = collections.deque()
    for batch in batches:
        waiting.append(jax.device_put(split(batch, devices), sharding))
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def join(outputs):
    """What a sharded function returned -> numpy arrays [B, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)


class Votes:
    """What some process wants after a step, so that all of them do it after the same one.

    With several processes the answer is that of the call before, so that the devices have the next step to
    do while this one is waited for.
    """

    def __init__(self):
        self._ask = jax.pmap(lambda vote: jax.lax.pmax(vote, AXIS), AXIS, out_axes=None, devices=jax.devices())
        self._before = None

    def __call__(self, wanted):
        """This process's vote, a whole number, 0 for nothing; the highest vote of all."""
        if jax.process_count() == 1:
            return wanted
        before, self._before = self._before, self._ask(np.full(jax.local_device_count(), wanted, np.int32))
        return 0 if before is None else int(before)

    def last(self, wanted):
        """The same, and waits: after the last step there is no later one."""
        self(wanted)
        return self(wanted)


def _local(devices):
    return [device for device in devices if device.process_index == jax.process_index()]


def _mesh(devices):
    return Mesh(np.array(_local(devices)), (AXIS,))
