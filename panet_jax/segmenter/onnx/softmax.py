"""Division, and the softmax that it ends: one node of ONNX in place of five, which runtimes compute in one pass."""

from panet_jax.segmenter.onnx.elementwise import applied
from panet_jax.segmenter.onnx.graph import Graph
from panet_jax.segmenter.onnx.operation import Operation
from panet_jax.segmenter.onnx.value import Value


def _divide(graph: Graph, operation: Operation) -> Value:
    """exp(x) / sum(exp(x)) along an axis is Softmax(x); any other division is Div."""
    above, below = operation.inputs
    exp, axis = graph.maker(above.tensor), _reduced_axis(graph, 'ReduceSum', below.tensor, above.tensor)
    if not exp or exp.operator != 'Exp' or axis is None or not _differs_in(below, above, above.order[axis]):
        return applied(graph, 'Div', operation)
    tensor = graph.add('Softmax', [_without_maximum(graph, exp.inputs[0], axis)], axis=axis)
    return Value(tensor, above.order, above.sizes, operation.shape, operation.dtype)


def _without_maximum(graph, name, axis):
    """x, if a tensor is x - max(x) along the axis: Softmax subtracts the maximum itself."""
    difference = graph.maker(name)
    if difference and difference.operator == 'Sub':
        x, maximum = difference.inputs
        return x if _reduced_axis(graph, 'ReduceMax', maximum, x) == axis else name
    return name


def _reduced_axis(graph, operator, name, of):
    """The one axis along which a tensor is the sum or the maximum of another, but for axes of size 1; else None."""
    node = graph.maker(name)
    while node and node.operator == 'Reshape':
        node = graph.maker(node.inputs[0])
    if not node or node.operator != operator or node.inputs[0] != of:
        return None
    axes = graph.constants[node.inputs[1]]
    return int(axes[0]) if len(axes) == 1 else None


def _differs_in(below, above, axis):
    """Whether a divisor has the sizes of the dividend in the same order, but is repeated along the axis."""
    sizes = list(above.own_sizes)
    sizes[axis] = 1
    orders = ([one for one in value.order if sizes[one] > 1] for value in (below, above))
    return below.own_sizes == tuple(sizes) and next(orders) == next(orders)


LOWERINGS = {'div': _divide}
