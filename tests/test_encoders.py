"""ResNet, DINOv2 and DINOv3: features as recorded of transformers, files of every library, sizes, names, published weights."""

import hashlib
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from recorded import CHANNELS, DEPTH, RECORDED, dinov3_tensors, hugging_face_tensors, images

import panet_jax as pj
from panet_jax.method import dinov2, dinov3, resnet
from panet_jax.method.transformer import attend, gelu
from panet_jax.networks import published
from panet_jax.networks.choose import load_params
from panet_jax.networks.encoders import ENCODERS, encoder_named
from panet_jax.networks.layouts.fit import to_tensors
from panet_jax.networks.names import ENCODER_NAMES
from panet_jax.networks.weights import save_params
from panet_jax.results.names import network_name

GOLDEN = Path(__file__).parent / 'golden/transformers_tiny.npz'
THIN = 1 / 16  # the width of ResNets here


def saved(path, tensors):
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, path)
    return path


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_the_names_are_those_of_the_encoders():
    assert tuple(ENCODERS) == ENCODER_NAMES


@pytest.mark.parametrize('name', RECORDED)
def test_features_are_those_of_transformers(tmp_path, name):
    network = pj.load_network(saved(tmp_path / 'model.safetensors', RECORDED[name]()))
    stride, size = (14, 518) if name.startswith('dinov2') else (16, 512)
    assert network.encoder.name == name
    assert (network.stride, network.channels, network.size, network.encoder.width) == (stride, CHANNELS, size, 1)
    features = np.asarray(network.encode(images(stride)))
    wanted = np.load(GOLDEN)[name]
    assert features.shape == (2, 5, 3, CHANNELS)
    assert np.linalg.norm(features - wanted) < 1e-5 * np.linalg.norm(wanted)


def test_rotated_queries_and_keys_know_the_difference_of_their_positions():
    random = np.random.default_rng(0)
    query, key = random.normal(size=(2, 64)).astype(np.float32)
    angles = dinov3.rotary_angles((5, 4))
    tokens = [np.broadcast_to(vector, (3 + 20, 1, 64)) for vector in (query, key)]
    queries, keys = (np.asarray(dinov3.rotate_patches(token, angles))[:, 0] for token in tokens)
    np.testing.assert_array_equal(queries[:3], tokens[0][:3, 0])  # without a position
    np.testing.assert_allclose(np.linalg.norm(queries, axis=-1), np.linalg.norm(query), rtol=1e-5)
    products = (queries[3:] @ keys[3:].T).reshape(5, 4, 5, 4)
    np.testing.assert_allclose(products[0, 0, 2, 1], products[2, 2, 4, 3], rtol=1e-4)
    assert abs(products[0, 0, 2, 1] - products[0, 0, 1, 2]) > 0.1


