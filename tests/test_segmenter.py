"""The Segmenter: the same numbers as an episode has, on images and annotations of every kind."""

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
import safetensors.numpy
from drawn import draw_disc
from earlier import without_evidence
from flax.training import train_state
from noting import noting
from PIL import Image

import panet_jax as pj
from panet_jax.images.class_masks import class_mask
from panet_jax.images.resize import resize_image, resize_map
from panet_jax.method.adapt import ADAPTED, SEVERAL, adapted_logits
from panet_jax.method.edges import edge_logits
from panet_jax.networks.checkpoints import Checkpoints
from panet_jax.segmenter import segmentation
from panet_jax.segmenter.reference_set import background
from panet_jax.segmenter.references import read_marks, read_photo

SIZE = 33
IMAGE, MASK = draw_disc(0)


@pytest.fixture
def make(narrow_params):
    return lambda **settings: pj.Segmenter(narrow_params, **{'size': SIZE, 'batch': 2, **settings})


def episode_of(ways, query):
    """The same task as an Episode, at the network's size."""
    images = np.array([[resize_image(image, SIZE) for image, _ in way] for way in ways])
    foreground = np.array([[resize_map(mask, SIZE) for _, mask in way] for way in ways])
    labels = np.zeros((1, SIZE, SIZE), np.uint8)
    compact = pj.Episode(images, foreground > 0, foreground == 0, resize_image(query, SIZE)[None], labels)
    return pj.prepare(compact)


@pytest.mark.parametrize('ways', [1, 2])
def test_dense_masks_give_the_logits_of_the_episode(make, narrow_params, ways):
    colors = ((220, 40, 30), (20, 60, 240))[:ways]
    references = [[draw_disc(10 * way + shot, color=color) for shot in range(2)] for way, color in enumerate(colors)]
    query, _ = draw_disc(99, shape=(SIZE, SIZE))
    segmenter_ = make(head='panet', edges=False).fit({f'class {way}': pairs for way, pairs in enumerate(references)})
    result = segmenter_.predict(query)
    expected = jax.jit(pj.episode_logits)(narrow_params, episode_of(references, query))[0]
    np.testing.assert_allclose(pj.upsample(result.logits, (SIZE, SIZE)), expected, atol=1e-4)
    np.testing.assert_array_equal(result.labels, expected.argmax(-1))
    np.testing.assert_allclose(result.probabilities, jax.nn.softmax(expected).transpose(2, 0, 1), atol=1e-5)


def test_the_head_is_adapted_to_each_image_unless_the_papers_is_asked_for(make, narrow_params):
    references, query = [draw_disc(0), draw_disc(1)], draw_disc(2)[0]
    features = make().network.encode(pj.normalize(resize_image(query, SIZE)))
    for pairs, adaptation in ((references, SEVERAL), (references[:1], ADAPTED)):
        segmenter_ = make(edges=False).fit({'disc': pairs})
        expected = adapted_logits(features, segmenter_.references.prototypes(), adaptation)
        np.testing.assert_allclose(segmenter_.predict(query).logits, expected, atol=1e-4)
    segmenter_ = make(head='panet', edges=False).fit({'disc': references})
    expected = pj.cosine_logits(features, segmenter_.references.prototypes())
    np.testing.assert_allclose(segmenter_.predict(query).logits, expected, atol=1e-4)
    with pytest.raises(pj.InputError, match="head must be panet or adapted, got 'best'"):
        make(head='best')


def test_masks_follow_the_edges_of_the_image(make, tmp_path):
    references, query = {'disc': [draw_disc(0), draw_disc(1)]}, draw_disc(2, shape=(50, 40))[0]
    segmenter_, on_grid = make().fit(references), make(edges=False).fit(references)
    result, expected = segmenter_.predict(query), on_grid.predict(query)
    np.testing.assert_allclose(result.logits, edge_logits(expected.logits, resize_image(query, SIZE)), atol=1e-3)
    assert result.absent == expected.absent  # edges change the mask alone
    on_grid.save(tmp_path / 'grid.safetensors')
    assert not pj.Segmenter.load(tmp_path / 'grid.safetensors', on_grid.network).edges


def test_classes_that_are_probably_not_there_are_left_out(make, tmp_path):
    colors = {'red': (220, 40, 30), 'blue': (20, 60, 240)}
    pairs = {
        name: [draw_disc(10 * i + j, color=color) for j in range(3)] for i, (name, color) in enumerate(colors.items())
    }
    segmenter_ = make().fit(pairs)
    queries = [draw_disc(100 + seed, color=colors['red' if seed % 2 else 'blue'])[0] for seed in range(8)]
    results = segmenter_.predict(queries, present_above=0.13)
    probabilities = np.array([[result.presence[name] for name in colors] for result in results])
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    is_red = np.arange(8) % 2 == 1
    assert probabilities[is_red, 0].mean() > 1.5 * probabilities[~is_red, 0].mean()
    assert probabilities[~is_red, 1].mean() > 1.5 * probabilities[is_red, 1].mean()
    assert (probabilities > 0.13).any()
    for result in results:
        for name, probability in result.presence.items():
            assert (name in result.expected_iou) == (probability >= 0.13)
            assert probability >= 0.13 or result.shares[name] == 0
    # Each image is decided alone, and the masks of the others are those with their classes alone.
    np.testing.assert_array_equal(segmenter_.predict(queries[3], present_above=0.13).logits, results[3].logits)
    everything = segmenter_.predict(queries[3], present_above=0.0)
    np.testing.assert_allclose(everything.logits, segmenter_.predict(queries[3]).logits, atol=1e-5)
    assert segmenter_.predict(queries[3]).presence is None
    with pytest.raises(pj.InputError, match=r'present_above must be a number from 0 to 1 such as 0\.1, got 2'):
        segmenter_.predict(queries, present_above=2)


