"""Counts the pixels of many episodes in two passes over their images.

The first pass encodes each image once and keeps its sums under masks: all prototypes follow from them. The second pass
scores each query image once, with all its episodes. Features of query images are kept within a budget, together with
the labels; the second pass computes the others again. The counts are the same either way.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from panet_jax.compute import devices, hosts
from panet_jax.episodes.annotations import KINDS
from panet_jax.episodes.draws import Draw
from panet_jax.evaluation.batches import AnnotatedImages, Batches
from panet_jax.evaluation.feature_cache import FeatureCache
from panet_jax.evaluation.image_sums import count_queries, episode_prototypes, mask_sums
from panet_jax.method.adapt import Adaptation, adaptation_of
from panet_jax.method.encoder import Encoder, Params
from panet_jax.method.episode import normalize
from panet_jax.method.prototypes import Pooled

MOST_PAIRS = 16  # largest number of episodes with which an image is scored at once


class Counted(NamedTuple):
    """The counts of E episodes.

    Attributes:
        confusions: [E, Q, 1 + N, 1 + N] int64, numbers of pixels by true label (rows) and predicted label (columns).
        empty_supports: [E] int64, number of supports whose annotation has no pixel at the size of the network. It was
            too small or hidden.
    """

    confusions: np.ndarray
    empty_supports: np.ndarray


class Evaluator:
    """Counts the pixels of episodes with one encoder. Later counts reuse compiled programs and cached features.

    Args:
        encoder: the Encoder.
        dtype: dtype of its computation, as in `Encoder.encode`.
        batch: number of images of an encoder step, over all devices of a process. Several processes share the images.
        cache_gib: budget for features in GiB, over all devices of a process.
        head: 'panet', the paper's, or 'adapted', which adapts the prototypes to each query, as for `adaptation_of`.

    Attributes:
        encoder, dtype, batch, head: the arguments.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        dtype: str = 'float32',
        batch: int = 4,
        cache_gib: float = 4.0,
        head: str = 'panet',
    ):
        self.encoder, self.dtype, self.batch, self.head = encoder, dtype, batch, head
        self._devices = devices.usable_devices(batch)
        self._cache = FeatureCache(cache_gib)

        def encode(params: Params, images: jax.Array) -> jax.Array:
            return encoder.encode(params, normalize(images), dtype=dtype)

        self._encode = devices.sharded(encode, self._devices, in_axes=(None, 0))
        self._sum = devices.sharded(lambda batch: mask_sums(*batch), self._devices)

        @functools.cache
        def score(adaptation: Adaptation) -> Callable:
            return devices.sharded(lambda batch: count_queries(*batch, adaptation), self._devices)

        self._score = score

    def count(self, params: Params, draws: Sequence[Draw], annotated: AnnotatedImages, key: Hashable = None) -> Counted:
        """Confusion matrices of all queries of many episodes.

        Args:
            params: parameters of the encoder.
            draws: E Draws of one N, K and Q.
            annotated: the images of the draws.
            key: identifies the parameters and the data. A count reuses the features of the previous count if its key was
                the same. With None it computes all features.

        Returns:
            The counts, the same on all processes.

        Raises:
            InputError: an image cannot be read.
        """
        supports, queries, ways = (
            np.array([getattr(draw, name) for draw in draws]) for name in ('supports', 'queries', 'classes')
        )
        image_ids, rows = np.unique(np.concatenate([supports.ravel(), queries.ravel()]), return_inverse=True)
        support_rows, query_rows = rows[: supports.size].reshape(supports.shape), rows[supports.size :]
        grid = self.encoder.grid(annotated.size)
        batches = Batches(annotated, image_ids, set(supports.flat), self.batch, grid, self._devices)
        plan = {number: rounds for number, rounds in _plan(query_rows, self.batch).items() if hosts.is_own(number)}
        encode = functools.partial(self._encode, devices.replicate(params, self._devices))
        self._cache.begin(key and (key, annotated.size), batches.image_ids)

        pooled = self._sum_images(encode, batches, plan)
        columns = np.searchsorted(annotated.class_ids, ways)
        others_excluded = KINDS[annotated.reader.kind].others_excluded
        prototypes = episode_prototypes(pooled, support_rows, columns, others_excluded=others_excluded)
        episode_of_query = np.arange(queries.size) // queries.shape[1]
        score = self._score(adaptation_of(self.head, supports.shape[-1]))
        of_queries = prototypes[episode_of_query], ways[episode_of_query]
        confusions = self._score_queries(encode, score, batches, plan, *of_queries)
        empty = pooled.count[support_rows, 0, columns[:, :, None]] == 0  # [E, N, K]
        return Counted(confusions.reshape(*queries.shape, *confusions.shape[1:]), empty.sum((1, 2)))

    def _sum_images(self, encode, batches, plan):
        """The first pass: Pooled of all images. Keeps features and truth for the second one, as far as there is room."""
        table = [None] * len(batches.image_ids)
        own_numbers = [number for number in range(len(batches.image_ids)) if hosts.is_own(number)]
        count = sum(len(batches.image_ids[number]) for number in own_numbers)
        with tqdm(total=count, desc='encoding', unit='image', disable=hosts.bar_hidden()) as bar:
            for number, batch in batches.read(own_numbers, with_masks=True):
                image_ids = batches.image_ids[number]
                features = self._cache.get(image_ids)
                features = encode(batch.images) if features is None else features
                if number in plan:
                    self._cache.put(image_ids, features, batch.truth)
                sums = devices.join(self._sum((features, batch.masks)))
                table[number] = [array[: len(image_ids)] for array in sums]
                bar.update(len(image_ids))
        return Pooled(*_gathered(table, batches.image_ids))

    def _score_queries(self, encode, score, batches, plan, prototypes, ways):
        """The second pass: the confusion matrix of each query, from its episode's prototypes and classes."""
        confusions = np.zeros((len(ways), *2 * [prototypes.shape[1]]), np.int32)
        uncached_numbers = [number for number in plan if not self._cache.truth(batches.image_ids[number])]
        uncached = batches.read(uncached_numbers, with_masks=False)
        count = sum(int((pairs >= 0).sum()) for rounds in plan.values() for pairs in rounds)
        with tqdm(total=count, desc='scoring', unit='query', disable=hosts.bar_hidden()) as bar:
            for number, rounds in plan.items():
                image_ids = batches.image_ids[number]
                features, truth = self._cache.get(image_ids), self._cache.truth(image_ids)
                if not truth:
                    batch = next(uncached)[1]
                    features, truth = encode(batch.images), batch.truth
                for pairs in rounds:
                    episodes = devices.split((prototypes[pairs], ways[pairs]), self._devices)
                    matrices = devices.join(score((features, *truth, *episodes)))
                    confusions[pairs[pairs >= 0]] = matrices[pairs >= 0]
                    bar.update(int((pairs >= 0).sum()))
        return hosts.total(confusions).astype(np.int64)