@pytest.mark.parametrize('dtype', ['float32', 'bfloat16'])
def test_attention_by_heads_is_attention_at_once(dtype):
    random = np.random.default_rng(0)
    query, key, value = (jnp.asarray(random.normal(size=(2, 7, 3, 64)), dtype) for _ in range(3))
    found = attend(query, key, value, jax.lax.Precision.HIGHEST)
    wanted = jax.nn.dot_product_attention(*(jnp.asarray(array, jnp.float32) for array in (query, key, value)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found.astype(jnp.float32), wanted, atol=1e-5 if dtype == 'float32' else 0.05)


def test_the_activation_is_the_exact_gelu():
    x = jnp.linspace(-8, 8, 101)
    np.testing.assert_allclose(gelu(x), jax.nn.gelu(x, approximate=False), atol=1e-6)


def dinov3_original_names(tensors):
    """The tensors of a DINOv3 as Meta's file has them: fused, with a bias of the key that a mask of zeros removes."""
    names = {'embeddings.cls_token': 'cls_token', 'embeddings.register_tokens': 'storage_tokens'}
    result = {names.get(name, name): array for name, array in tensors.items() if not name.startswith('layer.')}
    for part in ('weight', 'bias'):
        result[f'patch_embed.proj.{part}'] = result.pop(f'embeddings.patch_embeddings.{part}')
    for index in range(DEPTH):
        ours, theirs = f'blocks.{index}.', f'layer.{index}.'
        of = {name.removeprefix(theirs): array for name, array in tensors.items() if name.startswith(theirs)}
        of['attention.k_proj.bias'] = np.full(CHANNELS, 7, np.float32)
        for part in ('weight', 'bias'):
            result[f'{ours}attn.qkv.{part}'] = np.concatenate([of[f'attention.{name}_proj.{part}'] for name in 'qkv'])
            result[f'{ours}attn.proj.{part}'] = of[f'attention.o_proj.{part}']
            result[f'{ours}mlp.fc1.{part}'], result[f'{ours}mlp.fc2.{part}'] = (
                of[f'mlp.{name}_proj.{part}'] for name in ('up', 'down')
            )
            result |= {f'{ours}norm{number}.{part}': of[f'norm{number}.{part}'] for number in (1, 2)}
        result |= {f'{ours}ls{number}.gamma': of[f'layer_scale{number}.lambda1'] for number in (1, 2)}
        result[f'{ours}attn.qkv.bias_mask'] = np.zeros(3 * CHANNELS, np.float32)
    return result | {'rope_embed.periods': np.zeros(16, np.float32), 'mask_token': np.zeros((1, CHANNELS), np.float32)}


def test_the_original_file_of_a_dinov3_is_the_same_network(tmp_path):
    network = pj.load_network(saved(tmp_path / 'hugging_face.safetensors', dinov3_tensors()))
    other = pj.load_network(saved(tmp_path / 'original.safetensors', dinov3_original_names(dinov3_tensors())))
    assert other.encoder is network.encoder
    assert_same(other.params, network.params)


def test_what_is_no_dinov3_of_these_sizes_is_refused(tmp_path):
    gated = dinov3_tensors() | {'layer.0.mlp.gate_proj.weight': np.zeros((4, CHANNELS), np.float32)}
    with pytest.raises(pj.InputError, match=r'unexpected: layer\.0\.mlp\.gate_proj\.weight'):
        pj.load_network(saved(tmp_path / 'gated.safetensors', gated))
    coarse = dinov3_tensors() | {'embeddings.patch_embeddings.weight': np.zeros((CHANNELS, 3, 14, 14), np.float32)}
    with pytest.raises(pj.InputError, match='belong to no supported network'):
        pj.load_network(saved(tmp_path / 'coarse.safetensors', coarse))


def test_a_gated_file_is_never_downloaded(caches):
    page = 'huggingface.co/facebook/dinov3-vits16-pretrain-lvd1689m'
    with pytest.raises(
        pj.InputError, match=rf'not downloaded by name; .*{page} .*license.* as dinov3-small\.safetensors'
    ):
        pj.load_network('dinov3-small')


def original_names(tensors, registers='register_tokens'):
    """The tensors of Hugging Face as the original code calls them, query, key and value in one."""
    result = {
        'cls_token': tensors['embeddings.cls_token'],
        'pos_embed': tensors['embeddings.position_embeddings'],
        'mask_token': np.zeros((1, CHANNELS), np.float32),
    }
    if 'embeddings.register_tokens' in tensors:
        result[registers] = tensors['embeddings.register_tokens']
    for part in ('weight', 'bias'):
        result[f'patch_embed.proj.{part}'] = tensors[f'embeddings.patch_embeddings.projection.{part}']
        result[f'norm.{part}'] = tensors[f'layernorm.{part}']
        for index in range(DEPTH):
            ours, theirs = f'blocks.{index}.', f'encoder.layer.{index}.'
            fused = [tensors[f'{theirs}attention.attention.{name}.{part}'] for name in ('query', 'key', 'value')]
            result[f'{ours}attn.qkv.{part}'] = np.concatenate(fused)
            result[f'{ours}attn.proj.{part}'] = tensors[f'{theirs}attention.output.dense.{part}']
            for name in ('norm1', 'norm2', 'mlp.fc1', 'mlp.fc2'):
                result[f'{ours}{name}.{part}'] = tensors[f'{theirs}{name}.{part}']
    for index in range(DEPTH):
        for number in (1, 2):
            result[f'blocks.{index}.ls{number}.gamma'] = tensors[f'encoder.layer.{index}.layer_scale{number}.lambda1']
    return result


def timm_names(tensors):
    """As timm writes them: with registers the class token has its position in it."""
    result = original_names(tensors, 'reg_token')
    if 'reg_token' in result:
        positions = result['pos_embed']
        result |= {'pos_embed': positions[:, 1:], 'cls_token': result['cls_token'] + positions[:, :1]}
    return result


@pytest.mark.parametrize('registers', [False, True])
@pytest.mark.parametrize('rename', [original_names, timm_names])
def test_files_of_every_library_are_the_same_network(tmp_path, registers, rename):
    tensors = hugging_face_tensors(registers)
    network = pj.load_network(saved(tmp_path / 'hugging_face.safetensors', tensors))
    other = pj.load_network(saved(tmp_path / 'other.safetensors', rename(tensors)))
    assert other.encoder is network.encoder
    if rename is timm_names and registers:
        np.testing.assert_allclose(other.encode(images()), network.encode(images()), atol=1e-5)
    else:
        assert_same(other.params, network.params)


LARGE = [pytest.param(name, marks=pytest.mark.exhaustive) for name in ('resnet50', 'resnet101')]


@pytest.mark.parametrize('name', [*LARGE, 'resnet-tiny', *RECORDED])
def test_what_is_written_has_the_names_it_came_with(tmp_path, name):
    encoder = encoder_named(name, THIN if name.startswith('resnet') else 1)
    params = encoder.initial(jax.random.key(0))
    tensors = to_tensors(encoder, params)
    some = {
        'resnet': 'layer3.0.downsample.1.running_var',
        'dinov2': 'encoder.layer.1.layer_scale2.lambda1',
        'dinov3': 'layer.1.attention.q_proj.bias',
    }
    assert some[name[:6]] in tensors
    network = pj.load_network(saved(tmp_path / 'x.safetensors', tensors))
    assert network.encoder is encoder
    assert_same(network.params, params)


def test_a_resnets_file_may_have_a_classifier_and_is_read_to_stage_3_or_4(tmp_path):
    whole = encoder_named('resnet-tiny-stage4', THIN)
    params = whole.initial(jax.random.key(0))
    tensors = to_tensors(whole, params) | {'fc.weight': np.zeros((10, 128)), 'bn1.num_batches_tracked': np.zeros(1)}
    path = saved(tmp_path / 'x.safetensors', {f'backbone.{name}': array for name, array in tensors.items()})
    network = pj.load_network(path)
    assert network.encoder.name == 'resnet-tiny'
    assert 'layer4_0' not in network.params
    assert_same(load_params(path, whole), params)


def test_a_resnet_has_stride_8_and_its_statistics_no_gradient():
    encoder = encoder_named('resnet-tiny-stage4', THIN)
    params = encoder.initial(jax.random.key(0))
    inputs = np.random.default_rng(0).normal(size=(1, 33, 41, 3)).astype(np.float32)
    features = encoder.encode(params, inputs)
    assert features.shape == (1, 5, 6, encoder.channels)
    assert (features < 0).any()  # no ReLU at the end
    gradient = jax.jit(jax.grad(lambda params: (encoder.encode(params, inputs) ** 2).sum()))(params)
    assert not np.any(gradient['layer1_0']['bn1']['mean'])
    assert not np.any(gradient['layer1_0']['bn1']['var'])
    assert np.any(gradient['layer1_0']['bn1']['scale'])
    assert np.any(gradient['conv1']['kernel'])


def test_the_dilations_are_torchvisions():
    strides_and_dilations = [(block.stride, block.dilation) for block in resnet.blocks('resnet50-stage4')]
    assert strides_and_dilations == [(1, 1)] * 3 + [(2, 1)] + [(1, 1)] * 4 + [(1, 2)] * 5 + [(1, 2)] + [(1, 4)] * 2


@pytest.mark.parametrize('antialias', [False, True])
def test_resampled_positions_keep_constants_and_symmetry(antialias):
    for after in (16, 37, 43):
        matrix = dinov2.cubic_matrix(37, after, antialias=antialias)
        np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
        np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(dinov2.cubic_matrix(37, 37, antialias=antialias), np.eye(37), atol=1e-6)


def test_a_wrong_size_names_the_nearest_right_ones():
    encoder = encoder_named('dinov2-tiny')
    with pytest.raises(pj.InputError, match='multiples of 14 pixels, got 70 x 43; the nearest to 43 are 42 and 56'):
        encoder.encode(encoder.initial(jax.random.key(0)), np.zeros((1, 70, 43, 3), np.float32))
    with pytest.raises(pj.InputError, match='the nearest to 417 are 406 and 420'):
        encoder.grid(417)
    assert encoder.grid(420) == 30


@pytest.mark.exhaustive
@pytest.mark.parametrize('dtype', ['tf32', 'bfloat16'])
@pytest.mark.parametrize('name', ['dinov2-tiny', 'resnet-tiny'])
def test_other_dtypes_and_rematerialization_give_nearly_the_same(name, dtype):
    encoder = encoder_named(name, 1 if name.startswith('dinov2') else THIN)
    params = encoder.initial(jax.random.key(0))
    inputs = np.random.default_rng(0).normal(size=(2, 56, 56, 3)).astype(np.float32)
    plain = encoder.encode(params, inputs)
    other = encoder.encode(params, inputs, dtype=dtype)
    assert other.dtype == np.float32
    assert np.linalg.norm(other - plain) < 0.03 * np.linalg.norm(plain)
    np.testing.assert_allclose(encoder.encode(params, inputs, rematerialize=True), plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('width', [0.7, 1.5])
def test_a_width_leaves_whole_heads(width):
    with pytest.raises(pj.InputError, match='width of dinov2-tiny must be a multiple of 1, got'):
        encoder_named('dinov2-tiny', width)


def test_files_of_other_networks_and_broken_files_are_one_sentence(tmp_path):
    path = saved(tmp_path / 'x.safetensors', hugging_face_tensors(registers=False))
    with pytest.raises(pj.InputError, match=r'those of a dinov2-tiny, the network is a resnet50'):
        load_params(path, encoder_named('resnet50'))
    with pytest.raises(pj.InputError, match=r'those of a dinov2-tiny, the network is a vgg16'):
        load_params(path, encoder_named('vgg16'))
    (tmp_path / 'half.safetensors').write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(pj.InputError, match='not a weights file that can be read'):
        pj.load_network(tmp_path / 'half.safetensors')
    (tmp_path / 'hostile.pth').write_bytes(pickle.dumps(print))
    with pytest.raises(pj.InputError, match='not allowed in a weights file'):
        pj.load_network(tmp_path / 'hostile.pth')
    tensors = hugging_face_tensors(registers=False)
    del tensors['encoder.layer.1.mlp.fc1.bias']
    with pytest.raises(pj.InputError, match=r'missing: encoder\.layer\.1\.mlp\.fc1\.bias'):
        pj.load_network(saved(tmp_path / 'less.safetensors', tensors))


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """Empty caches of ours, of PyTorch's and of Hugging Face's."""
    for variable, name in (('PANET_JAX_CACHE', 'ours'), ('TORCH_HOME', 'torch'), ('HF_HOME', 'hugging_face')):
        monkeypatch.setenv(variable, str(tmp_path / name))
    return tmp_path


def test_published_weights_are_found_in_the_caches_of_others(caches, monkeypatch):
    encoder = encoder_named('dinov2-tiny')
    content = saved(caches / 'x.safetensors', hugging_face_tensors(registers=False)).read_bytes()
    file = published.Download(
        ('https://nowhere.invalid/tiny.safetensors',), len(content), hashlib.sha256(content).hexdigest()
    )
    page = f'{published.HUGGING_FACE}/dinov2-tiny'
    monkeypatch.setitem(published.PUBLISHED, 'dinov2-tiny', published.Published(page, file))
    with pytest.raises(
        pj.InputError, match=r'no weights of dinov2-tiny: .* put them in .*ours.* as dinov2-tiny\.safetensors'
    ):
        published.published_file('dinov2-tiny', encoder)
    places = [
        caches / 'torch/hub/checkpoints/tiny.safetensors',
        caches / 'hugging_face/hub/models--facebook--dinov2-tiny/snapshots/0/model.safetensors',
    ]
    for path in places:
        assert not published.is_at_hand('dinov2-tiny')
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        network = pj.load_network('dinov2-tiny')
        assert (network.origin, network.channels) == ('dinov2-tiny', CHANNELS)
        path.unlink()


def test_weights_of_another_encoder_are_refused_by_name(caches):
    with pytest.raises(pj.InputError, match=r'no resnet50 weights for dinov2-small; type .*weights=dinov2-small'):
        load_params('resnet50', encoder_named('dinov2-small'))
    with pytest.raises(pj.InputError, match=r'no ImageNet weights for dinov2-tiny'):
        load_params('imagenet', encoder_named('dinov2-tiny'))
    with pytest.raises(pj.InputError, match=r'resnet101 are not on this machine.*resnet101\.safetensors'):
        pj.load_network('resnet101')


@pytest.mark.exhaustive
@pytest.mark.parametrize(('name', 'width'), [('dinov2-base', 1 / 2), ('dinov2-small', 2.0), ('dinov2-base', 1 / 3)])
def test_what_training_writes_is_read_again_at_any_width(tmp_path, name, width):
    encoder = encoder_named(name, width)
    params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), encoder.shapes())
    save_params(tmp_path / 'x.safetensors', encoder, params)
    assert pj.load_network(tmp_path / 'x.safetensors').encoder is encoder
    assert_same(load_params(tmp_path / 'x.safetensors', encoder), params)