def test_a_loaded_segmenter_decides_exactly_as_the_one_that_was_saved(make, tmp_path):
    image, cat = draw_disc(0, center=(20, 15))
    pairs = {'cat': [(image, cat), draw_disc(1)], 'dog': [(image, pj.Points([(45, 20)])), draw_disc(2)]}
    saved = make().fit(pairs).add_negative(draw_disc(3)[0])
    saved.save(tmp_path / 'pets.safetensors')
    loaded = pj.Segmenter.load(tmp_path / 'pets.safetensors', saved.network)
    loaded.save(tmp_path / 'again.safetensors')
    assert (tmp_path / 'again.safetensors').read_bytes() == (tmp_path / 'pets.safetensors').read_bytes()
    queries, answers = [draw_disc(10 + seed)[0] for seed in range(12)], [{'cat': True}, *[{}] * 11]
    for decide in (
        lambda one: one.predict_folder(queries),
        lambda one: one.predict_folder(queries, present_above=0.05, answers=answers),
        lambda one: one.predict(queries, present_above=0.1),
    ):
        for own, other in zip(decide(saved), decide(loaded), strict=True):
            assert own.presence == other.presence
            assert set(own.expected_iou) == set(other.expected_iou)
            np.testing.assert_array_equal(own.logits, other.logits)
            np.testing.assert_array_equal(own.descriptor, other.descriptor)


def test_references_of_earlier_files_and_those_that_were_added_to_decide_nothing(make, tmp_path):
    cat, dog = (draw_disc(0), draw_disc(1)), draw_disc(2)
    saved = make().fit({'cat': [*cat], 'dog': [dog]})
    for path in (earlier := tmp_path / 'earlier.safetensors', now := tmp_path / 'now.safetensors'):
        saved.save(path)
    without_evidence(earlier)
    sentence = 'were loaded from a file of an earlier version, or added to loaded ones; give all references again, or '
    of_earlier, added = (pj.Segmenter.load(path, saved.network) for path in (earlier, now))
    added.add('cat', *draw_disc(3))
    for one in (of_earlier, added):
        with pytest.raises(pj.InputError, match=sentence + 'leave out present_above'):
            one.predict(IMAGE, present_above=0.1)
        with pytest.raises(pj.InputError, match=sentence + 'call predict'):
            one.predict_folder([IMAGE])
        assert one.predict(IMAGE).presence is None
        one.save(tmp_path / 'again.safetensors')
        assert not pj.Segmenter.load(tmp_path / 'again.safetensors', saved.network).references.can_decide
    # If all images come again, their features do too.
    for name, pair in (('cat', cat[0]), ('cat', cat[1]), ('dog', dog)):
        of_earlier.add(name, *pair)
    assert of_earlier.predict(IMAGE, present_above=0.1).presence


def test_references_without_background_are_saved_without_evidence(make, tmp_path):
    everywhere = np.ones(IMAGE.shape[:2], bool)
    first = make().add('all', IMAGE, everywhere)
    first.save(tmp_path / 'all.safetensors')
    assert not pj.Segmenter.load(tmp_path / 'all.safetensors', first.network).references.can_decide


def test_results_are_of_the_images_own_size(make):
    segmenter_ = make().fit({'disc': [draw_disc(0)]})
    shapes = [(20, 300), (150, 31), (1, 5), (40, 60)]
    results = segmenter_.predict([draw_disc(1, shape)[0] for shape in shapes])
    for shape, result in zip(shapes, results, strict=True):
        assert result.labels.shape == shape
        assert result.labels.dtype == np.uint8
        assert result.probabilities.shape == (2, *shape)
        np.testing.assert_allclose(result.probabilities.sum(0), 1, atol=1e-5)
        np.testing.assert_array_equal(result.labels, result.probabilities.argmax(0))
        assert set(result.absent) == {'disc'}
        assert 0 <= result.absent['disc'] <= 1
        assert result.shares['disc'] == pytest.approx((result.labels == 1).mean())


def test_absence_is_0_where_the_class_is_found_as_it_was_shown_and_half_where_the_background_is(rng):
    prototypes = rng.normal(size=(3, 8)).astype(np.float32)
    for source, distances in ((1, (0, None)), (2, (None, 0)), (0, (0.5, 0.5))):
        features = np.broadcast_to(prototypes[source], (4, 5, 8))
        absent = jax.jit(segmentation.absence)(features, pj.cosine_logits(features, prototypes), prototypes)
        for value, expected in zip(absent, distances, strict=True):
            assert 0 <= value <= 1
            assert expected is None or value == pytest.approx(expected, abs=1e-5)


def test_a_batch_gives_what_its_images_give_alone(make):
    segmenter_ = make().fit({'disc': [draw_disc(0)]})
    images = [draw_disc(seed, shape=(30 + seed, 44))[0] for seed in range(5)]
    for image, result in zip(images, segmenter_.predict(images), strict=True):
        np.testing.assert_allclose(result.logits, segmenter_.predict(image).logits, atol=1e-4)
    np.testing.assert_array_equal(
        [result.logits for result in segmenter_.stream(iter(images))],
        [result.logits for result in segmenter_.predict(images)],
    )


