"""A workdir holds one experiment on one set of data, and its newest network is the one that is taken."""

import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from folders import make_coco, make_own, make_voc
from PIL import Image
from tiny import load_config, tiny_config

import panet_jax as pj
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.disk.workdir import default_table_workdir, default_workdir
from panet_jax.evaluation import evaluate as evaluation
from panet_jax.evaluation import table
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.method.vgg16 import vgg16
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.results.tables import format_table, results_table
from panet_jax.training import train as training
from panet_jax.training.episodes import training_episodes


def make_own_coco(root):
    make_coco(root)
    return shutil.move(root / 'train2014', root / 'images')


MAKE = {
    'masks': (make_own, 'custom', 'all', 'images'),
    'json': (make_own_coco, 'custom', 'train2014', 'images'),
    'voc': (make_voc, 'pascal5i', 'trainval', 'VOCdevkit/VOC2012/JPEGImages'),
    'coco': (make_coco, 'coco20i', 'train2014', 'train2014'),
}


@pytest.mark.parametrize('kind', MAKE)
def test_the_fingerprint_of_data_is_of_their_content_alone(tmp_path, kind):
    make, dataset, split, photos = MAKE[kind]
    make(tmp_path / 'a/photos')
    shutil.copytree(tmp_path / 'a/photos', tmp_path / 'b/photos')
    for path in (tmp_path / 'b').rglob('*.*'):
        os.utime(path, ns=(1, 1))

    def fingerprint(folder):
        return Prepared(prepare_list(dataset, split, tmp_path / folder / 'photos', tmp_path / 'home')).fingerprint

    same = fingerprint('a')
    assert fingerprint('b') == same  # as on another machine
    path = sorted((tmp_path / 'b/photos' / photos).iterdir())[0]
    Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(path)
    assert fingerprint('b') != same


def test_a_mask_that_moved_and_a_class_that_was_renamed_are_other_data(tmp_path):
    def fingerprint():
        return Prepared(prepare_list('custom', 'all', tmp_path / 'own', tmp_path / 'home')).fingerprint

    make_own(tmp_path / 'own')
    before = fingerprint()
    (tmp_path / 'own/classes.txt').write_text('cat\nhorse\n')
    renamed = fingerprint()
    path = tmp_path / 'own/masks/photo 0.png'
    Image.open(path).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(path)  # the areas are the same
    assert len({before, renamed, fingerprint()}) == 3


def own_config(root, home, **changes):
    tiny = tiny_config()
    config = load_config('custom')
    for part in ('encoder', 'loader', 'evaluation', 'optimizer'):
        config[part].update(tiny[part])
    config.update_from_flattened_dict(
        {'steps': 2, 'batch': 2, 'data.size': 33, 'data.root': str(root), 'data.prepared_dir': str(home)}
        | {'data.unseen': ('dog',), 'evaluation.untrained': False, **changes}
    )
    return config


def test_two_folders_of_one_name_do_not_share_a_workdir(tmp_path):
    make_own(tmp_path / 'a/photos', by_class=True)
    shutil.copytree(tmp_path / 'a/photos', tmp_path / 'b/photos')
    path = tmp_path / 'b/photos/images/photo 1.jpg'
    Image.open(path).transpose(Image.Transpose.ROTATE_180).save(path)
    one, other = (own_config(tmp_path / name / 'photos', tmp_path / 'home') for name in 'ab')
    for default in (default_workdir, default_table_workdir):
        assert default(one).startswith('runs/custom-photos-')
        assert default(one) != default(other)
    training.train(one, tmp_path / 'run')
    training.train(one, tmp_path / 'run')
    with pytest.raises(
        pj.InputError, match=r"run was trained on 6 images of 'all' in .*a/photos \(.*b/photos .*choose"
    ):
        training.train(other, tmp_path / 'run')


def test_changed_data_are_not_gone_on_with(tmp_path):
    training.train(tiny_config(steps=1, checkpoint_every=1), tmp_path)
    episodes = training_episodes(tiny_config())
    episodes.source.fingerprint = 'another'
    with pytest.raises(
        pj.InputError, match=r'\(fingerprint shapes-1\), but the data now are .*\(fingerprint another\)'
    ):
        training.train(tiny_config(steps=2), tmp_path, episodes=episodes)
    with pytest.raises(ZeroDivisionError):
        training.train(tiny_config(), tmp_path / 'other', after_step=lambda _: 1 / 0)  # dies in its first step
    assert json.loads((tmp_path / 'other/classes.json').read_text())['data']['fingerprint'] == 'shapes-1'


