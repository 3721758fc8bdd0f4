"""Training steps whose loops are in Python, for CPUs: XLA computes convolutions in a loop of its own three times as slowly.

They are like those of `devices.parallel`, and take less memory.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from panet_jax.compute.devices import parallel, sharded


def episode_by_episode(function: Callable, update: Callable, devices: list[jax.Device]) -> Callable:
    """A training step in which each device computes the episodes of its share one after the other.

    It needs the memory of one episode.

    Args:
        function: pure, (params, batch of one episode) -> a tree of arrays.
        update: pure, (state, mean of the trees over a device's share) -> (state, metrics), as `function` of `parallel`.
        devices: as for `parallel`.

    Returns:
        A function (state, batch from `split`) -> (state, metrics).
    """

    def add(sums, params, batch, index):
        return _add_share(sums, function(params, _one(batch, index)), batch)

    zeros = _zeros_like_results(function, devices)
    add = sharded(add, devices, in_axes=(0, None, 0, None), reused=(0,))
    update = parallel(update, devices)

    def step(state, batch):
        sums = zeros(state.params, batch)
        for index in _numbers(batch):
            sums = add(sums, state.params, batch, index)
        return update(state, sums)

    return step


def image_by_image(
    encode: Callable, loss: Callable, count: int, update: Callable, devices: list[jax.Device]
) -> Callable:
    """A training step in which each device computes the images of its episodes one after the other.

    It needs the memory of one image beside the features of an episode's images, and a third more work: each image is
    encoded without a gradient, then the gradient of the loss with respect to all features is computed, then each image is
    encoded again, with its gradient.

    Args:
        encode: pure, (params, batch of one episode, number of an image of it) -> features.
        loss: pure, (features of all images, a list; batch of one episode) -> (loss, metrics).
        count: number of images of an episode.
        update: pure, (state, mean of (gradient, metrics) over a device's share) -> (state, metrics), as `function` of
            `parallel`.
        devices: as for `parallel`.

    Returns:
        A function (state, batch from `split`) -> (state, metrics).
    """

    def encode_one(params, batch, index, number):
        return encode(params, _one(batch, index), number)

    def add_metrics(sums, features, batch, index):
        cotangents, metrics = jax.grad(loss, has_aux=True)(features, _one(batch, index))
        return _add_share(sums, metrics, batch), cotangents

    def add_gradient(sums, params, batch, index, number, cotangent):
        _, pull_back = jax.vjp(lambda params: encode_one(params, batch, index, number), params)
        return _add_share(sums, *pull_back(cotangent), batch)

    def results(params, batch):
        features = [encode(params, batch, number) for number in range(count)]
        return params, loss(features, batch)[1]

    zeros = _zeros_like_results(results, devices)
    encoded = sharded(encode_one, devices, in_axes=(None, 0, None, None))
    add_metrics = sharded(add_metrics, devices, in_axes=(0, 0, 0, None))
    add_gradient = sharded(add_gradient, devices, in_axes=(0, None, 0, None, None, 0), reused=(0,))
    update = parallel(update, devices)

    def step(state, batch):
        gradients, metrics = zeros(state.params, batch)
        for index in _numbers(batch):
            # Otherwise JAX may encode several images at a time.
            features = [
                jax.block_until_ready(encoded(state.params, batch, index, np.int32(number))) for number in range(count)
            ]
            metrics, cotangents = add_metrics(metrics, features, batch, index)
            for number, cotangent in enumerate(cotangents):
                gradients = add_gradient(gradients, state.params, batch, index, np.int32(number), cotangent)
        return update(state, (gradients, metrics))

    return step


def _zeros_like_results(function, devices):
    """A function (params, batch from `split`) -> zeros like the results of function(params, batch of one episode)."""

    def zeros(params, batch):
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, params, _one(batch, 0)))

    return sharded(zeros, devices, in_axes=(None, 0))


def _one(batch: Any, index: int | jax.Array) -> Any:
    """The batch of one episode of a device's share."""
    return jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, index, 1), batch)


def _add_share(sums, terms, batch):
    """Adds the terms of one episode of a device's share, divided by the number of these."""
    share = len(jax.tree.leaves(batch)[0])
    return jax.tree.map(lambda total, term: total + term / share, sums, terms)


def _numbers(batch):
    """The numbers of the episodes of a batch from `split`. As arrays: a Python int would compile each anew."""
    return np.arange(jax.tree.leaves(batch)[0].shape[1], dtype=np.int32)