def test_photographs_come_with_their_results(make):
    segmenter_ = make().fit({'disc': [draw_disc(0)]})
    images = [draw_disc(seed, shape=(30 + seed, 44))[0] for seed in range(5)]
    results = list(segmenter_.stream_photos([*images[:3], 'nowhere.jpg', *images[3:]], on_error='yield'))
    error, nothing = results.pop(3)
    assert (str(error), nothing) == ('there is no file nowhere.jpg.', None)
    for image, (result, photo), alone in zip(images, results, segmenter_.predict(images), strict=True):
        np.testing.assert_array_equal(photo, image)
        np.testing.assert_allclose(result.logits, alone.logits, atol=1e-4)
    with pytest.raises(pj.InputError, match='there is no file'):
        list(segmenter_.stream_photos(['nowhere.jpg']))
    with pytest.raises(pj.InputError, match='no references yet'):
        make().stream_photos(images)


def test_nothing_is_compiled_for_other_sizes_of_images(make, caplog):
    segmenter_ = make().fit({'disc': [draw_disc(0)]})
    with jax.log_compiles():
        segmenter_.predict([draw_disc(1, (130, 70))[0] for _ in range(3)])[0].labels  # noqa: B018
        jax.jit(lambda x: x + 1)(np.zeros(3)).block_until_ready()
        assert 'Compiling' in caplog.text
        caplog.clear()
        for seed in range(5):
            for result in segmenter_.predict([draw_disc(seed, (20 + 60 * seed, 50 + 10 * seed))[0] for _ in range(3)]):
                assert result.labels.any() in (True, False)
    assert 'Compiling' not in caplog.text


@pytest.fixture
def make_noting(narrow_params):
    """Makes Segmenters, and has a list of the images [S, S, 3] that they encode."""
    encoded, network = [], pj.load_network(narrow_params, size=SIZE)
    encoder = noting(network.encoder, encoded.extend)
    return lambda: pj.Segmenter(dataclasses.replace(network, encoder=encoder), batch=2), encoded


def test_adding_computes_only_what_is_new(make_noting):
    make, encoded = make_noting
    (cat, cat_mask), (dog, dog_mask) = draw_disc(0), draw_disc(1, color=(20, 60, 240))
    both = make().fit({'cat': [(cat, cat_mask)], 'dog': [(dog, dog_mask)]})
    grown = make().fit({'cat': [(cat, cat_mask)]})
    encoded.clear()
    assert grown.add('dog', dog, dog_mask) is grown
    assert len(encoded) == 1
    np.testing.assert_allclose(encoded[0], pj.normalize(resize_image(dog, SIZE)), atol=1e-5)
    assert grown.classes == both.classes == ('cat', 'dog')
    np.testing.assert_allclose(grown.predict(cat).logits, both.predict(cat).logits, atol=1e-4)


def test_a_second_annotation_of_an_image_and_removing_one_encode_nothing(make_noting):
    make, encoded = make_noting
    image, cat = draw_disc(0, center=(20, 15))
    dog, points = draw_disc(0, center=(20, 45))[1], pj.Points([(45, 20)], background=[(30, 5)])
    segmenter_ = make().fit({'cat': [(image, cat)], 'cow': [draw_disc(1)]})
    before = segmenter_.references
    encoded.clear()
    with_dog = segmenter_.add('dog', image, dog).references
    with_points = segmenter_.add('dog', image, points).references
    assert encoded == []
    assert with_points.without(3).prototypes().tolist() == with_dog.prototypes().tolist()
    np.testing.assert_array_equal(with_dog.without(2).prototypes(), before.prototypes())
    without_cow = make().fit({'cat': [(image, cat)], 'dog': [(image, dog), (image, points)]}).references
    np.testing.assert_allclose(with_points.without(1).prototypes(), without_cow.prototypes(), atol=1e-5)
    assert with_points.without(1).classes == ('cat', 'dog')
    assert len(with_points.without(1).images) == 1


def test_a_set_of_references_never_changes(make):
    segmenter_ = make().fit({'cat': [draw_disc(0)]})
    before = segmenter_.references
    prototypes = before.prototypes()
    larger = segmenter_.extended(before, {'dog': [draw_disc(1)]})
    assert (before.classes, larger.classes, segmenter_.classes) == (('cat',), ('cat', 'dog'), ('cat',))
    smaller = larger.without(1)
    assert (larger.classes, smaller.classes) == (('cat', 'dog'), ('cat',))
    np.testing.assert_array_equal(before.prototypes(), prototypes)
    segmenter_.references = larger
    assert segmenter_.predict(IMAGE).classes == ('cat', 'dog')
    with pytest.raises(AttributeError):
        before.references = ()


def test_the_features_of_each_image_are_kept_once_as_float32(make):
    image, mask = draw_disc(0)
    references = make().fit({'cat': [(image, mask)], 'ground': [(image, ~mask)], 'dog': [draw_disc(1)]}).references
    assert [(kept.features.shape, kept.features.dtype) for kept in references.images.values()] == [
        ((5, 5, 32), np.float32)
    ] * 2
    assert [reference.image for reference in references.of_class('ground')] == [next(iter(references.images))]


