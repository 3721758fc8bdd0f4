"""Counting the pixels of many episodes with two passes over their images, each encoded once or twice."""

import functools
import os
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from panet_jax.compute import devices, hosts
from panet_jax.disk.read_ahead import in_threads
from panet_jax.episodes.annotations import KINDS
from panet_jax.evaluation.image_sums import count_queries, episode_prototypes, mask_sums
from panet_jax.images.resize import resize
from panet_jax.method.episode import IGNORE, normalize
from panet_jax.method.prototypes import Pooled, bilinear_matrix
from panet_jax.method.vgg16 import STRIDE, encode

MOST_READERS = 16  # batches that are read at a time, where there are so many cores
MOST_PAIRS = 16  # episodes that an image is scored with at once
# Labels of their own size are padded to a multiple of this: few sizes, few compilations.
SIZE_STEP = 128


class Counted(NamedTuple):
    """What was counted.

    Attributes:
        confusions: [E, Q, 1 + N, 1 + N] int64, rows the truth.
        empty_supports: [E] int64, supports of each episode whose annotation has no pixel at the network's
            size, having been too small or hidden.
    """

    confusions: np.ndarray
    empty_supports: np.ndarray


class _Kept(NamedTuple):
    features: object  # of a batch of images, on the devices
    truth: tuple  # as in _Batch; empty between two evaluations
    nbytes: int  # of both


class FeatureCache:
    """Features of batches of images, on the devices, and the truth that goes with them, within a budget.

    Within an evaluation they go from the first pass to the second; the next evaluation of the same
    network finds those of the batches that are its own too.

    Args:
        gib: the budget over all devices of this process.
    """

    def __init__(self, gib):
        self._budget, self._kept, self._of = gib * 2**30, {}, None

    def begin(self, of, batches):
        """Forgets what an evaluation of the network and data `of` on these batches has no use for."""
        wanted = {batch.tobytes() for batch in batches} if of is not None and of == self._of else ()
        # The room of a truth stays taken: its batch will want it again.
        self._kept = {batch: kept._replace(truth=()) for batch, kept in self._kept.items() if batch in wanted}
        self._of = of

    def put(self, batch, features, truth):
        """Keeps the features and the truth of a batch if there is room for both; returns whether it did."""
        self._kept.pop(batch.tobytes(), None)
        needed = sum(array.nbytes for array in (features, *truth))
        if needed + sum(kept.nbytes for kept in self._kept.values()) > self._budget:
            return False
        self._kept[batch.tobytes()] = _Kept(features, truth, needed)
        return True

    def get(self, batch):
        """The features of a batch, or None."""
        kept = self._kept.get(batch.tobytes())
        return kept and kept.features

    def truth(self, batch):
        """The truth of a batch whose features this evaluation has put here, or ()."""
        kept = self._kept.get(batch.tobytes())
        return kept.truth if kept else ()


class _Batch(NamedTuple):
    images: np.ndarray  # [B, size, size, 3] uint8
    masks: np.ndarray  # as mask_sums takes them
    truth: tuple  # labels, rows and columns, as count_queries takes them


def count_episodes(params, draws, source, classes, reader, cache, *, size, own_size, batch, dtype, network=None):
    """Confusion matrices of all queries of many episodes.

    The first pass takes every image once and keeps its sums under masks, from which all prototypes
    follow; the second takes every query image once with all its episodes. Features are kept within the
    cache's budget, with the labels of their images; the others are computed again. What is counted is the same either way.

    Args:
        params: encoder parameters, on the devices that will work.
        draws: list of E Draws.
        source: the images.
        classes: sorted list of the class numbers that the draws are from.
        reader: a SupportReader.
        cache: a FeatureCache.
        size: side of the images in pixels.
        own_size: whether queries are scored at the size of their label, not at `size`.
        batch: images an encoder step, over all devices of a process; several processes share the images.
        dtype: of the encoder's computation, as in `encode`.
        network: what names the parameters and the data set, for a cache that goes on to another evaluation.

    Returns:
        A Counted.
    """
    used = devices.usable_devices(batch)
    supports, queries, ways = (
        np.array([getattr(d, name) for d in draws]) for name in ('supports', 'queries', 'classes')
    )
    images, rows = np.unique(np.concatenate([supports.ravel(), queries.ravel()]), return_inverse=True)
    support_rows, query_rows = rows[: supports.size].reshape(supports.shape), rows[supports.size :]
    batches = _Batches(source, images, set(supports.flat), classes, reader, size, own_size, batch, used)
    plan = {number: rounds for number, rounds in _plan(query_rows, batch).items() if hosts.is_mine(number)}
    encoder = functools.partial(_encoder(dtype, tuple(used)), params)
    cache.begin(network and (network, size, dtype, batch), batches.images)

    pooled = _sum_images(encoder, batches, plan, cache)
    columns = np.searchsorted(classes, ways)
    excluded = KINDS[reader.kind].others_excluded
    prototypes = episode_prototypes(pooled, support_rows, columns, others_excluded=excluded)
    of_query = np.arange(queries.size) // queries.shape[1]  # the episode of each query
    confusions = _score_queries(encoder, batches, plan, cache, prototypes[of_query], ways[of_query])
    empty = pooled.count[support_rows, 0, columns[:, :, None]] == 0  # [E, N, K]
    return Counted(confusions.reshape(*queries.shape, *confusions.shape[1:]), empty.sum((1, 2)))


