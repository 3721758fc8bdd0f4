"""Exported networks, on this machine and on the hub, and segmenters as programs."""

import argparse
import json
import os
import shutil
import subprocess
import sys

import jax
import jax.export
import numpy as np
import pytest
from drawn import draw_disc
from tiny import ROOT, tiny_config

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.experiment import run_experiment
from panet_jax.commands.option_parser import weights_source
from panet_jax.method.vgg16 import vgg16
from panet_jax.networks.exported import describe, write_exported
from panet_jax.networks.history import History, history
from panet_jax.networks.hub import fetch_exported
from panet_jax.results.model_card import model_card
from panet_jax.segmenter.program import exported_program

PAST = History('shapes', ('disc', 'star'))


@pytest.fixture(scope='module')
def network():
    encoder = vgg16(1 / 32)
    return pj.Network(encoder, encoder.initial(jax.random.key(0)), 40, step=7)


@pytest.fixture
def folder(network, tmp_path):
    about = describe(network, PAST, [])
    write_exported(tmp_path / 'net', network, about, model_card('net', 'net', about, []))
    return tmp_path / 'net'


def test_an_exported_network_is_loaded_as_it_was(network, folder):
    loaded = pj.load_network(folder)
    assert (loaded.hash, loaded.size, loaded.step) == (network.hash, 40, 7)
    assert loaded.origin == str(folder.resolve())
    assert pj.Segmenter(folder).size == 40
    assert history(folder) == PAST  # so that it is not evaluated on classes that it has seen


def test_it_may_be_exported_again_but_not_over_other_files(network, folder, tmp_path):
    write_exported(folder, network, describe(network, PAST, []), '')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'thesis.tex').write_text('')
    with pytest.raises(pj.InputError, match='other exists and holds no exported network'):
        write_exported(tmp_path / 'other', network, describe(network, PAST, []), '')


DAMAGES = {
    'hash': ({'hash': '0' * 12}, 'model.json says 000000000000; get them again'),
    'format': ({'format': 2}, 'has the format 2, wanted 1'),
    'size': ({'size': '40'}, 'must be whole numbers'),
}


