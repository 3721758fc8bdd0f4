"""Masks that follow edges: the laws of the smoothing, and what it is for."""

import jax
import numpy as np
import pytest

from panet_jax.method.edges import CONTRAST, REACH, ROUNDS, edge_logits, follow_edges

follow = jax.jit(follow_edges)


def halves(height, width):
    """An image whose right half is white."""
    image = np.zeros((height, width, 3), np.float32)
    image[:, width // 2 :] = 255
    return image


def dense_smoothed(maps, image, strength):
    """Maps [H, W, L] smoothed along their rows, each by its own full system of equations."""
    smoothed = np.empty(maps.shape)
    for row, (values, colors) in enumerate(zip(maps, image, strict=True)):
        weights = strength * np.exp(-np.linalg.norm(np.diff(colors, axis=0), axis=-1) / CONTRAST)
        system = np.eye(len(values))
        for place, weight in enumerate(weights):
            system[place : place + 2, place : place + 2] += weight * np.array([[1, -1], [-1, 1]])
        smoothed[row] = np.linalg.solve(system, values)
    return smoothed


def test_it_is_the_solution_of_the_full_systems(rng):
    maps, image = rng.random((9, 7, 3)), rng.integers(0, 60, (9, 7, 3))
    expected = maps
    for number in range(1, ROUNDS + 1):
        strength = 1.5 * 4 ** (ROUNDS - number) / (4**ROUNDS - 1) * (REACH * 7) ** 2
        expected = dense_smoothed(expected, image, strength)
        expected = dense_smoothed(expected.swapaxes(0, 1), image.swapaxes(0, 1), strength).swapaxes(0, 1)
    result = follow(maps.astype(np.float32), image.astype(np.float32))
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_probabilities_stay_probabilities(rng):
    probabilities = rng.dirichlet(np.ones(4), (20, 30)).astype(np.float32)
    image = rng.integers(0, 255, (20, 30, 3)).astype(np.float32)
    result = np.asarray(follow(probabilities, image))
    np.testing.assert_allclose(result.sum(-1), 1, atol=1e-4)
    assert (result > probabilities.min((0, 1)) - 1e-5).all()
    assert (result < probabilities.max((0, 1)) + 1e-5).all()
    np.testing.assert_allclose(follow(np.full((20, 30, 1), 0.3, np.float32), image), 0.3, atol=1e-5)


def test_an_image_and_its_mirror_image_are_alike(rng):
    maps, image = rng.random((12, 16, 2)), rng.integers(0, 60, (12, 16, 3))
    maps, image = maps.astype(np.float32), image.astype(np.float32)
    np.testing.assert_allclose(follow(maps[:, ::-1], image[:, ::-1]), follow(maps, image)[:, ::-1], atol=1e-5)


@pytest.mark.parametrize('off', [-3, 2, 3])  # well within the reach
def test_a_mask_that_ends_beside_an_edge_moves_to_it(off):
    logits = np.zeros((40, 40, 2), np.float32)
    logits[:, 20 + off :, 1] = 2
    logits[..., 0] = 1
    found = np.asarray(jax.jit(edge_logits)(logits, halves(40, 40))).argmax(-1)
    np.testing.assert_array_equal(found, halves(40, 40)[..., 0] > 0)


def test_where_the_image_is_of_one_color_noise_goes(rng):
    maps = np.where(rng.random((40, 40, 1)) < 0.3, 1, 0).astype(np.float32)
    result = np.asarray(follow(maps, np.zeros((40, 40, 3), np.float32)))
    assert result.std() < 0.2 * maps.std()
    assert result.mean() == pytest.approx(maps.mean(), abs=1e-4)
