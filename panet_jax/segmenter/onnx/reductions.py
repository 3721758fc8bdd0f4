"""Sums and maxima along axes."""

import numpy as np

from panet_jax.segmenter.onnx.value import Value, order_without


def _reduced(graph, operation, operator):
    """The axes that are left stay in the order of the tensor."""
    axes = tuple(map(int, operation.params['axes']))
    value = graph.whole(operation.inputs[0])
    if not axes:  # for ONNX these would be all
        return value
    own = [value.order.index(axis) for axis in axes]
    tensor = graph.add(operator, [value.tensor, np.array(own, np.int64)], keepdims=0)
    sizes = tuple(size for axis, size in zip(value.order, value.sizes, strict=True) if axis not in axes)
    return Value(tensor, order_without(value.order, axes), sizes, operation.shape, operation.dtype)


LOWERINGS = {
    'reduce_max': lambda graph, operation: _reduced(graph, operation, 'ReduceMax'),
    'reduce_sum': lambda graph, operation: _reduced(graph, operation, 'ReduceSum'),
}