def test_an_image_with_two_classes_has_a_background_without_both(make):
    image, cat = draw_disc(0, center=(20, 15))
    dog = draw_disc(0, center=(20, 45))[1]
    image[dog] = (20, 60, 240)
    together = make().fit({'cat': [(image, cat)], 'dog': [(image, dog)]})
    later = make().fit({'cat': [(image, cat)]}).add('dog', image, dog)
    void = np.where(dog, 255, cat).astype(np.uint8)  # neither the cat nor its background
    cat_alone = make().fit({'cat': [(image, void)]})
    np.testing.assert_allclose(later.references.prototypes(), together.references.prototypes(), atol=1e-5)
    np.testing.assert_allclose(together.references.prototypes()[:2], cat_alone.references.prototypes(), atol=1e-5)


def test_boxes_points_and_scribbles_find_what_masks_find(make):
    image, mask = draw_disc(0)
    strokes = np.full(mask.shape, 255, np.uint8)
    strokes[20, 25:35], strokes[3] = 1, 0
    annotations = {
        'box': pj.Box(20, 10, 41, 30),
        'four numbers': (20, 10, 41, 30),
        'points': pj.Points([(30, 20), (33, 22)], background=[(5, 5), (55, 35)]),
        'list of points': [(30, 20), (33, 22)],
        'scribble': pj.Scribble(strokes),
        'scribble on the class only': pj.Scribble(np.where(strokes == 1, 7, 255)),
    }
    for kind, annotation in annotations.items():
        probability = make().fit({'disc': [(image, annotation)]}).predict(image).probabilities[1]
        assert probability[mask].mean() > probability[~mask].mean() + 0.1, kind


def test_marks_of_each_kind_at_the_size_of_the_network():
    marks = read_marks(pj.Box(10, 0, 20, 10), (40, 40), 20, 'box')
    assert marks.foreground[:5, 5:10].all()
    assert marks.foreground.sum() == 25
    assert (marks.background == ~marks.foreground).all()
    assert read_marks(pj.Box(39, 39, 40, 40), (40, 40), 8, 'box').foreground.sum() == 1
    marks = read_marks(pj.Points([(0, 0)], background=[(40, 40)]), (40, 40), 20, 'points')
    assert marks.foreground[0, 0]
    assert marks.background[19, 19]
    assert marks.drawn
    line = np.full((400, 400), 255, np.uint8)
    line[201] = 3  # one pixel of twenty
    marks = read_marks(pj.Scribble(line), (400, 400), 20, 'scribble')
    assert marks.foreground[10].all()
    assert marks.foreground.sum() == 20
    assert not marks.drawn
    assert marks.background[0].all()
    assert 0 < marks.background.mean() <= 0.25
    speck = np.zeros((400, 400), bool)
    speck[7, 13] = True
    assert np.argwhere(read_marks(speck, (400, 400), 20, 'mask').foreground).tolist() == [[0, 0]]


def test_the_background_of_an_image_is_what_is_marked_or_what_all_leave():
    box = read_marks(pj.Box(0, 0, 10, 10), (40, 40), 40, 'box')
    other_box = read_marks(pj.Box(30, 30, 40, 40), (40, 40), 40, 'box')
    points = read_marks(pj.Points([(20, 20)], background=[(5, 5), (35, 5)]), (40, 40), 40, 'points')
    outside = background([box, other_box])
    assert (outside == ~(box.foreground | other_box.foreground)).all()
    marked = background([box, points])
    assert (marked == points.background & ~box.foreground).all()
    assert marked.any()


def test_what_a_mask_of_numbers_means():
    def mask(*values, width=4):
        foreground, void = class_mask(np.repeat(np.array([values] * 5, np.uint8), width, 1), 'mask')
        return foreground[0, ::width].astype(int).tolist(), void[0, ::width].astype(int).tolist()

    assert mask(0, 1) == ([0, 1], [0, 0])
    assert mask(0, 255) == ([0, 1], [0, 0])  # a painted one
    assert mask(0, 15, 255) == ([0, 1, 0], [0, 0, 1])  # VOC's
    assert mask(0, 1, 2, 3) == ([0, 1, 1, 1], [0, 0, 0, 0])  # objects
    soft = np.arange(0, 256, 5)
    assert mask(*soft, width=1)[0] == (soft >= 128).astype(int).tolist()
    edge = [0, 0, 0, 100, 200, 255, 255, 255]
    assert mask(*edge, width=1) == ([0, 0, 0, 0, 1, 1, 1, 1], [0] * 8)


@pytest.mark.parametrize('mode', ['L', '1', 'P', 'RGB', 'RGBA', 'LA', 'transparent', 'array', 'bool', 'one channel'])
def test_masks_of_every_kind_are_one(mode, tmp_path):
    _, mask = draw_disc(0)
    gray = Image.fromarray(mask.astype(np.uint8) * 255)
    if mode in ('array', 'bool', 'one channel'):
        source = {'array': mask * 3, 'bool': mask, 'one channel': mask[..., None]}[mode]
    else:
        image = gray.convert('RGBA' if mode == 'transparent' else mode)
        if mode == 'P':
            image = Image.fromarray(mask.astype(np.uint8))
            image.putpalette([0, 0, 0, 128, 0, 0])
        if mode == 'transparent':
            image.putalpha(gray)
        image.save(source := tmp_path / 'mask.png')
    marks = read_marks(source, mask.shape, SIZE, 'the mask')
    np.testing.assert_array_equal(marks.foreground, resize_map(mask, SIZE) > 0)
    np.testing.assert_array_equal(marks.background, ~marks.foreground)


