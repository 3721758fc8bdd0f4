"""Value: an array of the program, as the graph has it."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """An array of the program: a tensor of the graph, seen through a transposition and a broadcasting.

    A convolution of ONNX gives [N, C, H, W] where the program has [N, H, W, C]. Transposing at once would cost time, and
    often the next operation wants it back. So the tensor stays as it is, and `order` says how to read it. A broadcast
    array likewise stays small: ONNX broadcasts where it is used.

    Attributes:
        tensor: name of the tensor in the graph; or its values, if they are known.
        order: axis i of the tensor is axis order[i] of the array. Known values have the array's own order.
        sizes: shape of the tensor; an axis that is repeated has size 1.
        shape: shape of the array.
        dtype: dtype of both.
    """

    tensor: str | np.ndarray
    order: tuple[int, ...]
    sizes: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def is_known(self) -> bool:
        """Whether the values are known, because they do not depend on the image."""
        return isinstance(self.tensor, np.ndarray)

    @property
    def own_sizes(self) -> tuple[int, ...]:
        """The sizes in the order of the array."""
        return tuple(self.sizes[self.order.index(axis)] for axis in range(len(self.order)))


def plain_value(tensor: str | np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> Value:
    """A tensor that is an array of the program as it is.

    Args:
        tensor: its name or its values.
        shape: its shape.
        dtype: its dtype.

    Returns:
        The Value.
    """
    return Value(tensor, own_order(shape), tuple(shape), tuple(shape), np.dtype(dtype))


def known_value(array: np.ndarray, shape: tuple[int, ...] | None = None) -> Value:
    """An array whose values are known.

    Args:
        array: the values.
        shape: shape to which they are broadcast, of as many axes; their own by default.

    Returns:
        The Value.
    """
    array = np.asarray(array)
    shape = array.shape if shape is None else tuple(shape)
    return Value(array, own_order(shape), array.shape, shape, array.dtype)


def own_order(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The order of a tensor that is not transposed.

    Args:
        shape: its shape.

    Returns:
        (0, 1, ...).
    """
    return tuple(range(len(shape)))


def order_without(order: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    """The order that is left when axes of the array are taken away.

    Args:
        order: the order of a tensor.
        axes: axes of the array.

    Returns:
        An order of the other axes.
    """
    left = [axis for axis in order if axis not in axes]
    return tuple(sorted(left).index(axis) for axis in left)
