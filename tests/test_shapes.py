"""The drawn data set."""

import numpy as np
import pytest

from panet_jax.datasets.shapes import Shapes
from panet_jax.errors import InputError


def shown(label):
    return set(np.unique(label).tolist()) - {0, 255}


def test_shapes_image_is_a_pure_function_of_its_index():
    one, two = Shapes('train', 65), Shapes('train', 65)
    two[3]
    for a, b in zip(one[7], two[7], strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one[7].image, one[8].image)
    assert not np.array_equal(one[7].image, Shapes('test', 65)[7].image)


def test_shapes_presence_is_what_the_labels_show():
    source = Shapes('test', 97)
    assert len(source.classes) == 20
    for index in range(60):
        assert shown(source[index].label) == set(np.flatnonzero(source.presence[index]) + 1)


def test_shapes_vary_and_have_void_edges_and_instances():
    source = Shapes('train', 97)
    samples = [source[index] for index in range(40)]
    assert all((sample.label == 255).any() for sample in samples)
    areas = [((sample.label > 0) & (sample.label < 255)).mean() for sample in samples]
    assert max(areas) > 3 * min(areas)
    assert source.presence.sum(1).max() == 3
    assert source.presence.any(0).all()
    for index in range(10):
        label, instances = source[index].label, source.instances(index)
        assert ((instances > 0) == ((label > 0) & (label < 255))).all()
        for number in set(instances.ravel().tolist()) - {0}:
            assert len(set(label[instances == number].tolist())) == 1


def test_shapes_refuses_an_unknown_split():
    with pytest.raises(InputError, match="'train' and 'test'"):
        Shapes('val', 97)


def test_shapes_areas_count_the_pixels_of_the_labels():
    source = Shapes('test', 33)
    assert source.areas.shape == source.presence.shape
    label = source[5].label
    assert source.areas[5].tolist() == [(label == c).sum() for c in range(1, 21)]
