"""Random episodes and masks for the tests."""

import numpy as np

import panet_jax as pj


def random_episode(rng, ways=1, shots=1, queries=1, size=33):
    """A prepared episode of noise with random masks and some void."""
    labels = rng.integers(0, 1 + ways, (ways, shots, size, size))
    query_labels = rng.integers(0, 1 + ways, (queries, size, size)).astype(np.int32)
    query_labels[rng.random(query_labels.shape) < 0.1] = pj.IGNORE
    own = np.arange(1, ways + 1)[:, None, None, None]
    return pj.Episode(
        support_images=rng.normal(size=(ways, shots, size, size, 3)).astype(np.float32),
        support_foreground=(labels == own).astype(np.float32),
        support_background=(labels == 0).astype(np.float32),
        query_images=rng.normal(size=(queries, size, size, 3)).astype(np.float32),
        query_labels=query_labels,
    )
