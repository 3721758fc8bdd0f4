"""Primitives that change only the shape of an array, or take and join parts."""

import dataclasses

import numpy as np

from panet_jax.segmenter.onnx.graph import moves_data
from panet_jax.segmenter.onnx.value import Value, known_value, order_without, own_order, plain_value


def _transpose(graph, operation):
    """No node: the tensor is read in another order."""
    (value,) = operation.inputs
    permutation = operation.params['permutation']
    if value.is_known:
        return known_value(value.tensor.transpose(permutation), operation.shape)
    order = tuple(permutation.index(axis) for axis in value.order)
    return Value(value.tensor, order, value.sizes, operation.shape, operation.dtype)


def _broadcast(graph, operation):
    """Only new axes of size 1; the array is repeated where it is used."""
    value, axes = operation.inputs[0], operation.params['broadcast_dimensions']
    new = tuple(axis for axis in range(len(operation.shape)) if axis not in axes)
    order = (*new, *(axes[axis] for axis in value.order))
    wide = Value(value.tensor, order, (*(1 for _ in new), *value.sizes), operation.shape, operation.dtype)
    if not moves_data(wide, own_order(order)):
        wide = dataclasses.replace(wide, order=own_order(order), sizes=wide.own_sizes)
    return dataclasses.replace(wide, tensor=graph.reshaped(value.tensor, wide.sizes))


def _reshape(graph, operation):
    tensor = graph.reshaped(graph.plain(operation.inputs[0]), operation.shape)
    return plain_value(tensor, operation.shape, operation.dtype)


def _squeeze(graph, operation):
    (value,), axes = operation.inputs, operation.params['dimensions']
    sizes = tuple(size for axis, size in zip(value.order, value.sizes, strict=True) if axis not in axes)
    tensor = graph.reshaped(value.tensor, sizes)
    return Value(tensor, order_without(value.order, axes), sizes, operation.shape, operation.dtype)


def _slice(graph, operation):
    starts, limits, steps = (operation.params[name] for name in ('start_indices', 'limit_indices', 'strides'))
    return _part(graph, operation.inputs[0], starts, limits, steps or [1] * len(starts))


def _split(graph, operation):
    (value,), axis = operation.inputs, operation.params['axis']
    parts, start = [], 0
    for size in operation.params['sizes']:
        starts, limits = [0] * len(value.shape), list(value.shape)
        starts[axis], limits[axis] = start, start + size
        parts.append(_part(graph, value, starts, limits, [1] * len(starts)))
        start += size
    return parts


def _part(graph, value, starts, limits, steps):
    """Every step-th element from the start until before the limit, along each axis that this makes shorter."""
    value = graph.whole(value)
    shape = tuple(-(-(limit - start) // step) for start, limit, step in zip(starts, limits, steps, strict=True))
    cut = [axis for axis in range(len(shape)) if shape[axis] != value.shape[axis]]
    if not cut:
        return value
    numbers = [[of[axis] for axis in cut] for of in (starts, limits)]
    numbers += [[value.order.index(axis) for axis in cut], [steps[axis] for axis in cut]]
    tensor = graph.add('Slice', [value.tensor, *(np.array(row, np.int64) for row in numbers)])
    return Value(tensor, value.order, tuple(shape[axis] for axis in value.order), shape, value.dtype)


def _concatenate(graph, operation):
    tensors = [graph.plain(value) for value in operation.inputs]
    tensor = graph.add('Concat', tensors, axis=int(operation.params['dimension']))
    return plain_value(tensor, operation.shape, operation.dtype)


LOWERINGS = {
    'broadcast_in_dim': _broadcast,
    'concatenate': _concatenate,
    'reshape': _reshape,
    'slice': _slice,
    'split': _split,
    'squeeze': _squeeze,
    'transpose': _transpose,
}