def test_photographs_of_every_kind_are_rgb(tmp_path):
    image, _ = draw_disc(0)
    picture = Image.fromarray(image)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture.save(tmp_path / 'turned.png', exif=exif)
    for source in (tmp_path / 'turned.png', str(tmp_path / 'turned.png'), Image.open(tmp_path / 'turned.png')):
        np.testing.assert_array_equal(read_photo(source, 'x'), np.rot90(image, -1))
    for mode in ('L', 'P', 'RGBA', 'LA', '1', 'CMYK', 'I;16'):
        assert read_photo(picture.convert('L' if mode == 'I;16' else mode).convert(mode), 'x').shape == image.shape
    gray = image[..., 0]
    for source in (gray, gray[..., None], np.repeat(gray[..., None], 4, -1), jax.numpy.asarray(gray)):
        np.testing.assert_array_equal(read_photo(source, 'x'), np.repeat(gray[..., None], 3, -1))


def test_saved_and_loaded_it_is_the_same(make, narrow_params, tmp_path):
    pj.save_encoder_params(tmp_path / 'narrow.safetensors', narrow_params)
    weights = tmp_path / 'narrow.safetensors'
    image, mask = draw_disc(0)
    first = pj.Segmenter(weights, size=SIZE).fit({'cat': [(image, mask)], 'dog': [draw_disc(1, color=(20, 60, 240))]})
    first.save(tmp_path / 'animals.safetensors')
    views = 12 * 2 * 2 * len(first.classes) * first.references.channels  # bytes
    assert (tmp_path / 'animals.safetensors').stat().st_size < 4700 + views
    second = pj.Segmenter.load(tmp_path / 'animals.safetensors')
    assert (second.classes, second.size, second.dtype) == (first.classes, SIZE, 'float32')
    np.testing.assert_array_equal(second.predict(image).logits, first.predict(image).logits)
    bird = draw_disc(0, center=(8, 8))[1]
    np.testing.assert_array_equal(
        second.add('bird', image, bird).references.prototypes(),
        first.add('bird', image, bird).references.prototypes(),
    )
    assert repr(second).endswith('cat: 1 reference(s), dog: 1 reference(s), bird: 1 reference(s))')
    weights.rename(tmp_path / 'moved.safetensors')
    with pytest.raises(
        pj.InputError, match=r'weights of .*animals.safetensors cannot be loaded .*; name them as weights='
    ):
        pj.Segmenter.load(tmp_path / 'animals.safetensors')
    pj.Segmenter.load(tmp_path / 'animals.safetensors', tmp_path / 'moved.safetensors')
    with pytest.raises(pj.InputError, match='was made with other weights'):
        pj.Segmenter.load(tmp_path / 'animals.safetensors', jax.tree.map(lambda leaf: leaf + 1, narrow_params))
    make().fit({'cat': [(image, mask)]}).save(tmp_path / 'given.safetensors')
    with pytest.raises(pj.InputError, match='came from no file; give them as weights='):
        pj.Segmenter.load(tmp_path / 'given.safetensors')


def test_a_saved_file_says_in_its_header_what_it_is(make, tmp_path):
    segmenter_ = make().fit({'cat': [draw_disc(0)], 'dog': [draw_disc(1), draw_disc(2)]})
    segmenter_.save(tmp_path / 'pets.safetensors')
    with safetensors.safe_open(tmp_path / 'pets.safetensors', 'numpy') as file:
        about = json.loads(file.metadata()['panet_jax.segmenter'])
        assert file.get_tensor('class_of').tolist() == [0, 1, 1]
        assert file.get_tensor('sums').dtype == np.float32
    assert about.pop('images') == list(segmenter_.references.images)
    assert about == {
        **{'version': 2, 'size': SIZE, 'dtype': 'float32', 'head': 'adapted', 'understand': True, 'edges': True},
        **{'debias': 0.0, 'encoder': 'vgg16', 'weights': None},
        **{'network': segmenter_.network.hash, 'classes': ['cat', 'dog']},
    }


def earlier_file(path, segmenter_):
    """Writes a segmenter as version 1 did, and returns what is in the file: its JSON value and its arrays."""
    references, images = segmenter_.references.references, segmenter_.references.images
    about = {
        **{'version': 1, 'size': segmenter_.size, 'dtype': 'float32', 'weights': segmenter_.weights},
        **{'network': segmenter_.network.hash, 'names': [reference.name for reference in references]},
        'images': list(images),
        'image_of': [list(images).index(reference.image) for reference in references],
    }
    masks = [(reference.marks.foreground, reference.marks.background) for reference in references]
    arrays = {
        'marks': np.packbits(masks, axis=-1),
        'drawn': np.array([reference.marks.drawn for reference in references]),
        'sums': np.stack([reference.foreground.sum for reference in references]),
        'pixels': np.array([reference.foreground.count for reference in references]),
        'background_sums': np.stack([image.background.sum for image in images.values()]),
        'background_pixels': np.array([image.background.count for image in images.values()]),
    }
    np.savez_compressed(path, about=np.array(json.dumps(about)), **arrays)
    return about, arrays


