"""benchmarks/quality.py on a user's folder."""

import re

import negatives
import numpy as np
import pytest
import quality
import quality_pictures
from PIL import Image


@pytest.mark.exhaustive
def test_masks_are_scored_by_head_and_annotation(run_on_folder):
    status, out, _ = run_on_folder(quality.main, '--root=own', '--shots', '1', '--draws=1', '--folder-draws=0')
    assert status == 0
    rows = re.findall(
        r'^(\w+), 1 reference\(s\) +(\w+(?:, understood)?) +(\S+) +(\S+) +(\S+) +(\S+) 2, (\d+)$', out, re.MULTILINE
    )
    regions = [f'{head}, understood' for head in quality.HEADS[1:]]
    ways = {'dense': quality.HEADS, **dict.fromkeys(('box', 'points', 'click'), (*quality.HEADS, *regions))}
    assert [row[:2] for row in rows] == [(kind, way) for kind, of_kind in ways.items() for way in of_kind]
    for row in rows:
        assert all(0 <= float(value) <= 1 for value in row[2:5])
    assert re.search(r'expected IoU of \d+ masks: [01]\.\d+, true 0\.\d+; rank correlation', out)


def test_negatives_are_measured_with_the_same_options(run_on_folder):
    _, out, _ = run_on_folder(negatives.main, '--root=own', '--shots', '1', '--others=2')
    rows = re.findall(r'^ +1 +(\d) +(\S+) +(\S+) 2$', out, re.MULTILINE)
    assert [int(count) for count, *_ in rows] == list(negatives.COUNTS)
    assert all(0 <= float(value) <= 1 for _, *values in rows for value in values)


def test_a_mistake_is_one_sentence(run_on_folder):
    for arguments, sentence in (
        (['--root=own', '--shots', '20'], 'no class covers 3% of 20 photograph'),
        (['--root=nowhere'], "'nowhere' has none of: images/ and masks/"),
    ):
        status, _, err = run_on_folder(quality.main, *arguments)
        assert status == 2
        assert sentence in err
        assert 'Traceback' not in err


def test_a_mask_is_scored_by_overlap_and_boundary():
    truth = np.zeros((50, 50), bool)
    truth[10:30, 10:30] = True
    everywhere = np.ones_like(truth)
    assert quality.mask_scores(truth, truth, everywhere) == (1, True, 1)
    shifted = np.roll(truth, 10, 1)
    iou, above, edges = quality.mask_scores(shifted, truth, everywhere)
    assert iou == pytest.approx(1 / 3)
    assert not above
    assert 0 < edges < 0.6


@pytest.mark.exhaustive
def test_pictures_show_what_the_table_counts(run_on_folder, tmp_path):
    words = ('--root=own', '--out', str(tmp_path / 'pictures.png'), '--count', '3')
    status, out, _ = run_on_folder(quality_pictures.main, *words)
    assert status == 0
    lines = out.splitlines()
    assert lines[-1].startswith('3 queries: ')
    assert len(lines) == 4
    with Image.open(tmp_path / 'pictures.png') as picture:
        assert picture.size == (2 * 4 * quality_pictures.SIDE, 2 * quality_pictures.SIDE)
        assert not np.asarray(picture)[quality_pictures.SIDE :, 4 * quality_pictures.SIDE :].any()  # there is no fourth
