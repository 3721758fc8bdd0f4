"""Negatives: images and parts of images that show no class."""

import numpy as np
import pytest
from drawn import draw_disc

import panet_jax as pj
from panet_jax.commands.supports import parse_negative
from panet_jax.segmenter.fingerprint import fingerprint

SIZE = 33
RED, BLUE = (220, 40, 30), (20, 60, 240)


@pytest.fixture
def segmenter(narrow_params):
    return pj.Segmenter(narrow_params, size=SIZE).fit({'red': [draw_disc(0, color=RED)]})


def test_a_whole_image_is_one_more_background(segmenter):
    image, _ = draw_disc(1, color=BLUE)
    before = segmenter.references.prototypes()
    after = segmenter.add_negative(image).references.prototypes()
    np.testing.assert_array_equal(after[1], before[1])
    (negative,) = segmenter.references.negatives
    features = segmenter.references.images[negative.image].features
    mean = pj.masked_mean(features, np.ones((SIZE, SIZE), np.float32))
    np.testing.assert_allclose(after[0], (before[0] + mean) / 2, atol=1e-5)


def test_the_image_itself_looks_more_like_background(segmenter):
    segmenter.head, segmenter.edges = 'panet', False
    image, _ = draw_disc(1, color=(200, 60, 60))
    before = segmenter.predict(image).logits
    after = segmenter.add_negative(image).predict(image).logits
    assert after[..., 0].mean() > before[..., 0].mean()
    np.testing.assert_allclose(after[..., 1], before[..., 1], atol=1e-5)


def test_a_part_of_an_image_leaves_the_rest_unknown(segmenter):
    image, mask = draw_disc(1, color=BLUE)
    segmenter.add_negative(image, mask)
    (negative,) = segmenter.references.negatives
    assert 0 < negative.region.mean() < 1
    assert segmenter.references.images[negative.image].background.count == negative.region.sum()
    segmenter.predict(image, present_above=0.1)


def test_a_negative_beside_a_class_in_one_image_is_background_without_the_class(segmenter):
    segmenter.add_negative(draw_disc(0, color=RED)[0])
    assert len(segmenter.references.images) == 1
    (of_image,) = segmenter.references.images.values()
    (reference,) = segmenter.references.references
    assert of_image.background.count == SIZE**2 - reference.marks.foreground.sum()


def test_negatives_are_saved_and_loaded(segmenter, tmp_path):
    segmenter.add_negative(draw_disc(1, color=BLUE)[0]).add_negative(*draw_disc(2, color=BLUE))
    segmenter.add('blue', draw_disc(3, color=BLUE)[0], pj.Points([(20, 20)]))
    segmenter.save(tmp_path / 'red.safetensors')
    loaded = pj.Segmenter.load(tmp_path / 'red.safetensors', segmenter.network)
    np.testing.assert_array_equal(loaded.references.prototypes(), segmenter.references.prototypes())
    for ours, theirs in zip(segmenter.references.negatives, loaded.references.negatives, strict=True):
        assert ours.image == theirs.image
        np.testing.assert_array_equal(ours.region, theirs.region)
    assert fingerprint(loaded) == fingerprint(segmenter)
    loaded.add('green', *draw_disc(4))
    assert len(loaded.references.negatives) == 2


def test_a_whole_negative_tells_the_decision_that_no_class_is_there(segmenter):
    segmenter.add('red', *draw_disc(5, color=RED))
    image, _ = draw_disc(1, color=BLUE)
    before = segmenter.predict(image, present_above=0).presence['red']
    assert segmenter.add_negative(image).predict(image, present_above=0).presence['red'] < before


def test_a_class_that_is_removed_leaves_the_negatives(segmenter):
    segmenter.add('blue', *draw_disc(3, color=BLUE)).add_negative(draw_disc(1)[0])
    kept = segmenter.references.without(0)
    assert kept.classes == ('blue',)
    assert len(kept.images) == 2
    assert kept.negatives == segmenter.references.negatives


def test_mistakes_are_one_sentence_and_change_nothing(segmenter, tmp_path):
    before, (image, mask) = segmenter.references, draw_disc(1)
    with pytest.raises(pj.InputError, match='there is no file'):
        segmenter.add_negative(tmp_path / 'missing.jpg')
    with pytest.raises(pj.InputError, match='the annotation of the negative must be as large as its image'):
        segmenter.add_negative(image, mask[1:])
    assert segmenter.references is before
    with pytest.raises(pj.InputError, match=r'there is no image .*missing.jpg, which --negative .* names'):
        parse_negative(str(tmp_path / 'missing.jpg'))
    (tmp_path / 'a.jpg').write_bytes(b'')
    with pytest.raises(pj.InputError, match=r'there is no annotation .*b.png, which --negative .* names'):
        parse_negative(f'{tmp_path}/a.jpg:{tmp_path}/b.png')
