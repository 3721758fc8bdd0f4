"""Convolutions and max-pools, which ONNX has as [N, C, H, W] only."""

import numpy as np

from panet_jax.segmenter.onnx.operation import unsupported
from panet_jax.segmenter.onnx.value import Value


def _convolution(graph, operation):
    params, (images, kernel) = operation.params, map(graph.whole, operation.inputs)
    numbers = params['dimension_numbers']
    if set(params['lhs_dilation']) != {1} or params['batch_group_count'] != 1:
        raise unsupported('transposed convolution')
    tensors = [graph.arranged(images, numbers.lhs_spec), graph.arranged(kernel, numbers.rhs_spec)]
    tensor = graph.add(
        'Conv',
        tensors,
        strides=tuple(params['window_strides']),
        pads=_pads(params['padding']),
        dilations=tuple(params['rhs_dilation']),
        group=params['feature_group_count'],
    )
    order = tuple(numbers.out_spec)
    return Value(tensor, order, tuple(operation.shape[axis] for axis in order), operation.shape, operation.dtype)


def _max_pool(graph, operation):
    """Padding counts as -inf in ONNX as in JAX. The two axes without a window go first."""
    params = operation.params
    windows = zip(params['window_dimensions'], params['window_strides'], params['padding'], strict=True)
    pooled = [axis for axis, window in enumerate(windows) if window != (1, 1, (0, 0))]
    others = [axis for axis in range(len(operation.shape)) if axis not in pooled]
    if len(others) != 2 or set(params['base_dilation']) != {1}:
        raise unsupported(f'max-pool with the window {params["window_dimensions"]}')
    order = (*others, *pooled)
    tensor = graph.add(
        'MaxPool',
        [graph.arranged(graph.whole(operation.inputs[0]), order)],
        kernel_shape=tuple(params['window_dimensions'][axis] for axis in pooled),
        strides=tuple(params['window_strides'][axis] for axis in pooled),
        pads=_pads([params['padding'][axis] for axis in pooled]),
        dilations=tuple(params['window_dilation'][axis] for axis in pooled),
    )
    return Value(tensor, order, tuple(operation.shape[axis] for axis in order), operation.shape, operation.dtype)


def _pads(padding):
    """[(before, after), ...] as ONNX has it: all before, then all after."""
    if np.min(padding, initial=0) < 0:
        raise unsupported('window that leaves out pixels at the border')
    return tuple(before for before, _ in padding) + tuple(after for _, after in padding)


LOWERINGS = {'conv_general_dilated': _convolution, 'reduce_window_max': _max_pool}
