"""An ONNX file of a function: its program becomes a graph, and the graph a protobuf."""

import importlib.util
from collections.abc import Callable, Mapping

import jax
import numpy as np

import panet_jax
from panet_jax.errors import InputError
from panet_jax.segmenter.onnx.graph import Graph
from panet_jax.segmenter.onnx.value import plain_value
from panet_jax.segmenter.onnx.walk import add_program

INPUT, OUTPUT = 'image', 'probabilities'
OPSET, IR_VERSION = 18, 8  # of 2022: runtimes of several years read them
MOST_BYTES = 2**31 - 2**20  # protobuf's limit, less the nodes


def check_library() -> None:
    """Checks that the library onnx is there.

    Raises:
        InputError: it is missing; the sentence says what to type.
    """
    if importlib.util.find_spec('onnx') is None:
        raise InputError("the export to ONNX needs onnx; type pip install 'panet-jax[onnx]'.")


def onnx_file(
    function: Callable[[jax.Array], jax.Array], argument: jax.ShapeDtypeStruct, about: Mapping[str, str]
) -> bytes:
    """A function of one array as an ONNX file.

    Args:
        function: a pure function, from the argument to an array.
        argument: shape and dtype of the argument, which is called INPUT; the result is called OUTPUT.
        about: metadata of the model.

    Returns:
        The file's content.

    Raises:
        InputError: the library onnx is missing; the function has an operation that has no form in ONNX here; or its
            constants are too large for a file.
    """
    check_library()
    graph, program = Graph(), jax.make_jaxpr(function)(argument)
    (result,) = add_program(graph, program, [plain_value(INPUT, argument.shape, argument.dtype)])
    name = graph.add('Identity', [graph.plain(result)])
    nodes, constants = graph.used(name)
    size = sum(array.nbytes for array in constants.values())
    if size > MOST_BYTES:
        raise InputError(
            f'an ONNX file holds at most {MOST_BYTES:,} bytes of constants, and this network has {size:,}; '
            'export it to StableHLO.'
        )
    nodes[-1] = nodes[-1]._replace(output=OUTPUT)
    return _checked(nodes, constants, {INPUT: argument, OUTPUT: result}, about)


def _checked(nodes, constants, ends, about):
    """The bytes of a model that onnx has checked."""
    from onnx import checker, helper, numpy_helper

    argument, result = (
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(end.dtype)), end.shape)
        for name, end in ends.items()
    )
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph([_node(helper, node) for node in nodes], 'panet_jax', [argument], [result], tensors)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid('', OPSET)],
        ir_version=IR_VERSION,
        producer_name='panet_jax',
        producer_version=panet_jax.__version__,
    )
    helper.set_model_props(model, dict(about))
    content = model.SerializeToString()
    checker.check_model(content)
    return content


def _node(helper, node):
    attributes = dict(node.attributes)
    if node.operator == 'Cast':
        attributes['to'] = helper.np_dtype_to_tensor_dtype(np.dtype(attributes['to']))
    return helper.make_node(node.operator, node.inputs, [node.output], name=node.output, **attributes)