@pytest.mark.parametrize(('change', 'sentence'), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused(folder, change, sentence):
    about = json.loads((folder / 'model.json').read_text())
    (folder / 'model.json').write_text(json.dumps(about | change))
    with pytest.raises(pj.InputError, match=sentence):
        pj.load_network(folder)
    (folder / 'model.json').write_text('[')
    with pytest.raises(pj.InputError, match='is no description of a network'):
        pj.load_network(folder)


def test_the_hub_is_asked_for_the_files_of_a_revision(folder):
    asked = []

    def fetch(*what):
        asked.append(what)
        return str(folder)

    assert fetch_exported('hf://user/pets', fetch) == folder
    assert fetch_exported('hf://user/pets.v2@refs/pr/1', fetch) == folder
    files = ['model.json', 'encoder.safetensors', 'README.md']
    assert asked == [('user/pets', None, files), ('user/pets.v2', 'refs/pr/1', files)]


@pytest.mark.parametrize('address', ['hf://', 'hf://pets', 'hf://user/pets/more', 'hf://user/pets@'])
def test_wrong_addresses_are_told(address, tmp_path):
    with pytest.raises(pj.InputError, match='a network on the hub is hf://USER/NAME'):
        pj.Segmenter(address)
    with pytest.raises(pj.InputError, match=r'has no model\.json'):
        fetch_exported('hf://user/pets', lambda *_: str(tmp_path))


def test_the_option_for_weights_takes_addresses_and_folders(folder):
    assert weights_source('hf://user/pets') == 'hf://user/pets'
    assert weights_source(str(folder)) == str(folder)
    with pytest.raises(argparse.ArgumentTypeError):
        weights_source('s3://user/pets')


@pytest.mark.exhaustive
def test_the_segmenter_loads_what_the_hubs_cache_has(folder, tmp_path):
    """huggingface_hub itself, without a network: its cache has one repository."""
    repository = tmp_path / 'home/hub/models--user--pets'
    shutil.copytree(folder, repository / 'snapshots' / ('a' * 40))
    (repository / 'refs').mkdir()
    (repository / 'refs/main').write_text('a' * 40)
    environment = os.environ | {'HF_HOME': str(tmp_path / 'home'), 'HF_HUB_OFFLINE': '1', 'PYTHONPATH': str(ROOT)}
    code = 'import panet_jax as pj; s = pj.Segmenter("hf://user/{}"); print(s.weights, s.network.step, s.size)'
    done, missing = (
        subprocess.run([sys.executable, '-c', code.format(name)], env=environment, capture_output=True, text=True)
        for name in ('pets', 'none')
    )
    assert done.stdout == 'hf://user/pets 7 40\n', done.stderr
    assert 'InputError: hf://user/none cannot be downloaded from the hub' in missing.stderr


def segmenter_of(network, head):
    """A segmenter with two classes and three references."""
    segmenter = pj.Segmenter(network, head=head, edges=False)
    photos = [draw_disc(seed, shape=(60, 70), center=(25, 30), radius=14) for seed in range(3)]
    return segmenter.fit({'disc': photos[:2], 'other': photos[2:]})


@pytest.mark.parametrize('head', ['adapted', 'panet'])
def test_the_program_of_a_segmenter_computes_what_it_predicts(network, head):
    segmenter = segmenter_of(network, head)
    program = jax.export.deserialize(bytearray(exported_program(segmenter)))
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    probabilities = program.call(image[None])
    assert probabilities.shape == (1, 40, 40, 3)
    np.testing.assert_allclose(probabilities[0].transpose(2, 0, 1), segmenter.predict(image).probabilities, atol=1e-5)


def typed(capsys, *words):
    with pytest.raises(SystemExit) as end:
        cli.run(words)
    out, err = capsys.readouterr()
    return end.value.code, out, err


def test_the_command_writes_a_program(folder, tmp_path, capsys):
    segmenter_of(pj.load_network(folder), 'panet').save(tmp_path / 'pets.safetensors')
    words = ('export', str(tmp_path / 'pets.safetensors'), '--stablehlo', str(tmp_path / 'pets.stablehlo'))
    status, out, _ = typed(capsys, *words)
    assert (status, '[1, 40, 40, 3] float32 of background, disc, other' in out) == (0, True)
    program = jax.export.deserialize(bytearray((tmp_path / 'pets.stablehlo').read_bytes()))
    assert set(program.platforms) >= {'cpu', 'cuda', 'tpu'}
    assert 'stablehlo.convolution' in program.mlir_module()


MISTAKES = {
    'nothing': ([], 'required: RUN_OR_SEGMENTER'),
    'missing': (['nope'], 'there is no nope; name the workdir of a training, or a saved segmenter.'),
    'no target': (['net/model.json'], 'is a file; name the file to write with --stablehlo FILE or --onnx FILE.'),
    'file with out': (['net/model.json', '--out=x'], '--out is for a training, and net/model.json is a file.'),
    'folder with program': (['net', '--stablehlo=x'], '--stablehlo is for a saved segmenter, and net is a folder.'),
    'folder with model': (['net', '--onnx=x'], '--onnx is for a saved segmenter, and net is a folder.'),
    'folder of target': (['net/encoder.safetensors', '--stablehlo=a/b'], 'there is no folder a for b'),
    'itself': (['net/encoder.safetensors', '--onnx=net/../net/encoder.safetensors'], 'would be written over'),
    'one file for two': (
        ['net/encoder.safetensors', '--onnx=x', '--stablehlo=x'],
        'x would be written over; name another',
    ),
    'no segmenter': (['net/encoder.safetensors', '--stablehlo=x'], 'holds arrays, but no segmenter'),
}


@pytest.mark.parametrize(('words', 'sentence'), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_one_sentence(folder, capsys, monkeypatch, words, sentence):
    monkeypatch.chdir(folder.parent)
    status, out, err = typed(capsys, 'export', *words)
    assert (status, out, err.count('\n')) == (2, '', 1)
    assert sentence in err


@pytest.mark.exhaustive
def test_a_training_is_exported_with_its_results_and_without_paths(tmp_path, capsys):
    with jax.numpy_dtype_promotion('standard'):  # optax's schedules promote
        run_experiment(tiny_config(), tmp_path / 'run', None)
    status, out, _ = typed(capsys, 'export', str(tmp_path / 'run'), '--out', str(tmp_path / 'net'))
    assert (status, 'of step 6 and 1 result(s)' in out) == (0, True)
    network = pj.load_network(tmp_path / 'net')
    assert (network.hash, network.size) == (pj.load_network(tmp_path / 'run').hash, 33)
    about, card = ((tmp_path / 'net' / name).read_text() for name in ('model.json', 'README.md'))
    assert json.loads(about)['results'][0]['episodes'] == 5
    assert 'mean-IoU' in card
    assert str(tmp_path) not in about + card
