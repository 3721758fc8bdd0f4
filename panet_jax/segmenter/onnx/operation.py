"""Operation: one primitive of the program with its arrays, and the mistake of one that ONNX's graph cannot have."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from panet_jax.errors import InputError
from panet_jax.segmenter.onnx.graph import Graph
from panet_jax.segmenter.onnx.value import Value


class Operation(NamedTuple):
    """One equation of the program.

    Attributes:
        name: name of its primitive.
        inputs: its arrays.
        params: what else JAX says of it.
        shape: shape of its first result.
        dtype: dtype of its first result.
    """

    name: str
    inputs: list[Value]
    params: Mapping[str, Any]
    shape: tuple[int, ...]
    dtype: np.dtype


# Adds the nodes of an operation to a graph, and returns its results.
Lowering = Callable[[Graph, Operation], Value | list[Value]]


def unsupported(what: str) -> InputError:
    """The mistake of a program with an operation that has no form in ONNX here.

    Args:
        what: the operation.

    Returns:
        The error to raise.
    """
    return InputError(f'the export to ONNX knows no {what}, which this network has; the export to StableHLO takes any.')
