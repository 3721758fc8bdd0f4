"""Features without what depends on the position: the algebra, and the way through the program."""

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest
from drawn import draw_disc
from tiny import tiny_config

import panet_jax as pj
from panet_jax.evaluation.evaluate import evaluate
from panet_jax.method.debias import positional_directions, without_directions
from panet_jax.networks.debias import debiased
from panet_jax.networks.encoders import encoder_named
from panet_jax.networks.network import Network

SIZE = 42
GRAY = np.zeros((1, SIZE, SIZE, 3), np.float32)


def network_of(name='dinov2-tiny', size=SIZE):
    encoder = encoder_named(name, 1 if name.startswith('dino') else 1 / 16)
    return Network(encoder, encoder.initial(jax.random.key(0)), size)


def drawn(seed, side=4, channels=9):
    return np.random.default_rng(seed).normal(size=(side, side, channels)).astype(np.float32)


@hypothesis.given(st.integers(0, 2**16), st.floats(0, 0.9))
def test_it_is_a_projection_that_leaves_what_is_orthogonal(seed, share):
    blank, features = drawn(seed), drawn(seed + 1)
    directions = positional_directions(blank, share)
    assert directions.shape == (9, int(share * 9))
    once = without_directions(features, directions)
    np.testing.assert_allclose(without_directions(once, directions), once, atol=1e-5)  # idempotent
    np.testing.assert_allclose(once @ directions, 0, atol=1e-5)
    removed = features - once
    np.testing.assert_allclose(np.sum(removed * np.asarray(once), -1), 0, atol=1e-4)  # orthogonal


@hypothesis.given(st.integers(0, 2**16), st.integers(1, 4))
def test_it_removes_what_a_blank_images_features_span(seed, rank):
    rng = np.random.default_rng(seed)
    blank = (rng.normal(size=(5, 5, rank)) @ rng.normal(size=(rank, 9))).astype(np.float32)
    directions = positional_directions(blank, 0.5)  # 4 of 9
    np.testing.assert_allclose(without_directions(blank, directions), 0, atol=1e-4)


def test_what_is_left_of_a_blank_image_is_the_least_that_so_many_directions_leave():
    blank = drawn(0)
    left = np.linalg.norm(without_directions(blank, positional_directions(blank, 0.5)))
    assert left == pytest.approx(np.linalg.norm(np.linalg.svd(blank.reshape(-1, 9))[1][4:]), rel=1e-4)


@pytest.mark.exhaustive
def test_a_debiased_network_is_the_projection_of_its_features():
    network = network_of()
    other = debiased(network, 0.5)
    images = np.random.default_rng(0).normal(size=(2, SIZE, SIZE, 3)).astype(np.float32)
    directions = positional_directions(np.asarray(network.encode(GRAY)[0]), 0.5)
    wanted = without_directions(network.encode(images), directions)
    np.testing.assert_allclose(other.encode(images), wanted, atol=1e-4)
    assert (other.hash, other.debias, other.channels) == (network.hash, 0.5, network.channels)
    assert debiased(network, 0) is network
    assert debiased(network, 0.5).encoder is other.encoder  # compiled once


@pytest.mark.parametrize(
    ('name', 'share', 'message'),
    [
        ('vgg16', 0.5, 'for vision transformers such as dinov2-small, got vgg16'),
        ('dinov2-tiny', 1.0, 'from 0 to 0.9, such as 0.5, got 1.0'),
        ('dinov2-tiny', float('nan'), 'got nan'),
    ],
)
def test_what_cannot_be_debiased_is_one_sentence(name, share, message):
    with pytest.raises(pj.InputError, match=message):
        debiased(network_of(name), share)


def test_debiasing_twice_is_refused():
    with pytest.raises(pj.InputError, match=r'debiased already, by 0\.5'):
        debiased(debiased(network_of(), 0.5), 0.25)


def test_a_segmenter_keeps_its_debias(tmp_path):
    segmenter = pj.Segmenter(network_of(), debias=0.5).fit({'disc': [draw_disc(0)]})
    plain = pj.Segmenter(network_of()).fit({'disc': [draw_disc(0)]})
    query = draw_disc(1)[0]
    logits = segmenter.predict(query).logits
    assert np.abs(logits - plain.predict(query).logits).max() > 0.01
    segmenter.save(tmp_path / 'disc.safetensors')
    again = pj.Segmenter.load(tmp_path / 'disc.safetensors', weights=network_of())
    assert again.network.debias == 0.5
    np.testing.assert_allclose(again.predict(query).logits, logits, atol=1e-4)


@pytest.mark.exhaustive
def test_an_evaluation_says_that_it_was_debiased(tmp_path):
    changes = {'encoder.name': 'dinov2-tiny', 'encoder.width': 1.0, 'data.size': SIZE, 'checkpoint': ''}
    rows = [evaluate(tiny_config(**changes, **{'evaluation.debias': share}), tmp_path) for share in (0.0, 0.5)]
    assert [row['debias'] for row in rows] == [0, 0.5]
    assert rows[0]['mean_iou'] != rows[1]['mean_iou']
    assert rows[0]['network_hash'] == rows[1]['network_hash']
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 2