def test_files_of_version_1_still_load(make, narrow_params, tmp_path):
    image, cat = draw_disc(0, center=(20, 15))
    points = pj.Points([(45, 20)], background=[(30, 5)])
    first = make(head='panet', edges=False).fit({'cat': [(image, cat), draw_disc(1)], 'dog': [(image, points)]})
    earlier_file(tmp_path / 'pets.npz', first)
    second = pj.Segmenter.load(tmp_path / 'pets.npz', narrow_params, 2)
    assert second.classes == ('cat', 'dog')
    np.testing.assert_array_equal(second.predict(IMAGE).logits, first.predict(IMAGE).logits)
    second.add('cow', image, draw_disc(0, center=(35, 30))[1])
    first.add('cow', image, draw_disc(0, center=(35, 30))[1])
    np.testing.assert_allclose(second.references.prototypes(), first.references.prototypes(), atol=1e-5)
    second.save(tmp_path / 'pets.safetensors')
    again = pj.Segmenter.load(tmp_path / 'pets.safetensors', narrow_params)
    np.testing.assert_array_equal(again.references.prototypes(), second.references.prototypes())


def test_no_reference_of_a_loaded_segmenter_can_be_removed(make, narrow_params, tmp_path):
    make().fit({'cat': [draw_disc(0)]}).save(tmp_path / 'cat.safetensors')
    with pytest.raises(pj.InputError, match='has no features of its images, which are needed to remove a reference'):
        pj.Segmenter.load(tmp_path / 'cat.safetensors', narrow_params).references.without(0)


@pytest.mark.parametrize('name', ['x.npz', 'x.safetensors'])
def test_a_file_that_is_no_saved_segmenter_is_refused(tmp_path, name):
    for content in (b'', b'PK\x03\x04 and rubbish', b'\x09' + bytes(7) + b'{"a": {}}'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(pj.InputError, match='is no saved segmenter that can be read'):
            pj.Segmenter.load(tmp_path / name)
    with pytest.raises(pj.InputError, match='there is no file'):
        pj.Segmenter.load(tmp_path / f'nowhere{name}')


def test_a_damaged_header_of_an_array_is_one_sentence(tmp_path):
    header = b"{'descr': (\n"  # at which numpy's reader ends with a TokenError
    with zipfile.ZipFile(tmp_path / 'x.npz', 'w') as packed:
        packed.writestr('about.npy', b'\x93NUMPY\x01\x00' + len(header).to_bytes(2, 'little') + header)
    with pytest.raises(pj.InputError, match='is no saved segmenter that can be read'):
        pj.Segmenter.load(tmp_path / 'x.npz')


def test_what_may_be_saved_and_loaded_is_told_by_its_ending(make, tmp_path):
    np.savez(tmp_path / 'x.npz', about=np.array([{}], object))  # a pickle, which is never opened
    with pytest.raises(pj.InputError, match='is no saved segmenter that can be read'):
        pj.Segmenter.load(tmp_path / 'x.npz')
    with pytest.raises(
        pj.InputError, match=r'is a file NAME\.safetensors or, of earlier versions, NAME\.npz, got .*x\.pkl'
    ):
        pj.Segmenter.load(tmp_path / 'x.pkl')
    segmenter_ = make().fit({'cat': [draw_disc(0)]})
    with pytest.raises(
        pj.InputError, match=r'saved as NAME\.safetensors, got .*pets\.npz \(\.npz files are still loaded\)'
    ):
        segmenter_.save(tmp_path / 'pets.npz')
    assert not (tmp_path / 'pets.npz').exists()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'version': 3}, 'its format is 3, wanted 2'),
        ({'size': 'large'}, "size is 'large'"),
        ({'classes': []}, 'its classes are'),
        ({'classes': 'ab'}, 'its classes are'),
        ({'classes': ['cat', 'cat']}, 'its classes are'),
        ({'classes': ['cat']}, 'its view_found have the shape'),
        ({'images': ['one', 'two']}, 'background_sums have the shape'),
        ({'class_of': np.array([1, 0], np.int32)}, 'its class_of must number all 2'),
        ({'image_of': np.array([-1, 1], np.int32)}, 'its image_of must number all'),
        ({'sums': np.full((2, 32), np.nan, np.float32)}, 'its sums have the shape'),
        ({'sums': np.zeros(2, np.float32)}, 'is no saved segmenter'),
        ({'marks': np.zeros((2, 2, 8, 1), np.uint8)}, 'its marks have the shape'),
        ({'drawn': None}, 'is no saved segmenter'),
        ({'view_found': np.zeros((2, 2, 2, 31), np.float32)}, 'its view_found have the shape'),
        ({'view_found': np.full((2, 2, 2, 32), np.inf, np.float32)}, 'its view_found have the shape'),
        ({'view_prototypes': np.zeros((2, 1, 32), np.float32)}, 'its view_prototypes have the shape'),
        ({'view_shown': np.full((2, 2), 2, np.int8)}, 'its view_shown must be -1, 0 or 1'),
        ({'descriptors': np.zeros((0, 32), np.float32)}, 'its descriptors have the shape'),
        ({'descriptor_shown': np.ones((2, 2), bool)}, 'its descriptor_shown have the shape'),
        ({'view_found': None}, 'is no saved segmenter'),
        ({'descriptors': None}, 'is no saved segmenter'),
    ],
)
def test_a_file_that_was_changed_is_one_sentence(make, tmp_path, changes, message):
    make().fit({'cat': [(IMAGE, MASK)], 'dog': [(IMAGE, pj.Box(0, 0, 5, 5))]}).save(path := tmp_path / 'x.safetensors')
    arrays = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, 'numpy') as file:
        about = json.loads(file.metadata()['panet_jax.segmenter'])
    for name, value in changes.items():
        (arrays if name in arrays else about)[name] = value
    arrays = {name: array for name, array in arrays.items() if array is not None}
    safetensors.numpy.save_file(arrays, path, {'panet_jax.segmenter': json.dumps(about)})
    with pytest.raises(pj.InputError, match=message) as error:
        pj.Segmenter.load(path)
    assert str(error.value).startswith(f'{path} is no saved segmenter that can be read (')