@functools.cache  # another evaluation of this process compiles nothing
def _encoder(dtype, used):
    return devices.sharded(
        lambda params, images: encode(params, normalize(images), dtype=dtype), used, with_params=True
    )


@functools.cache
def _summer(used):
    return devices.sharded(lambda batch: mask_sums(*batch), used)


@functools.cache
def _scorer(used):
    return devices.sharded(lambda batch: count_queries(*batch), used)


class _Batches:
    """Batches of images with masks and truth, read ahead; the last one is filled up, to be of fixed shape."""

    def __init__(self, source, images, supports, classes, reader, size, own_size, batch, used):
        self._source, self._supports, self._classes, self._reader = source, supports, classes, reader
        self._size, self._own_size, self._batch, self.devices = size, own_size, batch, used
        self.images = [images[start : start + batch] for start in range(0, len(images), batch)]

    def read(self, numbers, *, with_masks):
        """Yields (number, _Batch split over the devices) of some batches; masks that nobody needs are empty."""
        read = functools.partial(self._read, with_masks=with_masks)
        for number, batch in in_threads(read, numbers, threads=min(os.cpu_count() or 1, MOST_READERS), ahead=2):
            yield number, devices.split(batch, self.devices)

    def _read(self, number, with_masks):
        indices = self.images[number].tolist()
        samples = [self._source[index] for index in indices]
        resized = [resize(sample, self._size) for sample in samples]
        supports = self._supports if with_masks else ()
        nothing = np.zeros((2, len(self._classes), self._size, -(-self._size // 8)), np.uint8)
        masks = [
            self._masks(index, sample.label) if index in supports else nothing
            for index, sample in zip(indices, resized, strict=True)
        ]
        labels = [sample.label for sample in (samples if self._own_size else resized)]
        missing = self._batch - len(indices)
        images = [sample.image for sample in resized]
        return _Batch(
            *(np.stack(arrays + arrays[:1] * missing) for arrays in (images, masks)),
            self._truth(labels + labels[:1] * missing),
        )

    def _masks(self, index, label):
        """Foreground and background of each class, packed."""
        return np.packbits(self._reader.classes(self._source, index, label, self._classes), axis=-1)

    def _truth(self, labels):
        """Labels of any size padded to a square of one, with the matrices that resample features to each."""
        side = max(max(label.shape) for label in labels)
        side = -(-side // SIZE_STEP) * SIZE_STEP if self._own_size else side
        grid = -(-self._size // STRIDE)
        padded = np.full((len(labels), side, side), IGNORE, np.uint8)
        matrices = np.zeros((2, len(labels), side, grid), np.float32)
        for place, label in enumerate(labels):
            padded[place, : label.shape[0], : label.shape[1]] = label
            for matrix, length in zip(matrices[:, place], label.shape, strict=True):
                matrix[:length] = bilinear_matrix(length, grid)
        return padded, *matrices


def _sum_images(encoder, batches, plan, cache):
    """The first pass: Pooled of all images; keeps what the second one needs, as far as there is room."""
    summer = _summer(tuple(batches.devices))
    table = [None] * len(batches.images)
    mine = [number for number in range(len(batches.images)) if hosts.is_mine(number)]
    with tqdm(
        total=sum(len(batches.images[n]) for n in mine), desc='encoding', unit='image', disable=hosts.bar_hidden()
    ) as bar:
        for number, batch in batches.read(mine, with_masks=True):
            images = batches.images[number]
            features = cache.get(images)
            features = encoder(batch.images) if features is None else features
            if number in plan:
                cache.put(images, features, batch.truth)
            table[number] = [found[: len(images)] for found in devices.join(summer((features, batch.masks)))]
            bar.update(len(images))
    return Pooled(*_gathered(table, batches.images))


def _gathered(table, images):
    """Sums and counts of all images, from all processes: zeros stand for what another one computed."""
    like = next(filter(None, table), None)
    shapes = hosts.value_from_primary(lambda: [found.shape[1:] for found in like])
    nothing = [[np.zeros((len(batch), *shape), np.float32) for shape in shapes] for batch in images]
    rows = [found or zeros for found, zeros in zip(table, nothing, strict=True)]
    return [hosts.total(np.concatenate(column)) for column in zip(*rows, strict=True)]


def _score_queries(encoder, batches, plan, cache, prototypes, ways):
    """The second pass: the confusion matrix of each query, from its episode's prototypes and classes."""
    score = _scorer(tuple(batches.devices))
    confusions = np.zeros((len(ways), *2 * [prototypes.shape[1]]), np.int32)
    others = batches.read([number for number in plan if not cache.truth(batches.images[number])], with_masks=False)
    queries = sum(int((pairs >= 0).sum()) for rounds in plan.values() for pairs in rounds)
    with tqdm(total=queries, desc='scoring', unit='query', disable=hosts.bar_hidden()) as bar:
        for number, rounds in plan.items():
            features, truth = cache.get(batches.images[number]), cache.truth(batches.images[number])
            if not truth:
                batch = next(others)[1]
                features, truth = encoder(batch.images), batch.truth
            for pairs in rounds:
                work = devices.split((prototypes[pairs], ways[pairs]), batches.devices)
                found = devices.join(score((features, *truth, *work)))
                confusions[pairs[pairs >= 0]] = found[pairs >= 0]
                bar.update(int((pairs >= 0).sum()))
    return hosts.total(confusions).astype(np.int64)


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
