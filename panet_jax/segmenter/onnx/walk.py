"""The walk through a program of JAX: what depends on its arguments becomes nodes, all else is computed at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from panet_jax.segmenter.onnx import elementwise, products, reductions, shapes, softmax, windows
from panet_jax.segmenter.onnx.graph import Graph
from panet_jax.segmenter.onnx.operation import Lowering, Operation, unsupported
from panet_jax.segmenter.onnx.value import Value, known_value

# What becomes nodes, by JAX's names of its primitives.
LOWERINGS: dict[str, Lowering] = {
    name: lowering
    for module in (elementwise, products, reductions, shapes, softmax, windows)
    for name, lowering in module.LOWERINGS.items()
}
# Primitives that are functions of the program, and the parameter that holds the function.
FUNCTIONS = {
    **dict.fromkeys(('jit', 'remat2'), 'jaxpr'),
    **dict.fromkeys(('custom_jvp_call', 'custom_vjp_call'), 'call_jaxpr'),
}
# These leave the repeated axes of known values as they are; computed at once, they would repeat them.
VIEWS = ('broadcast_in_dim', 'transpose')


def add_program(graph: Graph, program: ClosedJaxpr, arguments: Sequence[Value]) -> list[Value]:
    """Adds a program to a graph.

    Args:
        graph: the graph.
        program: the program, as `jax.make_jaxpr` gives it.
        arguments: its arguments.

    Returns:
        Its results.

    Raises:
        InputError: the program has an operation that has no form in ONNX here.
    """
    consts = [known_value(np.asarray(const)) for const in program.consts]
    return _walked(graph, program.jaxpr, consts, arguments)


def _walked(graph, jaxpr, consts, arguments):
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *arguments), strict=True))

    def read(atom):
        return known_value(np.asarray(atom.val, atom.aval.dtype)) if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        results = _results(graph, equation, [read(atom) for atom in equation.invars])
        values.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _results(graph, equation, inputs):
    """The results of one equation."""
    name, params = equation.primitive.name, equation.params
    if name == 'platform_index':
        return [known_value(np.int32(_default_platform(params['platforms'])))]
    if name == 'cond' and inputs[0].is_known:
        return add_program(graph, params['branches'][int(inputs[0].tensor)], inputs[1:])
    if name in FUNCTIONS:
        return _called(graph, params[FUNCTIONS[name]], inputs)
    if all(value.is_known for value in inputs) and name not in VIEWS:
        return _computed(equation, inputs)
    if name not in LOWERINGS:
        raise unsupported(f'operation {name}')
    aval = equation.outvars[0].aval
    results = LOWERINGS[name](graph, Operation(name, inputs, params, aval.shape, aval.dtype))
    return results if isinstance(results, list) else [results]


def _default_platform(platforms):
    """The form of an operation for any platform, where there are several: the one without a name."""
    return platforms.index(None) if None in platforms else 0


def _called(graph, function, inputs):
    if isinstance(function, ClosedJaxpr):
        return add_program(graph, function, inputs)
    return _walked(graph, function, (), inputs)


def _computed(equation, inputs) -> list[Value]:
    """The results of an equation whose arrays are known. What repeats in all arrays of an elementwise one, stays small."""
    name, avals = equation.primitive.name, [var.aval for var in equation.outvars]
    if name in elementwise.LOWERINGS or name in softmax.LOWERINGS:
        arrays = np.broadcast_arrays(*(value.tensor for value in inputs))
    else:
        arrays = [np.broadcast_to(value.tensor, value.shape) for value in inputs]
    results: Any = equation.primitive.bind(*arrays, **equation.params)
    results = results if equation.primitive.multiple_results else [results]
    return [known_value(np.asarray(result), aval.shape) for result, aval in zip(results, avals, strict=True)]