@pytest.mark.parametrize(
    ('annotation', 'message'),
    [
        (MASK[:, :-1], r'as large as its image, \(60, 40\) pixels .*, got \(59, 40\)'),
        (np.zeros((40, 60), bool), 'is empty'),
        (MASK.astype(float), 'got an array of float64'),
        ('nowhere.png', 'there is no file nowhere.png'),
        (None, "got NoneType 'None'"),
        ([1, 2, 3], 'as large as its image'),
        ((30, 10, 20, 30), 'got left 30, top 10, right 20'),
        (pj.Box(0, 0, 61, 40), r'in the image of \(60, 40\) pixels'),
        (pj.Box(0.3, 0.3, 0.7, 0.7), 'less than a pixel wide or high: .* in pixels: multiply shares .* by its 60 x 40'),
        (pj.Box(10, 10, 40, 10.5), 'less than a pixel'),
        (pj.Points([]), 'must have a point on the class'),
        ([(70, 20)], 'got x 70, y 20'),
        (pj.Points([('a', 'b')]), r"points \(x, y\), got \('a', 'b'\)"),
        (pj.Scribble(np.full((40, 60), 255)), 'has no stroke on the class'),
        (pj.Scribble(MASK[1:].astype(int)), 'as large as its image'),
    ],
)
def test_a_wrong_annotation_is_one_sentence_and_changes_nothing(make, annotation, message):
    segmenter_ = make().fit({'dog': [(IMAGE, MASK)]})
    with pytest.raises(pj.InputError, match=message):
        segmenter_.fit({'cat': [(IMAGE, annotation)]})
    with pytest.raises(pj.InputError, match=message):
        segmenter_.add('cat', IMAGE, annotation)
    assert segmenter_.classes == ('dog',)


@pytest.mark.parametrize(
    ('references', 'message'),
    [
        ({}, 'fit wants'),
        ([(IMAGE, MASK)], 'fit wants'),
        ({'cat': []}, "references of 'cat' must be a list"),
        ({'cat': (IMAGE, MASK)}, r"reference 1 of 'cat' must be a pair"),
        ({3: [(IMAGE, MASK)]}, 'name of a class must be a text, got 3'),
        ({'cat': [(IMAGE.astype(float), MASK)]}, "reference 1 of 'cat' must be a path.*got an array of float64"),
        ({'cat': [(IMAGE[..., :2], MASK)]}, r'got shape \(40, 60, 2\)'),
    ],
)
def test_wrong_references_are_one_sentence(make, references, message):
    with pytest.raises(pj.InputError, match=message):
        make().fit(references)


def test_fit_refuses_references_without_background_and_keeps_what_it_had(make):
    everywhere = np.ones((40, 60), bool)
    segmenter_ = make().fit({'dog': [(IMAGE, MASK)]})
    with pytest.raises(pj.InputError, match='show no background'):
        segmenter_.fit({'cat': [(IMAGE, everywhere)]})
    assert segmenter_.classes == ('dog',)
    assert segmenter_.fit({'cat': [(IMAGE, everywhere), (IMAGE[::-1], MASK[::-1])]}).classes == ('cat',)


def test_other_mistakes_are_one_sentence(make, tmp_path):
    with pytest.raises(pj.InputError, match='no references yet'):
        make().predict(IMAGE)
    with pytest.raises(pj.InputError, match='no references to save'):
        make().save(tmp_path / 'x.safetensors')
    everywhere = np.ones((40, 60), bool)
    with pytest.raises(pj.InputError, match='show no background'):
        make().add('cat', IMAGE, everywhere).predict(IMAGE)
    for settings in ({'size': 4}, {'size': 33.0}, {'batch': 0}, {'batch': None}, {'dtype': 'int8'}):
        with pytest.raises(pj.InputError, match=next(iter(settings))):
            make(**settings)
    with pytest.raises(pj.InputError, match='there is no file'):
        pj.Segmenter('nowhere')
    with pytest.raises(pj.InputError, match='has no config'):
        pj.Segmenter(tmp_path)
    with pytest.raises(pj.InputError, match='the parameters of a VGG-16, got'):
        pj.Segmenter({'conv': 1})
    segmenter_ = make().fit({'cat': [(IMAGE, MASK)]})
    with pytest.raises(pj.InputError, match=r'there is no file nowhere\.jpg'):
        segmenter_.predict([IMAGE, 'nowhere.jpg'])
    outcomes = list(segmenter_.stream([IMAGE, 'nowhere.jpg', IMAGE, IMAGE], on_error='yield'))
    assert [isinstance(outcome, pj.InputError) for outcome in outcomes] == [False, True, False, False]


