"""The expected IoU: it falls where the two heads disagree, and where the class hardly stands out."""

import jax
import numpy as np
import pytest
from drawn import draw_disc

import panet_jax as pj
from panet_jax.method.expected_iou import expected_iou
from panet_jax.method.prototypes import margins

expected = jax.jit(expected_iou)


def logits_of(mask, contrast=6.0):
    """Logits of background and one class, with this margin on both sides of the mask's edge."""
    return np.stack([np.zeros(mask.shape), np.where(mask, contrast, -contrast)], -1).astype(np.float32)


@pytest.fixture
def mask():
    mask = np.zeros((12, 10), bool)
    mask[3:9, 2:6] = True
    return mask


def test_it_falls_with_agreement_and_contrast(mask):
    clear = expected(logits_of(mask), logits_of(mask))[0]
    shifted = expected(logits_of(np.roll(mask, 3, 0)), logits_of(mask))[0]
    faint = expected(logits_of(mask, 1), logits_of(mask, 1))[0]
    assert 1 > clear > shifted > 0
    assert clear > faint > 0


def test_a_class_of_which_nothing_is_found_has_a_low_one(mask):
    nothing = logits_of(np.zeros_like(mask), 2)
    nothing[5, 5, 1] += 1
    value = expected(nothing, nothing)[0]
    assert 0 < value < expected(logits_of(mask), logits_of(mask))[0]


def test_classes_are_judged_by_themselves(rng):
    plain, adapted = rng.normal(0, 4, (2, 9, 8, 4)).astype(np.float32)
    order = [0, 2, 3, 1]
    np.testing.assert_allclose(
        expected(plain[..., order], adapted[..., order]), expected(plain, adapted)[np.array([1, 2, 0])], rtol=1e-5
    )


def test_margins_are_above_zero_where_the_class_is_segmented(rng):
    logits = rng.normal(size=(9, 8, 4)).astype(np.float32)
    for label, margin in enumerate(margins(logits), 1):
        np.testing.assert_array_equal(margin > 0, logits.argmax(-1) == label)
        np.testing.assert_allclose(margin, logits[..., label] - np.delete(logits, label, -1).max(-1), rtol=1e-5)


def test_a_segmentation_says_it_for_each_class_that_it_has(narrow_params):
    segmenter = pj.Segmenter(narrow_params, size=33).fit({'disc': [draw_disc(0), draw_disc(1)]})
    result = segmenter.predict(draw_disc(2)[0])
    assert 0 < result.expected_iou['disc'] < 1
    left_out = segmenter.predict(draw_disc(2)[0], present_above=1.0)
    assert left_out.expected_iou == {}
