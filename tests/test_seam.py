"""The seam for encoders: one of another stride, defined here, goes through the whole program."""

import json

import flax.linen as nn
import jax
import numpy as np
import pytest
from drawn import draw_disc
from tiny import tiny_config

import panet_jax as pj
from panet_jax.evaluation import evaluate as evaluation
from panet_jax.evaluation import plain
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.runs import evaluation_runs
from panet_jax.method.encoder import Encoder
from panet_jax.method.metrics import class_counts, iou
from panet_jax.networks.encoders import ENCODERS
from panet_jax.training.train import train


# The grid is floor((H - 7) / 5) + 1: 6 x 6 of 33 pixels, where VGG-16's has ceil(H / 8).
class Toy(nn.Module):
    @nn.compact
    def __call__(self, images):
        x = nn.relu(nn.Conv(8, (7, 7), strides=5, padding='VALID')(images))
        return nn.Conv(12, (1, 1))(x)


def toy(width=1.0):
    def initial(key):
        return Toy().init(key, np.zeros((1, 33, 33, 3), np.float32))['params']

    def forward(params, images, dtype):
        return Toy().apply({'params': params}, images)

    return Encoder('toy', stride=5, channels=12, size=33, width=width, forward=forward, initial=initial)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(ENCODERS, 'toy', toy)


def config_of_toy(**changes):
    return tiny_config(**{'encoder.name': 'toy', 'encoder.width': 1.0, 'encoder.weights': 'random', **changes})


def assert_same_params(one, other):
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(one), jax.device_get(other))


def test_the_grid_is_the_encoders_own():
    assert toy().grid(33) == 6
    assert ENCODERS['vgg16'](1 / 16).grid(33) == 5


def test_another_encoder_trains_resumes_evaluates_and_segments(tmp_path):
    train(config_of_toy(), tmp_path / 'whole')
    train(config_of_toy(steps=3), tmp_path / 'resumed')
    train(config_of_toy(), tmp_path / 'resumed')
    networks = [pj.load_network(tmp_path / name) for name in ('whole', 'resumed')]
    assert_same_params(*(network.params for network in networks))
    assert (networks[0].encoder.name, networks[0].step, networks[0].size) == ('toy', 6, 33)
    assert (networks[0].stride, networks[0].channels) == (5, 12)

    row = evaluation.evaluate(config_of_toy(), tmp_path / 'whole')
    assert (row['encoder'], row['checkpoint_step']) == ('toy', 6)
    assert json.loads((tmp_path / 'whole/results.json').read_text())['encoder'] == 'toy'
    np.testing.assert_allclose(row['mean_iou_by_run'], plain_scores(config_of_toy(), tmp_path / 'whole'), rtol=1e-6)

    segmenter = pj.Segmenter(tmp_path / 'whole').fit({'disc': [draw_disc(0)]})
    assert segmenter.predict(draw_disc(1)[0]).labels.shape == (40, 60)
    segmenter.save(tmp_path / 'discs.safetensors')
    again = pj.Segmenter.load(tmp_path / 'discs.safetensors')
    np.testing.assert_array_equal(again.predict(draw_disc(1)[0]).logits, segmenter.predict(draw_disc(1)[0]).logits)


def plain_scores(config, workdir):
    """Mean-IoU of each run, counted episode by episode."""
    network, means = network_to_evaluate(config, workdir), []
    for episodes in evaluation_runs(config):
        sums = np.zeros((3, 21), int)
        for index in range(config.evaluation.episodes):
            draw = episodes.draw(index)
            labels = plain.query_labels(episodes, draw, own_size=False)
            confusions = plain.episode_confusions(network, episodes[index], labels, dtype=config.encoder.dtype)
            sums += class_counts(confusions[None], draw.classes[None], 20, absent_false_positives=False)
        means.append(np.nanmean(iou(sums)[1:6]))
    return means


def test_what_an_encoder_lacks_is_said(tmp_path):
    with pytest.raises(pj.InputError, match='no ImageNet weights for toy'):
        evaluation.evaluate(config_of_toy(checkpoint='', **{'encoder.weights': 'imagenet'}), tmp_path)
    train(config_of_toy(), tmp_path / 'run')
    with pytest.raises(pj.InputError, match=r'has a toy, no VGG-16; load it with pj\.load_network'):
        pj.load_encoder_params(tmp_path / 'run')
    with pytest.raises(pj.InputError, match=r'encoder.name must be vgg16, toy, got .resnet.'):
        evaluation.evaluate(config_of_toy(checkpoint='', **{'encoder.name': 'resnet'}), tmp_path)