def test_a_workdir_gives_its_network_and_size(narrow_params, tmp_path):
    (tmp_path / 'config.json').write_text('{"data": {"size": 41}, "encoder": {"width": 0.0625}}')
    with pytest.raises(pj.InputError, match=r'neither encoder\.safetensors nor a complete checkpoint'):
        pj.Segmenter(tmp_path)
    state = train_state.TrainState.create(apply_fn=None, params=narrow_params, tx=optax.sgd(0.1))
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(state.replace(step=3))
    image, mask = draw_disc(0)
    from_checkpoint = pj.Segmenter(tmp_path).fit({'cat': [(image, mask)]}).predict(image)
    pj.save_encoder_params(tmp_path / 'encoder.safetensors', narrow_params)
    np.testing.assert_array_equal(
        pj.Segmenter(tmp_path).fit({'cat': [(image, mask)]}).predict(image).logits, from_checkpoint.logits
    )
    assert pj.Segmenter(tmp_path).size == 41
    assert pj.Segmenter(tmp_path, size=33).size == 33
    assert pj.Segmenter(tmp_path / 'encoder.safetensors').size == 417


PHOTOS = Path(os.environ.get('PANET_TEST_DATA', '/nowhere')) / 'voc_mini/VOCdevkit/VOC2012'


@pytest.mark.exhaustive
@pytest.mark.skipif(not PHOTOS.is_dir(), reason='wants photographs in $PANET_TEST_DATA')
def test_cats_are_found_in_photographs():
    names = [path.stem for path in sorted((PHOTOS / 'SegmentationClass').glob('*.png'))]
    labels = {name: np.asarray(Image.open(PHOTOS / 'SegmentationClass' / f'{name}.png')) for name in names}
    cats = [name for name in names if (labels[name] == 8).mean() > 0.05]
    photo = {name: PHOTOS / 'JPEGImages' / f'{name}.jpg' for name in names}
    reference, others = cats[0], cats[1:4]
    mask = np.where(labels[reference] == 255, 255, labels[reference] == 8).astype(np.uint8)
    rows, columns = np.nonzero(mask == 1)
    middle = len(rows) // 2
    annotations = {
        'mask': mask,
        'box': pj.Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1),
        'points': [(columns[place], rows[place]) for place in (middle // 2, middle, middle * 3 // 2)],
        'strokes': pj.Scribble(np.where(np.arange(len(mask))[:, None] % 40 == 0, labels[reference] == 8, 255)),
    }
    segmenter_ = pj.Segmenter('imagenet', size=193)
    for kind, annotation in annotations.items():
        label = segmenter_.fit({'cat': [(photo[reference], annotation)]}).predict(photo[reference]).labels == 1
        union = (label | (mask == 1)) & (mask != 255)
        assert (label & (mask == 1)).sum() > 0.45 * union.sum(), kind
    segmenter_.fit({'cat': [(photo[reference], mask)]})
    without = [name for name in names if (labels[name] == 8).sum() == 0][:8]
    absent = [
        [result.absent['cat'] for result in segmenter_.predict([photo[name] for name in group])]
        for group in (others, without)
    ]
    assert np.mean(absent[0]) < np.mean(absent[1])


def test_a_result_is_shown_in_one_line(make):
    result = make().fit({'disc': [draw_disc(0)]}).predict(draw_disc(1, shape=(20, 30))[0])
    share, absent = result.shares['disc'], result.absent['disc']
    assert repr(result) == f'Segmentation(20 x 30, disc {share:.1%} (absent {absent:.2f}))'


def test_present_wants_a_number(make):
    result = make().fit({'disc': [draw_disc(0)]}).predict(draw_disc(1)[0])
    with pytest.raises(pj.InputError, match=r"absent_above must be a number such as 0.55, got '0.5'"):
        result.present(absent_above='0.5')
    assert result.present(np.float32(0.5)).shape == result.shape


def test_saving_makes_no_folders(make, tmp_path):
    with pytest.raises(pj.InputError, match=r'there is no folder .*nowhere to save x.safetensors in; make it first'):
        make().fit({'disc': [draw_disc(0)]}).save(tmp_path / 'nowhere/x.safetensors')
    assert not list(tmp_path.iterdir())


def test_arrays_of_something_else_are_no_segmenter(tmp_path):
    np.savez(tmp_path / 'photo.npz', probabilities=np.zeros(3))
    with pytest.raises(pj.InputError, match=r'photo.npz holds arrays, but no segmenter; name a file that --save-segm'):
        pj.Segmenter.load(tmp_path / 'photo.npz')
    safetensors.numpy.save_file({'sums': np.zeros(3)}, tmp_path / 'weights.safetensors')
    with pytest.raises(
        pj.InputError, match=r'weights.safetensors holds arrays, but no segmenter; name a file that --save'
    ):
        pj.Segmenter.load(tmp_path / 'weights.safetensors')


def test_pixels_of_a_class_that_is_left_out_go_to_the_likeliest_other():
    logits = np.array([[[0, 3, 2], [1, 3, 0], [0, 1, 3]]], np.float32)  # cat, cat, dog
    result = segmentation.Segmentation(logits, (1, 3), ('cat', 'dog'), {'cat': 0.6, 'dog': 0.4})
    np.testing.assert_array_equal(result.without(['cat']).labels, [[2, 0, 2]])
    np.testing.assert_array_equal(result.present(0.5).labels, [[2, 0, 2]])
    np.testing.assert_array_equal(result.without(result.classes).labels, [[0, 0, 0]])
    np.testing.assert_array_equal(result.without([]).labels, [[1, 1, 2]])
    assert result.without(['cat']).classes == ('cat', 'dog')
    with pytest.raises(pj.InputError, match="there is no class 'cow'; there are cat, dog"):
        result.without(['cow'])
