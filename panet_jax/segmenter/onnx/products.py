"""Products of matrices: any sum of products over axes of two arrays, as JAX's dot_general."""

import math
from typing import NamedTuple

from panet_jax.segmenter.onnx.graph import Graph, moves_data
from panet_jax.segmenter.onnx.operation import Operation
from panet_jax.segmenter.onnx.value import Value


class Factor(NamedTuple):
    """One array of a product.

    Attributes:
        value: the array.
        batch: axes that both arrays have and the result too.
        summed: axes that are summed over.
        free: the other axes.
    """

    value: Value
    batch: tuple[int, ...]
    summed: tuple[int, ...]
    free: tuple[int, ...]

    @property
    def as_first(self) -> tuple[int, ...]:
        """The order of its axes before MatMul's sign."""
        return self.batch + self.free + self.summed

    @property
    def as_second(self) -> tuple[int, ...]:
        """The order of its axes after it."""
        return self.batch + self.summed + self.free

    def sizes(self, axes: tuple[int, ...]) -> tuple[int, ...]:
        """Sizes of some of its axes."""
        return tuple(self.value.shape[axis] for axis in axes)


def _dot_general(graph: Graph, operation: Operation) -> Value:
    """A B or (B^T A^T)^T, whichever moves fewer elements; the result is read in the program's order."""
    summed, batch = operation.params['dimension_numbers']
    left, right = (
        _factor(graph.whole(value), *axes) for value, *axes in zip(operation.inputs, batch, summed, strict=True)
    )
    count, numbers = len(left.batch), range(len(operation.shape))
    moved = _moved(left, left.as_first) + _moved(right, right.as_second)
    if moved <= _moved(right, right.as_first) + _moved(left, left.as_second):
        return _product(graph, operation, left, right, tuple(numbers))
    middle = count + len(left.free)
    order = (*numbers[:count], *numbers[middle:], *numbers[count:middle])
    return _product(graph, operation, right, left, order)


def _factor(value, batch, summed):
    free = tuple(axis for axis in range(len(value.shape)) if axis not in (*batch, *summed))
    return Factor(value, tuple(batch), tuple(summed), free)


def _moved(factor, order):
    """How many elements an order moves."""
    return math.prod(factor.value.sizes) * moves_data(factor.value, order)


def _product(graph, operation, first, second, order):
    """The product of two arrays as matrices; its axes are those of `first` that are left, then those of `second`."""
    batch, rows, columns = first.sizes(first.batch), first.sizes(first.free), second.sizes(second.free)
    inner = math.prod(first.sizes(first.summed))
    matrices = (
        _matrix(graph, first, first.as_first, (*batch, math.prod(rows), inner)),
        _matrix(graph, second, second.as_second, (*batch, inner, math.prod(columns))),
    )
    sizes = batch + rows + columns
    tensor = graph.add('MatMul', matrices)
    if len(rows) != 1 or len(columns) != 1:
        tensor = graph.reshaped(tensor, sizes)
    return Value(tensor, order, sizes, operation.shape, operation.dtype)


def _matrix(graph, factor, order, shape):
    tensor = graph.arranged(factor.value, order)
    return tensor if factor.sizes(order) == shape else graph.reshaped(tensor, shape)


LOWERINGS = {'dot_general': _dot_general}
