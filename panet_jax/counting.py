"""Counting the pixels of many episodes with two passes over their images, each encoded once."""

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
    encode = devices.sharded(lambda params, b: image_sums(params, *b, classes, dtype=dtype), used)
    score = devices.sharded(lambda _, b: count_queries(*b), used)
    supports, queries, ways = (
        np.array([getattr(d, name) for d in draws]) for name in ('supports', 'queries', 'classes')
    )
    images, rows = np.unique(np.concatenate([supports.ravel(), queries.ravel()]), return_inverse=True)
    support_rows, query_rows = rows[: supports.size].reshape(supports.shape), rows[supports.size :]
    batches = [images[start : start + batch] for start in range(0, len(images), batch)]
    queried = np.unique(query_rows // batch).tolist()

    def read(numbers):
        read_one = lambda number: _read_batch(source, batches[number], size, batch)  # noqa: E731
        return in_threads(read_one, numbers, threads=max(1, 8 // batch))

    with tqdm(total=len(images), desc='encoding', unit='image', disable=None) as bar:
        kept, table = {}, []
        room = cache_gib * 2**30
        for number, pixels in read(range(len(batches))):
            labels = devices.split(pixels[1], used)
            features, *sums = encode(params, (devices.split(pixels[0], used), labels))
            table.append([devices.join(x)[: len(batches[number])] for x in sums])
            if number in queried and features.nbytes <= room:
                kept[number], room = (features, labels), room - features.nbytes
            bar.update(len(batches[number]))
    columns = np.searchsorted(classes, ways) + 1
    prototypes = episode_prototypes(*map(np.concatenate, zip(*table, strict=True)), support_rows, columns)

    confusions = np.zeros((queries.size, *2 * [ways.shape[1] + 1]), np.int64)
    plan = _plan(query_rows, queried, batch)
    with tqdm(total=queries.size, desc='scoring', unit='query', disable=None) as bar:
        for number, pixels in _with_kept(queried, kept, read):
            if number not in kept:
                labels = devices.split(pixels[1], used)
                features = encode(params, (devices.split(pixels[0], used), labels))[0]
            else:
                features, labels = kept.pop(number)
            for pairs in plan[number]:
                episodes = np.maximum(pairs, 0) // queries.shape[1]
                work = devices.split((prototypes[episodes], ways[episodes]), used)
                found = devices.join(score(None, (features, labels, *work)))
                confusions[pairs[pairs >= 0]] = found[pairs >= 0]
                bar.update(int((pairs >= 0).sum()))
    return confusions.reshape(*queries.shape, *confusions.shape[1:])


def _read_batch(source, images, size, batch):
    """Resized images and labels; a last batch is filled up with repetitions, to be of fixed shape."""
    samples = [resize(source[int(index)], size) for index in images]
    samples += samples[:1] * (batch - len(samples))
    return np.stack([sample.image for sample in samples]), np.stack([sample.label for sample in samples])


def _with_kept(numbers, kept, read):
    """(number, pixels) of each batch; pixels are read for those only whose features were not kept."""
    others = read([number for number in numbers if number not in kept])
    for number in numbers:
        yield (number, None) if number in kept else next(others)


def _plan(query_rows, queried, batch):
    """Which queries are scored together: {batch: list of [batch, P] int, rows into all queries, or -1}."""
    order = np.argsort(query_rows, kind='stable')
    starts = np.searchsorted(query_rows[order], np.arange(query_rows.max() + 2))
    shown = np.count_nonzero(np.diff(starts))
    width = min(MOST_PAIRS, -(-len(query_rows) // shown))
    plan = {}
    for number in queried:
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
