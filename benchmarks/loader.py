"""The speed of the loader: a plain loop, threads and worker processes of Grain, with and without the cache.

    python benchmarks/loader.py [--root VOC2012 --list trainval] [--size 417] [--batch 4] [--episodes 200]

Reads 1-way 1-shot episodes: two photographs and two masks each. Without --root the photographs are synthetic (500 x 375,
JPEG). It is checked that every row reads the same batches. Rounds are interleaved; prints the medians of three.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from panet_jax.datasets.cache import cached
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.shapes import Shapes
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, images_by_class
from panet_jax.episodes.loader import Readers, episode_batches, stack

READERS = ((0, 0), (0, 4), (0, 16), (1, 1), (1, 4), (2, 1), (2, 4))  # workers, threads


def draw_photographs(root, count=96):
    """Writes a user's folder, of synthetic photographs as large as VOC's."""
    shapes = Shapes('train', 500)
    for name in ('images', 'masks'):
        (root / name).mkdir()
    (root / 'classes.txt').write_text('\n'.join(shapes.classes))
    for index in tqdm(range(count), 'drawing photographs', leave=False):
        sample = shapes[index]
        Image.fromarray(sample.image[:375]).save(root / 'images' / f'{index}.jpg', quality=90)
        Image.fromarray(sample.label[:375]).save(root / 'masks' / f'{index}.png')


def plain_loop(episodes, batch, steps):
    for step in range(steps):
        yield stack([episodes[i] for i in range(step * batch, (step + 1) * batch)])


def measure(batches, batch):
    """Episodes per second after the first batch, and a checksum of all batches."""
    first = next(batches)
    started, count = time.perf_counter(), 0
    total = _checksum(first)
    for episodes in batches:
        count += batch
        total += _checksum(episodes)
    return count / (time.perf_counter() - started), total


def _checksum(batch):
    return sum(int(np.asarray(leaf).ravel()[::997].astype(np.int64).sum()) for leaf in jax.tree.leaves(batch))


def rows(plain, fast, batch, steps):
    """Yields (name of a row, function that measures it)."""
    for name, episodes in (('', plain), (', cached', fast)):
        yield f'plain loop{name}', lambda episodes=episodes: measure(plain_loop(episodes, batch, steps), batch)
        for workers, threads in READERS:

            def run(episodes=episodes, workers=workers, threads=threads):
                with episode_batches(episodes, batch, steps, readers=Readers(threads, workers)) as batches:
                    return measure(batches, batch)

            yield f'{workers} worker(s), {threads} thread(s){name}', run


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', help="a folder in VOC's layout")
    parser.add_argument('--list', default='trainval')
    parser.add_argument('--size', type=int, default=417)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--episodes', type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.root:
            prepared = prepare_list('pascal5i', arguments.list, arguments.root, folder)
        else:
            root = Path(folder) / 'drawn'
            root.mkdir()
            draw_photographs(root)
            prepared = prepare_list('custom', 'all', root, folder)
        source = Prepared(prepared)
        usable = [c for c in range(1, len(source.classes) + 1) if source.presence[:, c - 1].sum() > 1]
        plain, fast = (
            Episodes(form, Draws(images_by_class(form, usable, Task()), Task(), 0, flip=True), size=arguments.size)
            for form in (source, cached(source, arguments.size))
        )
        steps = arguments.episodes // arguments.batch + 1
        speeds, checksums = {}, set()
        for _ in range(3):
            for name, run in rows(plain, fast, arguments.batch, steps):
                speed, checksum = run()
                speeds.setdefault(name, []).append(speed)
                checksums.add(checksum)
    assert len(checksums) == 1, 'the readers do not deliver the same episodes'
    base = statistics.median(speeds['plain loop'])
    print(f'{len(source)} photographs, {arguments.size} x {arguments.size}, batches of {arguments.batch}')
    print(f'{"":34} episodes/s  images/s  times the plain loop')
    for name, values in speeds.items():
        median = statistics.median(values)
        print(f'{name:34} {median:10.1f}  {2 * median:8.1f}  {median / base:5.2f}')


if __name__ == '__main__':
    main()
