"""Primitives that compute each element by itself. Transposed and repeated tensors go in as they are."""

import numpy as np

from panet_jax.segmenter.onnx.graph import Graph
from panet_jax.segmenter.onnx.operation import Operation, unsupported
from panet_jax.segmenter.onnx.value import Value, own_order


def applied(graph: Graph, operator: str, operation: Operation, inputs: list[Value] | None = None) -> Value:
    """One elementwise operator of ONNX.

    Args:
        graph: the graph to add it to.
        operator: name of ONNX's operator.
        operation: the operation of the program.
        inputs: its arrays, in ONNX's sequence; those of the operation by default.

    Returns:
        The result, in the order of the largest tensor.
    """
    values = operation.inputs if inputs is None else inputs
    order = _common_order(values, operation.shape)
    tensors = [graph.arranged(value, order) if value.shape else value.tensor for value in values]
    sizes = np.broadcast_shapes(*([value.own_sizes[axis] for axis in order] for value in values if value.shape))
    return Value(graph.add(operator, tensors), order, sizes, operation.shape, operation.dtype)


def _common_order(values, shape):
    """The order of the largest tensor of the graph, which then stays as it is."""
    tensors = [value for value in values if value.shape and not value.is_known]
    return max(tensors, key=lambda value: np.prod(value.sizes)).order if tensors else own_order(shape)


def _plainly(operator):
    """The lowering of a primitive that is one operator of ONNX."""
    return lambda graph, operation: applied(graph, operator, operation)


def _convert(graph, operation):
    (value,) = operation.inputs
    if value.dtype == operation.dtype:
        return value
    tensor = graph.add('Cast', [value.tensor], to=operation.dtype.name)
    return Value(tensor, value.order, value.sizes, value.shape, operation.dtype)


def _multiply(graph, operation):
    """A product. A number is multiplied before the result of MatMul is reshaped, so that runtimes join the two."""
    for number, other in (operation.inputs, operation.inputs[::-1]):
        reshape = graph.maker(other.tensor)
        is_number = number.is_known and number.tensor.size == 1 and other.shape == operation.shape
        if is_number and reshape and reshape.operator == 'Reshape':
            product = graph.add('Mul', [reshape.inputs[0], number.tensor.reshape(())])
            tensor = graph.reshaped(product, other.sizes)
            return Value(tensor, other.order, other.sizes, operation.shape, operation.dtype)
    return applied(graph, 'Mul', operation)


def _square(graph, operation):
    return applied(graph, 'Mul', operation, operation.inputs * 2)


def _rsqrt(graph, operation):
    root = applied(graph, 'Sqrt', operation)
    return applied(graph, 'Reciprocal', operation, [root])


def _max(graph, operation):
    """The maximum; with 0 it is ReLU, which runtimes join to a convolution, and with -inf it is the other array."""
    for bound, other in (operation.inputs, operation.inputs[::-1]):
        if bound.is_known and operation.dtype == np.float32 and other.shape == operation.shape:
            if np.all(bound.tensor == 0):
                return applied(graph, 'Relu', operation, [other])
            if np.all(bound.tensor == -np.inf):
                return other
    return applied(graph, 'Max', operation)


def _and(graph, operation):
    if operation.dtype != np.bool_:
        raise unsupported(f'"and" of {operation.dtype.name}')
    return applied(graph, 'And', operation)


def _select(graph, operation):
    which, *cases = operation.inputs
    if len(cases) != 2 or which.dtype != np.bool_:
        raise unsupported(f'choice among {len(cases)} arrays by {which.dtype.name}')
    return applied(graph, 'Where', operation, [which, *cases[::-1]])


OPERATORS = {
    'add': 'Add',
    'sub': 'Sub',
    'pow': 'Pow',
    'exp': 'Exp',
    'erf': 'Erf',
    'eq': 'Equal',
    'gt': 'Greater',
    'ge': 'GreaterOrEqual',
}
LOWERINGS = {
    **{primitive: _plainly(operator) for primitive, operator in OPERATORS.items()},
    'convert_element_type': _convert,
    'mul': _multiply,
    'square': _square,
    'rsqrt': _rsqrt,
    'max': _max,
    'and': _and,
    'select_n': _select,
    'stop_gradient': lambda graph, operation: operation.inputs[0],
}
