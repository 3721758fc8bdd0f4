"""Counting the pixels of many episodes with two passes over their images, each encoded once."""

import functools

import numpy as np
from tqdm import tqdm

from panet_jax import devices
from panet_jax.ahead import in_threads
from panet_jax.image_sums import count_queries, episode_prototypes, image_sums
from panet_jax.images import resize

MOST_PAIRS = 16  # episodes that an image is scored with at once


def count_episodes(params, draws, source, classes, *, size, batch, dtype, cache_gib):
    """Confusion matrices of all queries of many episodes.

    The first pass takes every image once and keeps its sums by label, from which all prototypes follow;
    the second takes every query image once with all its episodes. Features of the first pass are kept
    on the devices for the second within `cache_gib`; the others are computed again. What is counted is
    the same either way.

    Args:
        params: encoder parameters, on the devices that will work.
        draws: list of E Draws.
        source: the images.
        classes: sorted list of the class numbers that the draws are from.
        size: side of the images in pixels.
        batch: images an encoder step, over all devices.
        dtype: of the encoder's computation.
        cache_gib: for features, over all devices, in GiB.

    Returns:
        [E, Q, 1 + N, 1 + N] int64, rows the truth.
    """
    used = devices.usable_devices(batch)
    supports, queries, ways = (
        np.array([getattr(d, name) for d in draws]) for name in ('supports', 'queries', 'classes')
    )
    images, rows = np.unique(np.concatenate([supports.ravel(), queries.ravel()]), return_inverse=True)
    support_rows, query_rows = rows[: supports.size].reshape(supports.shape), rows[supports.size :]
    batches = _Batches(source, images, size, batch, used)
    plan = _plan(query_rows, batch)
    encode = devices.sharded(lambda params, pixels: image_sums(params, *pixels, classes, dtype=dtype), used)
    encode = functools.partial(encode, params)

    sums, counts, kept = _sum_images(encode, batches, plan, cache_gib * 2**30)
    prototypes = episode_prototypes(sums, counts, support_rows, np.searchsorted(classes, ways) + 1)
    of_query = np.arange(queries.size) // queries.shape[1]  # the episode of each query
    confusions = _score_queries(encode, batches, plan, kept, prototypes[of_query], ways[of_query])
    return confusions.reshape(*queries.shape, *confusions.shape[1:])


class _Batches:
    """Batches of images and labels, read ahead; the last one is filled up, to be of fixed shape."""

    def __init__(self, source, images, size, batch, used):
        self._source, self._size, self._batch, self.devices = source, size, batch, used
        self.images = [images[start : start + batch] for start in range(0, len(images), batch)]

    def read(self, numbers):
        """Yields (number, (images, labels)) of some batches, split over the devices."""
        for number, pixels in in_threads(self._read, numbers, threads=max(1, 8 // self._batch)):
            yield number, devices.split(pixels, self.devices)

    def _read(self, number):
        samples = [resize(self._source[int(index)], self._size) for index in self.images[number]]
        samples += samples[:1] * (self._batch - len(samples))
        return np.stack([sample.image for sample in samples]), np.stack([sample.label for sample in samples])


def _sum_images(encode, batches, plan, room):
    """The first pass: sums and counts of all images, and (features, labels) of the batches that fit into `room` bytes."""
    kept, table = {}, []
    with tqdm(total=sum(map(len, batches.images)), desc='encoding', unit='image', disable=None) as bar:
        for number, pixels in batches.read(range(len(batches.images))):
            features, *sums = encode(pixels)
            if number in plan and features.nbytes <= room:
                kept[number], room = (features, pixels[1]), room - features.nbytes
            whole = len(batches.images[number])
            table.append([found[:whole] for found in devices.join(sums)])
            bar.update(whole)
    sums, counts = map(np.concatenate, zip(*table, strict=True))
    return sums, counts, kept


def _score_queries(encode, batches, plan, kept, prototypes, ways):
    """The second pass: the confusion matrix of each query, from its episode's prototypes and classes."""
    score = devices.sharded(lambda _, batch: count_queries(*batch), batches.devices)
    confusions = np.zeros((len(ways), *2 * [prototypes.shape[1]]), np.int64)
    others = batches.read([number for number in plan if number not in kept])
    with tqdm(total=len(ways), desc='scoring', unit='query', disable=None) as bar:
        for number, rounds in plan.items():
            if number in kept:
                features, labels = kept.pop(number)
            else:
                pixels = next(others)[1]
                features, labels = encode(pixels)[0], pixels[1]
            for pairs in rounds:
                work = devices.split((prototypes[pairs], ways[pairs]), batches.devices)
                found = devices.join(score(None, (features, labels, *work)))
                confusions[pairs[pairs >= 0]] = found[pairs >= 0]
                bar.update(int((pairs >= 0).sum()))
    return confusions


def _plan(query_rows, batch):
    """Which queries are scored together: {batch: list of [batch, P] int, rows into all queries, or -1}."""
    order = np.argsort(query_rows, kind='stable')
    starts = np.searchsorted(query_rows[order], np.arange(query_rows.max() + 2))
    shown = np.count_nonzero(np.diff(starts))
    width = min(MOST_PAIRS, -(-len(query_rows) // shown))
    plan = {}
    for number in np.unique(query_rows // batch).tolist():
        mine = [
            order[starts[r] : starts[r + 1]] for r in range(number * batch, min((number + 1) * batch, len(starts) - 1))
        ]
        plan[number] = []
        for first in range(0, max(map(len, mine)), width):
            pairs = np.full((batch, width), -1)
            for row, some in zip(pairs, mine, strict=False):
                row[: len(some[first : first + width])] = some[first : first + width]
            plan[number].append(pairs)
    return plan
