"""benchmarks/seeds.py: the spread over training seeds."""

import json

import numpy as np
import pytest
import seeds
from tiny import tiny_config

from panet_jax.errors import InputError


def scores(mean, binary):
    return {'mean_iou': mean, 'binary_iou': binary}


def test_the_summary_is_over_training_seeds():
    results = {seed: {'untrained': scores(0.1, 0.4), 'trained': scores(seed / 10, 0.6)} for seed in (2, 3, 7)}
    summary = seeds.summary(results)
    expected = {'mean': 0.4, 'std': np.sqrt(0.07), 'min': 0.2, 'max': 0.7}
    assert summary['trained']['mean_iou'] == pytest.approx(expected)
    assert summary['untrained']['mean_iou'] == pytest.approx({'mean': 0.1, 'std': 0, 'min': 0.1, 'max': 0.1})
    assert set(seeds.summary({5: results[7]})['trained']['binary_iou']) == {'mean', 'min', 'max'}


@pytest.mark.exhaustive
def test_seeds_differ_and_what_is_finished_is_not_run_again(tmp_path, capsys):
    config = tiny_config(**{'evaluation.pictures': 0, 'steps': 2, 'evaluation.runs': 1})
    seeds.run(config, [1, 2], tmp_path)
    table = capsys.readouterr().out
    for text in ('shapes test, fold 0', 'untrained mean-IoU', 'trained binary-IoU', 'seed 1', 'seed 2', 'std', 'max'):
        assert text in table
    content = json.loads((tmp_path / 'seeds.json').read_text())
    hashes = [content['results'][seed][n]['network_hash'] for seed in '12' for n in ('untrained', 'trained')]
    assert len(set(hashes)) == 4
    first = content['results']['1']['trained']
    assert first['seeds'] == content['results']['2']['trained']['seeds'] == [config.evaluation.seed]

    network = tmp_path / 'seed-1/encoder.safetensors'
    written = network.stat().st_mtime_ns
    seeds.run(config, [2, 1], tmp_path)
    assert json.loads((tmp_path / 'seeds.json').read_text())['results']['1']['trained'] == first
    assert network.stat().st_mtime_ns == written, 'trained again'
    config.evaluation.seed = 7
    seeds.run(config, [1], tmp_path)
    assert json.loads((tmp_path / 'seeds.json').read_text())['results']['1']['trained']['seeds'] == [7]


@pytest.mark.parametrize('text', ['', '1,x', '-1', '1.5'])
def test_a_seed_that_is_no_number_is_one_sentence(text):
    with pytest.raises(InputError, match='whole numbers such as --seeds=1,2,3'):
        seeds.parse_seeds(text)
