"""Programs as ONNX models: they compute in onnxruntime what JAX computes."""

import ast
import json

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnx_beside_jax
import onnxruntime
import pytest
from drawn import draw_disc
from PIL import Image
from tiny import ROOT

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.method.adapt import HEADS
from panet_jax.networks.encoders import ENCODERS, encoder_named
from panet_jax.networks.exported import describe, write_exported
from panet_jax.networks.history import History
from panet_jax.segmenter.onnx import file
from panet_jax.segmenter.onnx.file import onnx_file
from panet_jax.segmenter.onnx.model import onnx_model

onnxruntime.set_default_logger_severity(3)


def session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])


def computed(function, array):
    """What onnxruntime makes of an array, and the operators of the model."""
    content = onnx_file(function, jax.ShapeDtypeStruct(array.shape, array.dtype), {})
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    (result,) = session(content).run(['probabilities'], {'image': np.asarray(array)})
    return result, [node.op_type for node in model.graph.node]


def check(function, array, atol=1e-5):
    """Compares a function in onnxruntime with JAX; gives the operators."""
    expected = function(jnp.asarray(array))
    result, operators = computed(function, array)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=atol)
    return operators


def draw(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


LAYOUTS = (('NHWC', 'HWIO', 'NHWC'), ('NCHW', 'OIHW', 'NCHW'), ('NHWC', 'OIHW', 'NCHW'))


@hypothesis.given(
    st.tuples(st.integers(5, 9), st.integers(5, 9)),
    st.integers(1, 3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=2),
    st.sampled_from(LAYOUTS),
    st.sampled_from((1, 2)),
)
def test_convolutions(sizes, kernel, strides, dilations, padding, layout, groups):
    axes = {'N': 2, 'H': sizes[0], 'W': sizes[1], 'C': 4}
    weights = {'H': kernel, 'W': kernel, 'I': 4 // groups, 'O': 6}
    kernel = draw([weights[axis] for axis in layout[1]], 1)

    def convolve(images):
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            strides,
            padding,
            rhs_dilation=dilations,
            dimension_numbers=layout,
            feature_group_count=groups,
            precision='highest',
        )

    check(convolve, draw([axes[axis] for axis in layout[0]]))


@hypothesis.given(
    st.integers(2, 3),
    st.integers(1, 3),
    st.integers(1, 2),
    st.tuples(st.integers(0, 1), st.integers(0, 1)),
    st.booleans(),
)
def test_max_pools_with_borders_below_all_values(window, stride, dilation, padding, last):
    """Their padding is -inf: with 0 an image of negative values would have another maximum there."""
    image_axes = (1, 2) if last else (2, 3)

    def of_axes(value, other):
        return tuple(value if axis in image_axes else other for axis in range(4))

    pads = of_axes(padding, (0, 0))
    windows, strides, dilations = (of_axes(value, 1) for value in (window, stride, dilation))

    def pool(images):
        return jax.lax.reduce_window(images, -jnp.inf, jax.lax.max, windows, strides, pads, window_dilation=dilations)

    check(pool, draw(of_axes(7, 2)) - 9)


@st.composite
def products(draw_one):
    """Shapes of two arrays, and which of their axes are summed and shared, in any order."""
    sizes = st.lists(st.integers(1, 4), max_size=2)
    batch, summed, free_left, free_right = (draw_one(sizes) for _ in range(4))
    sides = []
    for free in (free_left, free_right):
        labels = [('batch', i) for i in range(len(batch))] + [('summed', i) for i in range(len(summed))]
        labels = draw_one(st.permutations(labels + [('free', i) for i in range(len(free))]))
        values = {'batch': batch, 'summed': summed, 'free': free}
        axes = {kind: [labels.index((kind, i)) for i in range(len(values[kind]))] for kind in ('summed', 'batch')}
        sides.append(([values[kind][i] for kind, i in labels], axes))
    return sides


@hypothesis.given(products(), st.sampled_from(('neither', 'left', 'right')))
def test_products(sides, known):
    (left, of_left), (right, of_right) = sides
    numbers = tuple((tuple(of_left[kind]), tuple(of_right[kind])) for kind in ('summed', 'batch'))
    count = int(np.prod(left))

    def multiply(numbers_of_both):
        one, other = numbers_of_both[:count].reshape(left), numbers_of_both[count:].reshape(right)
        one = draw(left, 5) if known == 'left' else one
        other = draw(right, 6) if known == 'right' else other
        return jax.lax.dot_general(one, other, numbers, precision='highest') + numbers_of_both[0]

    with jax.numpy_rank_promotion('allow'):
        check(multiply, draw(count + int(np.prod(right))))


STEPS = {
    'transpose': lambda x, n: x.transpose(np.random.default_rng(n).permutation(x.ndim)),
    'new axis': lambda x, n: jnp.expand_dims(x, n % (x.ndim + 1)),
    'repeat': lambda x, n: jnp.broadcast_to(
        jnp.expand_dims(x, n % (x.ndim + 1)), np.insert(x.shape, n % (x.ndim + 1), 2)
    ),
    'squeeze': lambda x, n: jnp.squeeze(x),
    'flatten': lambda x, n: x.reshape(-1, *x.shape[2:]) if x.ndim > 1 else x,
    'cut': lambda x, n: x[tuple(slice(n % 2, None, 1 + n % 3) if size > 2 else slice(None) for size in x.shape)],
    'join': lambda x, n: jnp.concatenate([x, x + n], n % x.ndim),
    'parts': lambda x, n: sum(jnp.split(x, 2, n % x.ndim)) if x.shape[n % x.ndim] % 2 == 0 else x,
    'sum': lambda x, n: x.sum(n % x.ndim),
    'sum of two': lambda x, n: x.sum((0, x.ndim - 1)) if x.ndim > 2 else x,
    'maximum': lambda x, n: x.max(n % x.ndim),
    'double': lambda x, n: x * 2.0,
    'known': lambda x, n: x + np.arange(x.shape[0], dtype=np.float32).reshape(-1, *[1] * (x.ndim - 1)),
    'own mean': lambda x, n: x - x.mean(n % x.ndim, keepdims=True),
    'square': lambda x, n: jnp.square(x) / 4,
    'weights': lambda x, n: jnp.tensordot(x, draw((x.shape[n % x.ndim], 3)), axes=(n % x.ndim, 0), precision='highest'),
}


@pytest.mark.exhaustive
@hypothesis.settings(max_examples=30)
@hypothesis.given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 5)), min_size=2, max_size=8))
def test_programs_of_many_steps(steps):
    """Tensors are transposed and repeated late: any sequence of steps must see them as the program has them."""

    def function(x):
        for name, number in steps:
            x = STEPS[name](x, number) if x.ndim and x.size < 3000 else x
        return x

    with jax.numpy_rank_promotion('allow'):
        check(function, draw((2, 1, 3, 4)), atol=1e-3)