def _gathered(table, image_ids):
    """Sums and counts of all images, added over the processes: each has zeros for the batches of the others."""
    example = next(filter(None, table), None)
    shapes = hosts.value_from_primary(lambda: [array.shape[1:] for array in example])
    empty = [[np.zeros((len(batch), *shape), np.float32) for shape in shapes] for batch in image_ids]
    rows = [sums or zeros for sums, zeros in zip(table, empty, strict=True)]
    return [hosts.total(np.concatenate(column)) for column in zip(*rows, strict=True)]


def _plan(query_rows, batch):
    """The queries to score together: {number of a batch: list of [B, P] int, numbers of queries, -1 for none}."""
    order = np.argsort(query_rows, kind='stable')
    starts = np.searchsorted(query_rows[order], np.arange(query_rows.max() + 2))
    images = np.count_nonzero(np.diff(starts))  # different images among the queries
    width = min(MOST_PAIRS, -(-len(query_rows) // images))
    plan = {}
    for number in np.unique(query_rows // batch).tolist():
        rows = range(number * batch, min((number + 1) * batch, len(starts) - 1))
        image_queries = [order[starts[row] : starts[row + 1]] for row in rows]
        plan[number] = []
        for first in range(0, max(map(len, image_queries)), width):
            pairs = np.full((batch, width), -1)
            for row, queries in zip(pairs, image_queries, strict=False):
                row[: len(queries[first : first + width])] = queries[first : first + width]
            plan[number].append(pairs)
    return plan
