"""ResNet, DINOv2 and DINOv3 go through the whole program: training with frozen blocks, resuming, evaluation, segmenting."""

import jax
import numpy as np
import optax
import pytest
from drawn import draw_disc
from test_seam import assert_same_params, plain_scores
from tiny import tiny_config

import panet_jax as pj
from panet_jax.disk.experiment import check_experiment
from panet_jax.evaluation import evaluate as evaluation
from panet_jax.networks.encoders import encoder_named
from panet_jax.networks.initial import InitialNetwork
from panet_jax.training.step import schedule_of
from panet_jax.training.train import train

ENCODERS = {
    'resnet-tiny': {'encoder.width': 1 / 16, 'data.size': 33},
    'dinov2-tiny': {'encoder.width': 1.0, 'data.size': 42},
    'dinov3-tiny': {'encoder.width': 1.0, 'data.size': 48},
}


def config_of(name, **changes):
    return tiny_config(**{'encoder.name': name, 'encoder.weights': 'random', **ENCODERS[name], **changes})


def differences(one, other):
    """{path of a parameter: whether it differs}."""
    leaves = jax.tree_util.tree_leaves_with_path(
        jax.tree.map(lambda a, b: bool(np.any(np.asarray(a) != b)), one, other)
    )
    return {tuple(key.key for key in path): differs for path, differs in leaves}


EVERY = [*(pytest.param(name, marks=pytest.mark.exhaustive) for name in ('resnet-tiny', 'dinov3-tiny')), 'dinov2-tiny']


@pytest.mark.exhaustive  # `test_seam` does the same with an encoder of its own
@pytest.mark.parametrize('name', ENCODERS)
def test_it_trains_resumes_evaluates_and_segments(tmp_path, name):
    config = config_of(name)
    train(config, tmp_path / 'whole')
    train(config_of(name, steps=3), tmp_path / 'resumed')
    train(config, tmp_path / 'resumed')
    networks = [pj.load_network(tmp_path / folder) for folder in ('whole', 'resumed')]
    assert_same_params(*(network.params for network in networks))
    assert (networks[0].encoder.name, networks[0].size) == (name, config.data.size)
    row = evaluation.evaluate(config, tmp_path / 'whole')
    assert row['encoder'] == name
    np.testing.assert_allclose(row['mean_iou_by_run'], plain_scores(config, tmp_path / 'whole'), rtol=1e-6)
    result = pj.Segmenter(tmp_path / 'whole').fit({'disc': [draw_disc(0)]}).predict(draw_disc(1)[0])
    assert result.labels.shape == (40, 60)


@pytest.mark.parametrize('optimizer', ['sgd', pytest.param('adamw', marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize('name', EVERY)
def test_frozen_blocks_stay_equal_to_the_bit(tmp_path, name, optimizer):
    config = config_of(name, **{'encoder.frozen': 1, 'optimizer.name': optimizer, 'steps': 3})
    encoder = encoder_named(name, config.encoder.width)
    before = InitialNetwork(encoder, 'random', config.seed).load()
    train(config, tmp_path / 'run')
    changed = differences(before, pj.load_network(tmp_path / 'run').params)
    assert all(not differs for path, differs in changed.items() if encoder.block_of(path) <= 1)
    assert any(differs for path, differs in changed.items() if encoder.block_of(path) > 1)
    train(config_of(name, **{'encoder.frozen': 1, 'optimizer.name': optimizer}), tmp_path / 'run')  # goes on


@pytest.mark.exhaustive
def test_statistics_of_batch_norm_are_never_trained(tmp_path):
    config = config_of('resnet-tiny', steps=3)
    train(config, tmp_path / 'run')
    before = InitialNetwork.of(config.encoder, config.seed).load()
    changed = differences(before, pj.load_network(tmp_path / 'run').params)
    assert not any(differs for path, differs in changed.items() if path[-1] in ('mean', 'var'))
    assert changed['layer1_0', 'bn1', 'scale']


def test_the_cosine_with_warm_up():
    config = tiny_config(
        steps=10,
        **{'optimizer.learning_rate': 1.0, 'optimizer.schedule': 'cosine', 'optimizer.warmup': 4},
    )
    rates = [float(schedule_of(config)(step)) for step in range(11)]
    cosine = optax.cosine_decay_schedule(1.0, 10)
    np.testing.assert_allclose(rates, [float(cosine(step)) * min(1, (step + 1) / 4) for step in range(11)], rtol=1e-6)
    assert rates[0] == 0.25
    assert rates[10] < 1e-6


def test_a_size_that_the_encoder_does_not_take_is_told_before_any_work(tmp_path):
    with pytest.raises(pj.InputError, match='dinov2-tiny takes images whose sides are multiples of 14'):
        train(config_of('dinov2-tiny', **{'data.size': 33}), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_a_warm_up_longer_than_the_training_is_refused(tmp_path):
    with pytest.raises(pj.InputError, match=r'optimizer\.warmup must be at most the 6 steps of the training, got 7'):
        train(tiny_config(**{'optimizer.warmup': 7}), tmp_path / 'run')
    assert not (tmp_path / 'run').exists()


def test_training_nothing_is_refused(tmp_path):
    with pytest.raises(pj.InputError, match=r'encoder\.frozen must be below 2, the number of blocks of dinov2-tiny'):
        train(config_of('dinov2-tiny', **{'encoder.frozen': 2}), tmp_path / 'run')


@pytest.mark.parametrize(('name', 'word'), [('vgg16', 'vgg16'), ('resnet50-stage4', 'resnet50')])
def test_a_workdir_accepts_either_word_for_published_weights(tmp_path, name, word):
    def config(weights):
        return tiny_config(**{'encoder.name': name, 'encoder.weights': weights})

    (tmp_path / 'checkpoints/3').mkdir(parents=True)
    for first, second in (('imagenet', word), (word, 'imagenet')):
        (tmp_path / 'config.json').write_text(config(first).to_json())
        check_experiment(tmp_path, config(second))
        with pytest.raises(pj.InputError, match=f"encoder.weights is '{first}' there and 'random' here"):
            check_experiment(tmp_path, config('random'))


@pytest.mark.exhaustive
def test_a_cosine_ends_where_it_was_to_end(tmp_path):
    cosine = {'optimizer.schedule': 'cosine', 'steps': 3}
    train(tiny_config(**cosine), tmp_path / 'run')
    with pytest.raises(pj.InputError, match='steps'):
        train(tiny_config(**cosine | {'steps': 6}), tmp_path / 'run')


def test_synonyms_of_weights_are_one_thing():
    for name, weights, called in (('vgg16', 'vgg16', 'imagenet'), ('resnet50', 'imagenet', 'resnet50')):
        config = tiny_config(**{'encoder.name': name, 'encoder.weights': weights, 'encoder.width': 1.0})
        assert InitialNetwork.of(config.encoder).origin() == called
