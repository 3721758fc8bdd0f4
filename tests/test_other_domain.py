"""benchmarks/other_domain.py on a drawn picture."""

import re

import numpy as np
import other_domain
import pytest
from PIL import Image

import panet_jax as pj


@pytest.fixture
def picture(tmp_path, narrow_params):
    """Four bright squares on a dark ground, in 16 bits, and their mask."""
    mask = np.zeros((80, 80), np.uint8)
    for row in (10, 50):
        for column in (10, 50):
            mask[row : row + 20, column : column + 20] = 1
    pixels = np.random.default_rng(0).integers(0, 200, mask.shape) + 3000 * mask.astype(int)
    Image.fromarray(pixels.astype(np.uint16)).save(tmp_path / 'image.tif')
    Image.fromarray(mask).save(tmp_path / 'mask.png')
    pj.save_encoder_params(tmp_path / 'narrow.safetensors', narrow_params)
    return tmp_path


def words(folder):
    files = {'--image': 'image.tif', '--mask': 'mask.png', '--weights': 'narrow.safetensors'}
    return [*(f'{option}={folder / name}' for option, name in files.items()), '--size=65']


@pytest.mark.exhaustive
def test_each_quarter_is_the_reference_once(picture, capsys):
    other_domain.main(words(picture))
    out = capsys.readouterr().out
    ious = {head: float(iou) for head, iou in re.findall(r'^(\w+): IoU (\S+) of 12 quarters', out, re.MULTILINE)}
    assert list(ious) == list(other_domain.HEADS)
    assert 'everything taken for the class: IoU 0.250' in out
    assert ious['panet'] > 0.3


@pytest.mark.parametrize(
    ('name', 'mask', 'sentence'),
    [
        ('mask.png', np.zeros((80, 80), np.uint8), 'fewer than two quarters'),
        ('mask.png', np.ones((80, 79), np.uint8), r'the mask must be \[H, W\] as the picture \(80, 80\)'),
        ('image.tif', None, 'cannot be read'),
    ],
)
def test_a_mistake_is_one_sentence(picture, capsys, name, mask, sentence):
    if mask is None:
        (picture / name).write_bytes(b'no picture')
    else:
        Image.fromarray(mask).save(picture / name)
    with pytest.raises(SystemExit) as ended:
        other_domain.main(words(picture))
    assert ended.value.code == 2
    assert re.search(sentence, capsys.readouterr().err)