ELEMENTWISE = {
    'add sub mul div': lambda x, y: (x + y) * x - x / (2.5 + jnp.square(y)),
    'pow exp': lambda x, y: jnp.exp(x) ** 3.0 + jnp.square(x) ** 1.5,
    'erf': lambda x, y: jax.lax.erf(x * y),
    'rsqrt': lambda x, y: jax.lax.rsqrt(1 + jnp.square(x)),
    'max': lambda x, y: jnp.maximum(x, y) + jnp.maximum(y, 0.25),
    'relu': lambda x, y: jax.nn.relu(x) + jnp.maximum(0.0, y),
    'max of nothing': lambda x, y: jnp.maximum(-jnp.inf, x),
    'comparisons': lambda x, y: jnp.where((x > y) & (x >= 0), x, y + 7),
    'equal': lambda x, y: jnp.where((x > 0) == (y > 0), x, 3.0),
    'casts': lambda x, y: (4 * x).astype(jnp.int32).astype(jnp.float32) + (x > y).astype(jnp.float32),
    'one known': lambda x, y: x + np.float32(2) * jnp.ones_like(y),
    'scaled': lambda x, y: 0.125 * y.reshape(2, -1),
}


@pytest.mark.parametrize('name', ELEMENTWISE)
@pytest.mark.parametrize('moves', [(0, 1, 2), (2, 0, 1)])
def test_elementwise(name, moves):
    """Of an array and another one, which is transposed."""

    def function(both):
        return ELEMENTWISE[name](both[0], both[1].transpose(moves))

    check(function, draw((2, 4, 4, 4)))