def test_a_workdir_of_an_earlier_version_goes_on_with_a_warning(tmp_path, caplog):
    training.train(tiny_config(steps=1, checkpoint_every=1), tmp_path)
    seen = json.loads((tmp_path / 'classes.json').read_text())['seen']
    (tmp_path / 'classes.json').write_text(json.dumps({'seen': seen}))
    training.train(tiny_config(steps=1), tmp_path)
    assert 'does not say on which data it was trained' in caplog.text
    assert {'data', 'before'} < set(json.loads((tmp_path / 'classes.json').read_text()))


def test_a_training_resumes_without_its_initial_weights(tmp_path, narrow_params):
    weights = tmp_path / 'narrow.safetensors'
    pj.save_encoder_params(weights, narrow_params)
    named = {'encoder.weights': str(weights), 'encoder.width': 1 / 16}
    training.train(tiny_config(steps=1, checkpoint_every=1, **named), tmp_path / 'run')
    weights.unlink()  # as on the next machine of a job that was preempted
    training.train(tiny_config(steps=2, **named), tmp_path / 'run')
    assert pj.load_network(tmp_path / 'run').step == 2


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Fold 0 of shapes, whose step 3 is an earlier end."""
    workdir = tmp_path_factory.mktemp('trained')
    training.train(tiny_config(steps=3), workdir)
    shutil.copy(workdir / 'encoder.safetensors', workdir / 'early.safetensors')
    training.train(tiny_config(), workdir)
    return workdir


def given(weights, **changes):
    return tiny_config(checkpoint='', **{'encoder.weights': str(weights), 'evaluation.pictures': 1, **changes})


@pytest.mark.parametrize('weights', ['', 'encoder.safetensors', 'early.safetensors'])
def test_weights_are_not_evaluated_on_the_classes_that_they_were_trained_on(trained, tmp_path, weights):
    with pytest.raises(pj.InputError, match='was trained on square, heart, gear, tee, leaf, so it cannot be evaluated'):
        evaluation.evaluate(given(trained / weights, **{'data.fold': 1}), tmp_path)
    with pytest.raises(pj.InputError, match='was trained on square, heart'):
        training.train(tiny_config(**{'encoder.weights': str(trained / weights), 'data.fold': 1}), tmp_path / 'on')


def test_weights_from_a_training_are_given_and_not_untrained(trained, tmp_path):
    results = evaluation.evaluate(given(trained), tmp_path)
    assert (results['trained_on'], results['unknown_training']) == ('shapes', '')
    text = format_table(results_table([results], tmp_path))
    assert f'given: {trained.name}' in text
    assert 'untrained' not in text
    assert list((tmp_path / 'pictures').glob(f'given-{trained.name}-1way*'))


@pytest.mark.exhaustive
def test_weights_of_unknown_training_are_named_with_a_remark(trained, tmp_path):
    params = pj.load_encoder_params(trained)
    pj.save_encoder_params(tmp_path / 'snapshot.safetensors', params)
    config = given(tmp_path / 'snapshot.safetensors', **{'table.folds': (0,), 'table.shots': (1,)})
    summary = table.make_table(config, tmp_path / 'table')
    assert summary.rows[0][0] == 'given: snapshot.safetensors, dense, 1-shot'
    assert any('it is unknown what snapshot.safetensors was trained on' in note for note in summary.notes)
    training.train(tiny_config(steps=1, **{'encoder.weights': config.encoder.weights}), tmp_path / 'on')
    results = evaluation.evaluate(tiny_config(**{'encoder.weights': config.encoder.weights}), tmp_path / 'on')
    assert results['unknown_training'] == 'snapshot.safetensors'


def test_what_a_training_began_with_is_checked_even_when_that_is_gone(trained, tmp_path):
    shutil.copytree(trained, tmp_path / 'first')
    config = tiny_config(steps=1, **{'encoder.weights': str(tmp_path / 'first')})
    training.train(config, tmp_path / 'second')
    shutil.rmtree(tmp_path / 'first')
    seen = json.loads((tmp_path / 'second/classes.json').read_text())['before']['seen']
    assert seen == json.loads((trained / 'classes.json').read_text())['seen']
    with pytest.raises(pj.InputError, match='second was trained on square'):
        evaluation.evaluate(given(tmp_path / 'second', **{'data.fold': 1}), tmp_path / 'other')


def test_the_row_of_a_checkpoint_names_the_weights_that_it_began_with(trained, tmp_path):
    results = evaluation.evaluate(tiny_config(checkpoint=str(trained), **{'encoder.weights': 'imagenet'}), tmp_path)
    assert results['weights'] == 'random'


def assert_params(found, expected):
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize('metadata', [True, False], ids=['with its step', 'of an earlier version'])
def test_the_newest_network_of_a_workdir_is_taken(trained, tmp_path, metadata):
    """Training went on after an earlier end, and was stopped."""
    shutil.copytree(trained, tmp_path / 'run')
    path = tmp_path / 'run/encoder.safetensors'
    shutil.copy(trained / 'early.safetensors', path)
    if not metadata:
        pj.save_encoder_params(path, pj.load_encoder_params(path))
    with Checkpoints(trained) as checkpoints:
        newest = checkpoints.restore_params(6, vgg16(1 / 32).shapes())
    assert_params(pj.load_encoder_params(tmp_path / 'run'), newest)
    assert_params(pj.load_network(tmp_path / 'run').params, newest)
    network = network_to_evaluate(tiny_config(), tmp_path / 'run')
    assert network.step == 6
    assert_params(network.params, newest)


def test_a_network_says_its_step_and_classes_in_its_file(trained):
    with safetensors.safe_open(trained / 'encoder.safetensors', 'numpy') as file:
        about = file.metadata()
    assert (about['step'], about['dataset'], about['unknown']) == ('6', 'shapes', '')
    assert json.loads(about['seen'])[0] == 'square'


@pytest.mark.parametrize('metadata', [True, False], ids=['with its step', 'of an earlier version'])
def test_without_checkpoints_the_trained_network_is_evaluated(trained, tmp_path, metadata):
    expected = evaluation.evaluate(tiny_config(), shutil.copytree(trained, tmp_path / 'whole'))
    shutil.copytree(trained, tmp_path / 'run')
    shutil.rmtree(tmp_path / 'run/checkpoints')
    path = tmp_path / 'run/encoder.safetensors'
    if not metadata:
        pj.save_encoder_params(path, pj.load_encoder_params(path))
        (tmp_path / 'run/checkpoints/6.orbax-checkpoint-tmp').mkdir(parents=True)  # unfinished
    results = evaluation.evaluate(tiny_config(), tmp_path / 'run')
    assert (results['checkpoint_step'], results['mean_iou']) == (6, expected['mean_iou'])
    with pytest.raises(pj.InputError, match=r'no checkpoint of step 3 in .*; steps there: 6'):
        evaluation.evaluate(tiny_config(checkpoint='3'), tmp_path / 'run')
    if not metadata:
        (tmp_path / 'run/metrics.jsonl').unlink()
        with pytest.raises(
            pj.InputError, match=r'does not say its step, .* no complete checkpoint; .*--config\.encoder\.weights='
        ):
            evaluation.evaluate(tiny_config(), tmp_path / 'run')


def test_an_unfinished_checkpoint_alone_is_no_network(trained, tmp_path):
    workdir = tmp_path / 'run'
    (workdir / 'checkpoints/2.orbax-checkpoint-tmp').mkdir(parents=True)
    (workdir / 'config.json').write_text(json.dumps(tiny_config().to_dict()))
    with pytest.raises(pj.InputError, match=r'has no complete checkpoint; train first'):
        evaluation.evaluate(tiny_config(), workdir)
    with pytest.raises(pj.InputError, match=r'neither encoder\.safetensors nor a complete checkpoint; train first'):
        pj.load_network(workdir)


@pytest.mark.parametrize(
    ('left', 'otherwise'),
    [('encoder.safetensors', 'evaluate this one with --mode=evaluate'), ('metrics.jsonl', r'remove metrics\.jsonl')],
)
def test_training_does_not_write_over_one_whose_checkpoints_are_gone(trained, tmp_path, left, otherwise):
    workdir = shutil.copytree(trained, tmp_path / 'run')
    shutil.rmtree(workdir / 'checkpoints')
    config = tiny_config(checkpoint_every=1)
    (workdir / 'config.json').write_text(json.dumps(config.to_dict()))
    if left == 'metrics.jsonl':
        (workdir / 'encoder.safetensors').unlink()
    before = {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()}
    for other in (config, tiny_config(seed=7)):
        with pytest.raises(pj.InputError, match=rf'has {left} of a training, but no complete checkpoint .*{otherwise}'):
            training.train(other, workdir)
    assert {path: path.read_bytes() for path in workdir.rglob('*') if path.is_file()} == before


def test_a_training_that_died_before_its_first_checkpoint_begins_again(tmp_path):
    (tmp_path / 'config.json').write_text(json.dumps(tiny_config().to_dict()))
    (tmp_path / 'metrics.jsonl').write_text('{"step": 2, "loss": 1.0}\n')
    training.train(tiny_config(), tmp_path)
    assert Path(tmp_path / 'encoder.safetensors').exists()
