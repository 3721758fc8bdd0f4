"""Random parameters of a network, in one draw: compiling a draw for each shape would take seconds."""

import math
from collections.abc import Callable

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.method.encoder import Params

TRUNCATED_STD = 0.8796256610342398  # standard deviation of a standard normal variable truncated to [-2, 2]
ONES = ('scale', 'scale1', 'scale2', 'var')


def draw_params(key: jax.Array, shapes: Params, std: Callable[[tuple[int, ...]], float]) -> Params:
    """Random parameters: ones for scales and variances, zeros for biases and means, normal values for the rest.

    Args:
        key: PRNG key of jax.random.
        shapes: a tree of jax.ShapeDtypeStruct, float32.
        std: (shape of an array) -> its standard deviation.

    Returns:
        A tree of arrays of these shapes.
    """
    leaves = flax.traverse_util.flatten_dict(shapes)
    drawn = [path for path in leaves if path[-1] not in (*ONES, 'bias', 'mean')]
    ends = np.cumsum([math.prod(leaves[path].shape) for path in drawn])
    draws = jnp.split(jax.random.truncated_normal(key, -2, 2, (int(ends[-1]),)) / TRUNCATED_STD, ends[:-1])
    arrays = {
        path: (jnp.ones if path[-1] in ONES else jnp.zeros)(leaf.shape, leaf.dtype) for path, leaf in leaves.items()
    }
    for path, draw in zip(drawn, draws, strict=True):
        shape = leaves[path].shape
        arrays[path] = std(shape) * draw.reshape(shape)
    return flax.traverse_util.unflatten_dict(arrays)


def he_std(shape: tuple[int, ...]) -> float:
    """He's standard deviation, sqrt(2 / number of inputs of an output): He et al., 2015, eq. (10).

    Args:
        shape: shape of a kernel, outputs last.

    Returns:
        A float > 0.
    """
    return math.sqrt(2 / math.prod(shape[:-1]))
