"""The whole circle, in small: references, labels of photographs, an export, a check, a training, and its network."""

import json

import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image
from tiny import ROOT
from typed import run_typed

import panet_jax as pj

pytestmark = pytest.mark.exhaustive
COLORS = {'cat': (230, 40, 30), 'cow': (30, 200, 60), 'dog': (20, 60, 240)}
SMALL = [
    *('--config.data.size=33', '--config.encoder.width=0.0625', '--config.encoder.weights=narrow.safetensors'),
    *('--config.steps=20', '--config.batch=2', '--config.log_every=10', '--config.loader.threads=2'),
    *('--config.evaluation.runs=1', '--config.evaluation.episodes=3', '--config.evaluation.pictures=0'),
]


@pytest.fixture
def folder(current_folder, narrow_params):
    """Five annotated photographs in refs/, and forty others in in/: three discs in each."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    for number in range(45):
        home = current_folder / ('refs' if number < 5 else 'in')
        photo, masks = np.zeros((60, 90, 3), np.uint8), {}
        for place, (name, color) in enumerate(COLORS.items()):
            third, masks[name] = draw_disc(3 * number + place, (60, 30), color, center=(15 + number % 30, 15))
            photo[:, 30 * place : 30 * place + 30] = third
        (home / 'images').mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo).save(home / f'images/{number:02d}.png')
        for place, name in enumerate(masks if number < 5 else ()):
            (home / 'masks' / name).mkdir(parents=True, exist_ok=True)
            mask = np.zeros((60, 90), bool)
            mask[:, 30 * place : 30 * place + 30] = masks[name]
            Image.fromarray(mask).save(home / f'masks/{name}/{number:02d}.png')
    return current_folder


@pytest.mark.parametrize('name', ['coco', 'yolo'])
def test_five_references_become_a_data_set_that_is_checked_trained_on_and_used(folder, name):
    def succeed(how, *words):
        status, printed = run_typed(how, words, folder, {'TFDS_DATA_DIR': str(folder / 'prepared')})
        assert status == 0, printed
        return printed

    predict = ('panet-jax', 'predict', '--weights=narrow.safetensors', '--size=33')
    succeed(
        'console script', *predict, '--support-dir=refs', '--query=in/images/*.png', '--out=out', f'--format={name}'
    )
    printed = succeed('console script', 'panet-jax', 'data', 'check', 'out', '--unseen=cat', '--sheet=')
    assert 'Training can start' in printed
    main = ('main', '--config=configs/custom.py', '--config.data.root=out', '--config.data.unseen=cat', '--workdir=run')
    lists = ('--config.data.train_split=all', '--config.data.test_split=all')
    (folder / 'configs').symlink_to(ROOT / 'configs')
    succeed('program', *main, *lists, *SMALL)
    words = ('--weights=run', '--support-dir=out', '--query', 'in/images/05.png', 'in/images/06.png', '--out=again')
    succeed('console script', 'panet-jax', 'predict', *words, '--format=coco')
    data = json.loads((folder / 'again/annotations.json').read_text())
    assert [one['name'] for one in data['categories']] == sorted(COLORS)
    assert [one['file_name'] for one in data['images']] == ['05.png', '06.png']