def test_files_with_more_than_the_network_are_refused(tmp_path):
    encoder = encoder_named('resnet-tiny', THIN)
    tensors = to_tensors(encoder, encoder.initial(jax.random.key(0)))
    more = tensors | {'layer1.0.se.fc1.weight': np.zeros((2, 2), np.float32)}
    with pytest.raises(pj.InputError, match=r'unexpected: layer1\.0\.se\.fc1\.weight'):
        pj.load_network(saved(tmp_path / 'squeeze.safetensors', more))
    twice = {f'{part}.{name}': array for part in ('model', 'average') for name, array in tensors.items()}
    with pytest.raises(pj.InputError, match=r'more than one network: average\.bn1\.bias and model\.bn1\.bias'):
        pj.load_network(saved(tmp_path / 'twice.safetensors', twice))
    original = original_names(hugging_face_tensors(registers=False))
    with pytest.raises(pj.InputError, match=r'unexpected: blocks\.0\.attn\.q_norm\.weight'):
        pj.load_network(saved(tmp_path / 'x.safetensors', original | {'blocks.0.attn.q_norm.weight': np.zeros(64)}))
    uneven = original | {'blocks.0.attn.qkv.weight': np.zeros((10, 64), np.float32)}
    with pytest.raises(pj.InputError, match='do not fit dinov2-tiny of width 1'):
        pj.load_network(saved(tmp_path / 'uneven.safetensors', uneven))
    with pytest.raises(pj.InputError, match=r'belong to no supported network; its first tensors are a\.b'):
        pj.load_network(saved(tmp_path / 'none.safetensors', {'a.b': np.zeros(3)}))


def test_any_prefix_is_allowed(tmp_path):
    for rename in (dict, original_names):
        tensors = {f'student.dinov2_x.{name}': array for name, array in rename(hugging_face_tensors(True)).items()}
        network = pj.load_network(saved(tmp_path / 'x.safetensors', tensors))
        assert network.encoder.name == 'dinov2-tiny-registers'


def test_untrained_networks_are_called_by_their_encoder():
    row = {'checkpoint_step': 0, 'weights': 'resnet50', 'encoder': 'resnet50'}
    assert network_name(row) == 'untrained resnet50'
    assert network_name(row | {'weights': 'imagenet', 'encoder': 'vgg16'}) == 'untrained'
