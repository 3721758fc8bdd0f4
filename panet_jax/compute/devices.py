"""The only file that knows there are several devices."""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from panet_jax.errors import InputError

AXIS = 'devices'


def usable_devices(batch: int, devices: list[jax.Device] | None = None) -> list[jax.Device]:
    """As many devices as a batch of `batch` can be divided among evenly.

    Args:
        batch: number of episodes or images.
        devices: to choose from; by default those of this process.
    """
    devices = jax.local_devices() if devices is None else devices
    return devices[: max(count for count in range(1, len(devices) + 1) if batch % count == 0)]


def training_devices(batch: int) -> list[jax.Device]:
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


def banner(batch: int, used: list[jax.Device], what: str) -> str:
    """One line on what runs where.

    Args:
        batch: number of `what` in a step, over the devices `used`.
        used: devices of this process, or of all.
        what: such as 'episode(s)'.
    """
    processes = jax.process_count()
    count = len(used) * (processes if len(_local(used)) == len(used) else 1)  # a share of this process's, or all
    of_processes = f' of {processes} processes' if processes > 1 else ''
    return (
        f'jax {jax.__version__} on {count} of {jax.device_count()} {used[0].device_kind} device(s){of_processes}, '
        f'{batch // len(used)} {what} each a step'
    )


def parallel(function: Callable, devices: list[jax.Device]) -> Callable:
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


def sharded(function: Callable, devices: list[jax.Device], *, with_params: bool = False) -> Callable:
    """Runs function(batch) or function(params, batch) on several devices; what comes out stays on them.

    Args:
        function: pure; a device has all of params and its share of the batch.
        devices: to run on, of this process.
        with_params: whether the function takes params.

    Returns:
        A compiled function that takes a batch from `split`, or what another such function returned, and
        returns arrays [D, B / D, ...].
    """
    return jax.pmap(function, AXIS, in_axes=(None, 0) if with_params else 0, devices=devices)


def mean_over_devices(tree: Any) -> Any:
    """Inside a parallel function: the mean of each array over the devices."""
    return jax.lax.pmean(tree, AXIS)


def highest_of_all() -> Callable[[int], jax.Array]:
    """Compiles a function that all processes call, each with a number: the highest of them, without waiting for it."""
    highest = jax.pmap(lambda number: jax.lax.pmax(number, AXIS), AXIS, out_axes=None, devices=jax.devices())
    return lambda number: highest(np.full(jax.local_device_count(), number, np.int32))


def replicate(tree: Any, devices: list[jax.Device]) -> Any:
    """Places a tree on all devices once; without it the first two calls of a step would compile twice."""
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


def split(batch: Any, devices: list[jax.Device]) -> Any:
    """A tree of arrays [B, ...], this process's share -> [D, B / D, ...] for its D devices among `devices`."""
    count = len(_local(devices))
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)


def prefetched(batches: Iterable[Any], devices: list[jax.Device], ahead: int = 2) -> Iterator[Any]:
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


def join(outputs: Any) -> Any:
    """What a sharded function returned, arrays [D, B / D, ...] -> numpy arrays [B, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)


def _local(devices):
    return [device for device in devices if device.process_index == jax.process_index()]


def _mesh(devices):
    return Mesh(np.array(_local(devices)), (AXIS,))
