"""Graph: the nodes and constants of an ONNX model while it is made."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from panet_jax.segmenter.onnx.value import Value, own_order, plain_value


class Node(NamedTuple):
    """A node of the graph.

    Attributes:
        operator: name of ONNX's operator.
        inputs: names of its tensors.
        output: name of its result.
        attributes: ONNX's attributes.
    """

    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict[str, Any]


class Graph:
    """Nodes and constants, each of them once: what is asked for again is the tensor that is there.

    Attributes:
        nodes: nodes, each after those it takes tensors of.
        constants: {name: values}.
    """

    def __init__(self):
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}
        self._names = {}
        self._makers = {}

    def add(self, operator: str, tensors: Sequence[str | np.ndarray], **attributes: Any) -> str:
        """Adds a node, unless there is an equal one.

        Args:
            operator: name of ONNX's operator.
            tensors: names of its tensors, or their values if they are known.
            **attributes: ONNX's attributes.

        Returns:
            The name of its result.
        """
        inputs = tuple(tensor if isinstance(tensor, str) else self._constant(tensor) for tensor in tensors)
        key = (operator, inputs, tuple(sorted(attributes.items())))
        if key not in self._names:
            self._names[key] = f'{operator}_{len(self.nodes)}'
            self.nodes.append(Node(operator, inputs, self._names[key], attributes))
            self._makers[self._names[key]] = self.nodes[-1]
        return self._names[key]

    def maker(self, tensor: str | np.ndarray) -> Node | None:
        """The node that a tensor comes from.

        Args:
            tensor: its name or values.

        Returns:
            The node; None for the input and for constants.
        """
        return self._makers.get(tensor) if isinstance(tensor, str) else None

    def reshaped(self, tensor: str | np.ndarray, shape: Sequence[int]) -> str | np.ndarray:
        """A tensor with another shape.

        Args:
            tensor: its name or values.
            shape: the shape, of as many elements.

        Returns:
            The name or the values.
        """
        if isinstance(tensor, str):
            before = self.maker(tensor)
            tensor = before.inputs[0] if before and before.operator == 'Reshape' else tensor
            return self.add('Reshape', [tensor, np.array(shape, np.int64)])
        return tensor.reshape(shape)

    def arranged(self, value: Value, order: Sequence[int]) -> str | np.ndarray:
        """The tensor of an array with its axes in an order. Repeated axes still have size 1.

        Args:
            value: the array.
            order: axis i of the tensor becomes axis order[i] of the array.

        Returns:
            The tensor's name or values.
        """
        moves = tuple(value.order.index(axis) for axis in order)
        if moves == own_order(moves):
            return value.tensor
        if value.is_known:
            return value.tensor.transpose(moves)
        if not moves_data(value, order):
            return self.reshaped(value.tensor, [value.sizes[axis] for axis in moves])
        return self.add('Transpose', [value.tensor], perm=moves)

    def whole(self, value: Value) -> Value:
        """An array without repeated axes.

        Args:
            value: the array.

        Returns:
            The same array, with a tensor of all its elements.
        """
        wanted = tuple(value.shape[axis] for axis in value.order)
        if value.sizes == wanted:
            return value
        if value.is_known:
            return plain_value(np.broadcast_to(value.tensor, wanted), value.shape, value.dtype)
        tensor = self.add('Expand', [value.tensor, np.array(wanted, np.int64)])
        return Value(tensor, value.order, wanted, value.shape, value.dtype)

    def plain(self, value: Value) -> str | np.ndarray:
        """The tensor of an array as the program has it: not transposed, nothing repeated.

        Args:
            value: the array.

        Returns:
            The tensor's name or values.
        """
        order = own_order(value.shape)
        arranged = Value(self.arranged(value, order), order, value.own_sizes, value.shape, value.dtype)
        return self.whole(arranged).tensor

    def used(self, output: str) -> tuple[list[Node], dict[str, np.ndarray]]:
        """What a result needs.

        Args:
            output: name of the result.

        Returns:
            The nodes and the constants.
        """
        needed, nodes = {output}, []
        for node in reversed(self.nodes):
            if node.output in needed:
                needed.update(node.inputs)
                nodes.append(node)
        return nodes[::-1], {name: array for name, array in self.constants.items() if name in needed}

    def _constant(self, array):
        """The name of a constant; equal values have one."""
        array = np.ascontiguousarray(array).reshape(array.shape)
        key = (array.dtype.name, array.shape, hashlib.sha256(array).digest())
        if key not in self._names:
            self._names[key] = f'constant_{len(self.constants)}'
            self.constants[self._names[key]] = array
        return self._names[key]


def moves_data(value: Value, order: Sequence[int]) -> bool:
    """Whether another order of a tensor's axes puts its elements in another sequence.

    Args:
        value: the array.
        order: as for `Graph.arranged`.

    Returns:
        False if only axes of size 1 change places, or the values are known.
    """
    moves = [value.order.index(axis) for axis in order]
    longer = [axis for axis in moves if value.sizes[axis] > 1]
    return not value.is_known and longer != sorted(longer)
