"""Work on several devices; no other file depends on their number."""

import collections
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from panet_jax.errors import InputError

AXIS = 'devices'
AHEAD = 2  # batches that wait on the devices


def usable_devices(batch: int, devices: list[jax.Device] | None = None) -> list[jax.Device]:
    """The largest number of devices that divides a batch.

    Args:
        batch: number of episodes or images.
        devices: devices to choose from; by default those of this process.

    Returns:
        The first devices of the list.
    """
    devices = jax.local_devices() if devices is None else devices
    return devices[: max(count for count in range(1, len(devices) + 1) if batch % count == 0)]


def training_devices(batch: int, accumulate: int = 1) -> list[jax.Device]:
    """The devices that share a batch in training: those of this process or, in a job of several, all of them.

    Args:
        batch: episodes of a step.
        accumulate: number of parts in which a device computes its share.

    Returns:
        The devices; their number divides the batch.

    Raises:
        InputError: several processes cannot share the batch evenly, or a device cannot divide its share.
    """
    used = usable_devices(batch) if jax.process_count() == 1 else jax.devices()
    share, rest = divmod(batch, len(used))
    if rest:
        raise InputError(
            f'batch must be a multiple of {len(used)}, the devices of {jax.process_count()} processes, got {batch}; type '
            f'{{batch=}}{(share + 1) * len(used)}.'
        )
    if share % accumulate:
        raise InputError(
            f'accumulate must divide the {share} episode(s) that each of {len(used)} device(s) has of a batch of {batch}, '
            f'got {accumulate}.'
        )
    return used


def banner(batch: int, used: list[jax.Device], what: str) -> str:
    """One line on the devices of a run.

    Args:
        batch: items of a step, over the devices `used`.
        used: devices of this process, or of all processes.
        what: the items, such as 'episode(s)'.

    Returns:
        The line.
    """
    processes = jax.process_count()
    is_own = len(_local(used)) == len(used)  # then every process uses as many
    count = len(used) * (processes if is_own else 1)
    of_processes = f' of {processes} processes' if processes > 1 else ''
    return (
        f'jax {jax.__version__} on {count} of {jax.device_count()} {used[0].device_kind} device(s){of_processes}, '
        f'{batch // len(used)} {what} each a step'
    )


def parallel(function: Callable, devices: list[jax.Device]) -> Callable:
    """Runs a training step on several devices, each with its share of the batch.

    The state has no device axis, neither as argument nor as result, so that it can be saved as it is. The memory of
    the old state is reused.

    Args:
        function: pure, (state, batch) -> (state, metrics), with the episodes as leading axis of the batch. Its results
            must be the same on all devices, so it averages with `mean_over_devices`.
        devices: devices to run on; their number divides the batch.

    Returns:
        A compiled function (state, batch from `split`) -> (state, metrics).
    """
    return jax.pmap(function, AXIS, in_axes=(None, 0), out_axes=None, devices=devices, donate_argnums=0)


def sharded(
    function: Callable,
    devices: list[jax.Device],
    *,
    in_axes: int | tuple[int | None, ...] = 0,
    reused: tuple[int, ...] = (),
) -> Callable:
    """Runs a function on several devices; the results stay on them.

    Args:
        function: pure.
        devices: devices of this process.
        in_axes: 0 for an argument of which each device gets its share, None for one that all get; of each argument, or
            of all of them.
        reused: places of arguments whose memory the results take.

    Returns:
        A compiled function of arguments as from `split` or another sharded function, or without a device axis where
        `in_axes` is None, to arrays [D, ...].
    """
    return jax.pmap(function, AXIS, in_axes=in_axes, devices=devices, donate_argnums=reused)


def mean_over_devices(tree: Any) -> Any:
    """The mean over the devices, inside a `parallel` function.

    Args:
        tree: a tree of arrays.

    Returns:
        The same tree, equal on all devices.
    """
    return jax.lax.pmean(tree, AXIS)


def highest_of_all() -> Callable[[int], jax.Array]:
    """Compiles the maximum over all processes.

    Returns:
        A function from a number of this process to the highest number of all, [] int32. All processes call it together;
        it does not wait for the result.
    """
    highest = jax.pmap(lambda number: jax.lax.pmax(number, AXIS), AXIS, out_axes=None, devices=jax.devices())
    return lambda number: highest(np.full(jax.local_device_count(), number, np.int32))


def replicate(tree: Any, devices: list[jax.Device]) -> Any:
    """Copies a tree to all devices; otherwise the second call of a step would compile it again.

    Args:
        tree: a tree of arrays.
        devices: as for `parallel`.

    Returns:
        The same tree, on the devices of this process.
    """
    return jax.device_put(tree, NamedSharding(_mesh(devices), PartitionSpec()))


def split(batch: Any, devices: list[jax.Device]) -> Any:
    """Splits a batch over the devices of this process.

    Args:
        batch: a tree of arrays [B, ...], the share of this process.
        devices: as for `parallel`; D of them are of this process.

    Returns:
        The same tree, of arrays [D, B / D, ...].
    """
    count = len(_local(devices))
    return jax.tree.map(lambda x: x.reshape(count, x.shape[0] // count, *x.shape[1:]), batch)


def prefetched(batches: Iterable[Any], devices: list[jax.Device]) -> Iterator[Any]:
    """Sends batches to the devices ahead of time, while the devices compute.

    Args:
        batches: trees of numpy arrays [B, ...], the share of this process.
        devices: as for `parallel`.

    Yields:
        The batches, as from `split`.
    """
    sharding = NamedSharding(_mesh(devices), PartitionSpec(AXIS))
    waiting = collections.deque()
    for batch in batches:
        waiting.append(jax.device_put(split(batch, devices), sharding))
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def join(outputs: Any) -> Any:
    """Joins the results of a sharded function; the inverse of `split`.

    Args:
        outputs: a tree of arrays [D, B / D, ...].

    Returns:
        The same tree, of numpy arrays [B, ...].
    """
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:]), outputs)


def _local(devices):
    return [device for device in devices if device.process_index == jax.process_index()]


def _mesh(devices):
    return Mesh(np.array(_local(devices)), (AXIS,))
