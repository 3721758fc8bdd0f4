"""The data type, normalisation and the encoder's contract."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from random_episodes import random_episode

import panet_jax as pj
from panet_jax.method.vgg16 import CONV_NAMES, encoder_width, init_encoder_params


def test_normalize_uses_imagenet_statistics():
    images = np.full((2, 1, 1, 3), 255, np.uint8)
    expected = [(1 - 0.485) / 0.229, (1 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(pj.normalize(images)[0, 0, 0], expected, rtol=1e-6)
    assert pj.normalize(images).dtype == jnp.float32


def test_normalize_refuses_images_whose_range_is_unknown():
    with pytest.raises(TypeError, match='uint8'):
        pj.normalize(np.ones((4, 4, 3), np.float32))


def test_prepare_gives_the_dtypes_of_the_mathematics():
    compact = pj.Episode(
        support_images=np.zeros((1, 1, 8, 8, 3), np.uint8),
        support_foreground=np.ones((1, 1, 8, 8), bool),
        support_background=np.zeros((1, 1, 8, 8), bool),
        query_images=np.zeros((1, 8, 8, 3), np.uint8),
        query_labels=np.full((1, 8, 8), 255, np.uint8),
    )
    prepared = pj.prepare(compact)
    dtypes = jax.tree.map(lambda x: str(x.dtype), prepared)
    assert dtypes == pj.Episode('float32', 'float32', 'float32', 'float32', 'int32')
    assert (prepared.query_labels == 255).all()


@pytest.mark.parametrize(
    ('field', 'value', 'error', 'message'),
    [
        ('support_images', np.zeros((1, 17, 17, 3), np.float32), ValueError, 'support_images must be'),
        ('support_foreground', np.zeros((1, 1, 9, 9), np.float32), ValueError, 'support_foreground must have shape'),
        ('query_images', np.zeros((1, 17, 17, 3), np.uint8), TypeError, 'pj.normalize'),
        ('query_labels', np.zeros((1, 17, 17), np.float32), TypeError, 'query_labels must be integer'),
    ],
)
def test_a_wrong_field_is_named(narrow_params, rng, field, value, error, message):
    episode = random_episode(rng, size=17).replace(**{field: value})
    with pytest.raises(error, match=message):
        pj.episode_loss(narrow_params, episode)


def test_a_label_beyond_the_ways_is_named_where_it_is_known(narrow_params, rng):
    episode = random_episode(rng)
    raw = episode.replace(query_labels=np.full_like(episode.query_labels, 15))
    with pytest.raises(ValueError, match=r'query_labels of a \d-way episode are 0\.\.\d and 255, got 15'):
        pj.episode_loss(narrow_params, raw)
    assert np.isnan(jax.jit(pj.episode_loss)(narrow_params, raw)[0])


def test_encoder_shapes_follow_the_paper():
    params = init_encoder_params(jax.random.key(0), 1.0)
    assert tuple(params) == CONV_NAMES
    features = jax.eval_shape(pj.encode, params, jax.ShapeDtypeStruct((2, 3, 417, 417, 3), jnp.float32))
    assert features.shape == (2, 3, 53, 53, 512)


def test_encoder_has_no_relu_after_conv5_3_and_one_before(narrow_params, rng):
    images = rng.normal(size=(1, 33, 33, 3)).astype(np.float32)
    features = pj.encode(narrow_params, images)
    assert features.min() < 0
    # With conv5_3 the identity on its centre tap, features are conv5_2's, which ReLU has clipped.
    identity = np.zeros_like(narrow_params['conv5_3']['kernel'])
    identity[1, 1] = np.eye(identity.shape[-1])
    clipped = pj.encode(narrow_params | {'conv5_3': {'kernel': identity, 'bias': np.zeros(32, np.float32)}}, images)
    assert clipped.min() == 0


def test_encoder_width_is_read_off_the_parameters(narrow_params):
    assert encoder_width(narrow_params) == 1 / 16
    assert pj.encode(narrow_params, np.zeros((17, 17, 3), np.float32)).shape == (3, 3, 32)


def test_encoder_refuses_uint8(narrow_params):
    with pytest.raises(TypeError, match='normalize'):
        pj.encode(narrow_params, np.zeros((1, 17, 17, 3), np.uint8))


def test_bfloat16_computes_close_to_float32_and_returns_float32(narrow_params, rng):
    images = rng.normal(size=(1, 33, 33, 3)).astype(np.float32)
    exact, rough = pj.encode(narrow_params, images), pj.encode(narrow_params, images, dtype='bfloat16')
    assert rough.dtype == jnp.float32
    assert 0 < np.linalg.norm(exact - rough) / np.linalg.norm(exact) < 0.05