def test_bytes_are_read():
    image = np.random.default_rng(0).integers(0, 256, (1, 5, 4, 3), dtype=np.uint8)
    check(pj.normalize, image)


@pytest.mark.parametrize('axis', [0, 1, 2, (0, 2)])
@pytest.mark.parametrize('moves', [(0, 1, 2), (2, 0, 1)])
def test_a_softmax_is_one_node(axis, moves):
    operators = check(lambda x: jax.nn.softmax(x.transpose(moves), axis), draw((4, 4, 4)))
    assert ('Softmax' in operators, 'Exp' in operators) == ((True, False) if axis != (0, 2) else (False, True))


def test_what_looks_like_a_softmax_is_none():
    """The sums of rows divide columns, or those of another array."""
    for divisor in (lambda x: jnp.exp(x).sum(1)[None], lambda x: jnp.exp(x + 1).sum(1)[:, None]):
        assert 'Softmax' not in check(lambda x, divisor=divisor: jnp.exp(x) / divisor(x), draw((4, 4)))
    assert 'Softmax' not in check(lambda x: jnp.exp(x) / jnp.exp(x).sum(-1).T[..., None], draw((3, 3, 3)))


def test_a_sum_over_no_axis_is_the_array_itself():
    check(lambda x: jax.lax.reduce_sum(x, axes=()) + 1, draw((3, 3)))


def test_the_maximum_of_other_axes_is_still_subtracted_before_a_softmax():
    def function(x):
        exp = jnp.exp(x - x.max(0, keepdims=True))  # each column's, so that rows change by more than a number
        return exp / exp.sum(1, keepdims=True)

    assert {'Softmax', 'Sub', 'ReduceMax'} <= set(check(function, draw((4, 4))))


def test_the_form_for_any_platform_is_taken():
    def function(x):
        return jax.lax.platform_dependent(x, cpu=lambda x: jnp.sort(x), default=lambda x: x + 1)

    np.testing.assert_allclose(computed(function, draw((3,)))[0], draw((3,)) + 1)


def test_functions_within_a_program_are_followed():
    def function(x):
        return jax.checkpoint(jax.jit(lambda x: jax.nn.relu(x) * 2.0))(x)  # ReLU is a custom_jvp

    check(function, draw((3, 4)))


def test_what_is_known_is_computed_at_once_and_kept_once():
    table = draw((30, 30))

    def function(x):
        repeated = jnp.broadcast_to(np.float32(3) * jnp.ones((1, 1)), (30, 30))
        return x * jnp.sort(table) + jnp.sort(table) * repeated

    operators = check(function, draw((30, 30)))
    assert operators == ['Mul', 'Add', 'Identity']
    content = onnx_file(function, jax.ShapeDtypeStruct((30, 30), np.float32), {})
    assert len(content) < 3 * 3600


def test_a_repeated_number_stays_one_number():
    large = jax.ShapeDtypeStruct((300, 300), np.float32)
    assert len(onnx_file(lambda x: jnp.where(x > 0, x, 3.0), large, {})) < 1000


UNKNOWN = {
    'sort': (jnp.sort, 'operation sort'),
    'cond': (lambda x: jax.lax.cond(x[0, 0, 0] > 0, jnp.exp, jnp.square, x), 'operation cond'),
    'transposed': (
        lambda x: jax.lax.conv_general_dilated(x, draw((2, 3, 1)), (1,), [(0, 0)], lhs_dilation=(2,)),
        'transposed convolution',
    ),
    'window': (
        lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (2, 2, 1), (1, 1, 1), 'VALID'),
        'max-pool with',
    ),
    'border': (
        lambda x: jax.lax.conv_general_dilated(x, draw((2, 3, 1)), (1,), [(-1, 0)]),
        'window that leaves out pixels at the border',
    ),
    'choice': (
        lambda x: jax.lax.select_n((x > 0).astype(jnp.int32), x, x + 1, 2 * x),
        'choice among 3 arrays by int32',
    ),
    'bits': (lambda x: x.astype(jnp.int32) & 1, '"and" of int32'),
}


@pytest.mark.parametrize(('function', 'words'), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_operation_is_named(function, words):
    with pytest.raises(
        pj.InputError, match=f'export to ONNX knows no {words}.*, which this network has; the export to S'
    ):
        computed(function, draw((2, 3, 3)))


def test_a_network_above_the_limit_of_a_file_is_refused(monkeypatch):
    monkeypatch.setattr(file, 'MOST_BYTES', 3599)
    with pytest.raises(
        pj.InputError, match='holds at most 3,599 bytes of constants, and this network has 3,600; export'
    ):
        computed(lambda x: x + draw((30, 30)), draw((30, 30)))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(file.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(pj.InputError, match=r"needs onnx; type pip install 'panet-jax\[onnx\]'\."):
        computed(jnp.exp, draw((3,)))


def test_the_library_is_imported_only_for_an_export():
    for path in (ROOT / 'panet_jax').rglob('*.py'):
        imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [getattr(node, 'module', None) or node.names[0].name for node in imports]
        assert not {'onnx', 'onnxruntime'} & {name.partition('.')[0] for name in names}, path


def segmenter_of(encoder, size, **options):
    """A segmenter with two classes and three references."""
    network = pj.Network(encoder, jax.jit(encoder.initial)(jax.random.key(0)), size)
    segmenter = pj.Segmenter(network, edges=False, **options)
    photos = [draw_disc(seed, shape=(60, 70), center=(25, 30), radius=14) for seed in range(3)]
    return segmenter.fit({'disc': photos[:2], 'other': photos[2:]})


def check_segmenter(segmenter):
    """Compares the model with the Segmenter itself. Gives the model."""
    image = np.random.default_rng(0).integers(0, 256, (segmenter.size, segmenter.size, 3), dtype=np.uint8)
    content = onnx_model(segmenter)
    (result,) = session(content).run(['probabilities'], {'image': image[None]})
    np.testing.assert_allclose(result[0].transpose(2, 0, 1), segmenter.predict(image).probabilities, atol=1e-4)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    return model


FAMILIES = {
    'vgg16': (1 / 32, 40, {}),
    'resnet-tiny': (1 / 16, 41, {}),
    'dinov2-tiny': (1, 42, {'debias': 0.2}),
    'dinov3-tiny': (1, 48, {}),
}


@pytest.mark.parametrize(
    'name',
    [
        'vgg16',
        'dinov2-tiny',
        *(pytest.param(name, marks=pytest.mark.exhaustive) for name in ('resnet-tiny', 'dinov3-tiny')),
    ],
)
def test_segmenters_of_every_family_with_both_heads(name):
    width, size, options = FAMILIES[name]
    segmenter = segmenter_of(encoder_named(name, width), size, **options)
    for segmenter.head in HEADS:
        check_segmenter(segmenter)


@pytest.mark.exhaustive
@pytest.mark.parametrize('name', ENCODERS)
def test_segmenters_of_every_encoder(name):
    """Of the published depth, as narrow as they can be, with both heads."""
    channels = {'base': 768, 'large': 1024, 'small': 384, 'tiny': 64}
    width = 64 / channels[name.split('-')[1]] if name.startswith('dino') else 1 / 32
    encoder = encoder_named(name, width)
    segmenter = segmenter_of(encoder, 4 * encoder.multiple if encoder.multiple > 1 else 57)
    for segmenter.head in HEADS:
        check_segmenter(segmenter)


def test_the_model_says_what_it_is():
    segmenter = segmenter_of(encoder_named('vgg16', 1 / 32), 40, dtype='bfloat16')
    model = onnx.load_from_string(onnx_model(segmenter))
    assert {entry.key: entry.value for entry in model.metadata_props} == {
        'classes': json.dumps(['background', 'disc', 'other']),
        'encoder': 'vgg16',
        'hash': segmenter.network.hash,
        'head': 'adapted',
        'size': '40',
    }
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [('', 18)]
    shapes = {
        value.name: (value.type.tensor_type.elem_type, [axis.dim_value for axis in value.type.tensor_type.shape.dim])
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        'image': (onnx.TensorProto.UINT8, [1, 40, 40, 3]),
        'probabilities': (onnx.TensorProto.FLOAT, [1, 40, 40, 3]),
    }
    convolutions = [node.op_type for node in model.graph.node if node.op_type in ('Conv', 'Transpose', 'MaxPool')]
    assert convolutions[:18].count('Transpose') == 1  # none between convolutions
    kernels = sum(leaf.nbytes for leaf in jax.tree.leaves(segmenter.network.params))
    constants = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    assert len({(array.dtype.name, array.shape, array.tobytes()) for array in constants}) == len(constants)
    assert sum(array.nbytes for array in constants) < kernels + 20_000


def typed(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.run(words)
    out, err = capsys.readouterr()
    return end.value.code, out, err


@pytest.fixture
def saved(tmp_path):
    """The file of a saved segmenter, and the segmenter."""
    encoder = encoder_named('vgg16', 1 / 32)
    network = pj.Network(encoder, jax.jit(encoder.initial)(jax.random.key(0)), 40)
    write_exported(tmp_path / 'net', network, describe(network, History('shapes', ()), []), '')
    segmenter = pj.Segmenter(tmp_path / 'net', edges=False)
    segmenter.fit({'disc': [draw_disc(0, shape=(60, 70), center=(25, 30), radius=14)]})
    segmenter.save(tmp_path / 'pets.safetensors')
    return tmp_path / 'pets.safetensors', segmenter


def test_the_command_writes_what_predict_computes(saved, capsys):
    path, segmenter = saved
    files = {name: path.with_suffix(f'.{name}') for name in ('onnx', 'stablehlo')}
    status, out, _ = typed(capsys, 'export', str(path), *(f'--{name}={target}' for name, target in files.items()))
    assert status == 0
    assert out.count('[1, 40, 40, 2] float32 of background, disc') == 2
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    (probabilities,) = session(str(files['onnx'])).run(None, {'image': image[None]})
    np.testing.assert_allclose(probabilities[0].transpose(2, 0, 1), segmenter.predict(image).probabilities, atol=1e-4)
    assert abs(files['onnx'].stat().st_size - files['stablehlo'].stat().st_size) < 20_000


def test_nothing_is_written_without_the_library(saved, capsys, monkeypatch):
    path, _ = saved
    monkeypatch.setattr(file.importlib.util, 'find_spec', lambda name: None)
    status, out, err = typed(capsys, 'export', str(path), f'--onnx={path}.onnx', f'--stablehlo={path}.stablehlo')
    assert (status, out, err.count('\n')) == (2, '', 1)
    assert "pip install 'panet-jax[onnx]'" in err
    assert len(list(path.parent.iterdir())) == 2


def test_the_benchmark_compares_both(saved, capsys):
    path, _ = saved
    photo = path.with_name('photo.png')
    Image.fromarray(draw_disc(1, shape=(60, 70), center=(25, 30), radius=14)[0]).save(photo)
    onnx_beside_jax.main([str(path), str(photo), str(photo), '--rounds=2'])
    out = capsys.readouterr().out
    assert 'vgg16, 40 x 40, head adapted' in out
    assert out.count(' ms a photograph, file of 0.1 MB') == 2
    assert 'other label in 0 of 3,200 pixels' in out
    with pytest.raises(SystemExit, match='2'):
        onnx_beside_jax.main([str(path), 'gone.jpg'])
    assert capsys.readouterr().err.startswith('onnx_beside_jax.py: ')
