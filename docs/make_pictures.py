"""The pictures of README.md and of the site, made by this program: python docs/make_pictures.py

Photographs: `skimage.data.coins` (Brooklyn Museum) and `skimage.data.immunohistochemistry` (Center for Microscopy and
Molecular Imaging), both without known copyright restrictions. Each is cut into a reference and queries that do not overlap it.
The other pictures are of drawn shapes, by a network that `panet-jax train shapes` trains, or that --workdir names. Those of
the page and the report are screenshots; they need the extras [demo,imagenet], playwright and Chromium. Those of the notebook come
from running it.
"""

import argparse
import contextlib
import io
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import skimage.data
from PIL import Image, ImageDraw

import panet_jax as pj
from panet_jax.images.overlays import outlined, overlay

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parent / 'pictures'
MOST_BYTES = 300_000
CELL = (300, 225)  # width and height of a photograph in the picture
GAP = 8
KINDS = ('photographs', 'shapes', 'report', 'notebook', 'page')
SCALE = 3  # enlargement of the parts of a photograph
MARK = (230, 30, 30)
PROGRAM = 'from panet_jax.commands.cli import run; run()'
PORT, SECONDS = 7871, 120  # port of the demonstration, and longest wait for it


class Scene(NamedTuple):
    """A photograph: (left, top, right, bottom) of a reference and of queries; the object's box within the reference."""

    name: str
    photograph: np.ndarray
    reference: tuple[int, int, int, int]
    box: tuple[int, int, int, int]
    queries: Sequence[tuple[int, int, int, int]]


def scenes() -> list[Scene]:
    """The photographs and their parts."""
    coins = np.stack([skimage.data.coins()] * 3, -1)
    tissue = skimage.data.immunohistochemistry()
    return [
        Scene(
            'coin',
            coins,
            (10, 8, 130, 92),
            (12, 26, 56, 68),
            [(0, 160, 190, 303), (190, 160, 384, 303), (132, 8, 300, 150)],
        ),
        Scene(
            'gland',
            tissue,
            (200, 270, 420, 512),
            (52, 36, 184, 238),
            [(0, 0, 290, 218), (0, 180, 200, 330), (230, 0, 512, 212)],
        ),
    ]


def cut(photograph: np.ndarray, part: tuple[int, int, int, int]) -> np.ndarray:
    """A part of a photograph, enlarged."""
    left, top, right, bottom = part
    size = ((right - left) * SCALE, (bottom - top) * SCALE)
    return np.asarray(Image.fromarray(photograph[top:bottom, left:right]).resize(size))


def cell(image: np.ndarray, box: Sequence[int] = ()) -> Image.Image:
    """An image as a cell of the picture, with a box drawn on it."""
    drawn = Image.fromarray(image)
    if box:
        ImageDraw.Draw(drawn).rectangle(list(box), outline=MARK, width=max(image.shape) // 60)
    drawn.thumbnail(CELL)
    framed = Image.new('RGB', CELL, 'white')
    framed.paste(drawn, ((CELL[0] - drawn.width) // 2, (CELL[1] - drawn.height) // 2))
    return framed


def row(segmenter: pj.Segmenter, scene: Scene) -> list[Image.Image]:
    """The reference with its box, and the queries with what is found."""
    box = [SCALE * number for number in scene.box]
    reference, queries = cut(scene.photograph, scene.reference), [cut(scene.photograph, part) for part in scene.queries]
    results = segmenter.fit({scene.name: [(reference, pj.Box(*box))]}).predict(queries)
    segmented = [
        cell(outlined(overlay(query, result.labels), result.labels))
        for query, result in zip(queries, results, strict=True)
    ]
    return [cell(reference, box), *segmented]


def grid(rows: list[list[Image.Image]]) -> Image.Image:
    """Cells in rows and columns."""
    width, height = CELL[0] + GAP, CELL[1] + GAP
    picture = Image.new('RGB', (len(rows[0]) * width - GAP, len(rows) * height - GAP), 'white')
    for j, cells in enumerate(rows):
        for i, one in enumerate(cells):
            picture.paste(one, (i * width, j * height))
    return picture


def save(picture: Image.Image, name: str) -> None:
    """Writes a picture of docs/pictures/; one that is too large is an error."""
    path = PICTURES / name
    picture.save(path, quality=85)
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f'{path} has {path.stat().st_size} bytes, more than {MOST_BYTES}')
    print(path)


def panet_jax(*words: str) -> None:
    """Runs a command of ours."""
    subprocess.run([sys.executable, '-c', PROGRAM, *words], check=True)


def episodes(workdir: Path, annotation: str) -> Image.Image:
    """The sheet that the program draws of 2-way 2-shot episodes."""
    words = [
        f'--config.evaluation.{word}'
        for word in ('runs=1', 'episodes=20', 'pictures=2', 'untrained=False', f'annotation={annotation}')
    ]
    panet_jax(
        'evaluate', 'shapes', f'--workdir={workdir}', '--config.episode.ways=2', '--config.episode.shots=2', *words
    )
    sheet = max((workdir / 'pictures').glob('*.png'), key=lambda path: path.stat().st_mtime)
    picture = Image.open(sheet).convert('RGB')
    picture.thumbnail((1200, 1200))
    return picture


@contextlib.contextmanager
def browser(width: int, height: int) -> Iterator['Page']:
    """A page of a headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
        chromium = playwright.chromium.launch(executable_path=path, args=['--no-sandbox'])
        yield chromium.new_page(viewport={'width': width, 'height': height})
        chromium.close()


def shot(page: 'Page') -> Image.Image:
    """What a page shows."""
    return Image.open(io.BytesIO(page.screenshot())).convert('RGB')


def report(workdir: Path) -> Image.Image:
    """The first screen of the report of a training."""
    with browser(1000, 900) as page:
        page.goto((workdir / 'report.html').absolute().as_uri())
        return shot(page)


def demonstration() -> Image.Image:
    """The page to draw on, with its example."""
    words = ['demo', '--weights=imagenet', f'--port={PORT}']
    server = subprocess.Popen([sys.executable, '-c', PROGRAM, *words])
    try:
        with browser(1300, 1000) as page:
            for _ in range(SECONDS):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f'http://127.0.0.1:{PORT}')
                    break
                time.sleep(1)
            page.goto(f'http://127.0.0.1:{PORT}')
            page.wait_for_timeout(5000)  # until the page listens to its buttons
            page.locator('#example').click()
            page.locator('#legend tr').first.wait_for(timeout=1000 * SECONDS)
            page.wait_for_timeout(5000)  # the pictures follow
            page.evaluate('scrollTo(0, 0)')
            return shot(page)
    finally:
        server.terminate()
        server.wait()


def notebook(workdir: Path) -> list[Image.Image]:
    """What notebooks/quickstart.ipynb shows of its star: found before its training, and after."""
    import nbformat
    from nbclient import NotebookClient

    folder = Path(__file__).parents[1] / 'notebooks'
    content = nbformat.read(folder / 'quickstart.ipynb', as_version=4)
    [place] = [n for n, one in enumerate(content.cells) if 'parameters' in one.metadata.get('tags', ())]
    content.cells.insert(place + 1, nbformat.v4.new_code_cell(f'WORKDIR = {str(workdir)!r}'))
    NotebookClient(content, timeout=1800, resources={'metadata': {'path': folder}}).execute()
    return [Image.open(workdir / name).convert('RGB') for name in ('found.png', 'found-again.png')]


def of_training(workdir: Path, only: Sequence[str], scratch: Path) -> None:
    """Makes those pictures that need a training of shapes."""
    for annotation in ('dense', 'scribble', 'box') if 'shapes' in only else ():
        save(episodes(workdir, annotation), f'shapes-{annotation}.jpg')
    if 'report' in only:
        save(report(workdir), 'report.jpg')
    if 'notebook' in only:
        for picture, name in zip(notebook(scratch), ('found', 'found-again'), strict=True):
            save(picture, f'notebook-{name}.jpg')


def main() -> None:
    """Makes the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--workdir', type=Path, help='a training of shapes; without it, one is made (two to three minutes)'
    )
    parser.add_argument('--only', nargs='+', choices=KINDS, default=KINDS, help='make these only')
    options = parser.parse_args()
    PICTURES.mkdir(exist_ok=True)
    if 'photographs' in options.only:
        segmenter = pj.Segmenter('imagenet')
        save(grid([row(segmenter, scene) for scene in scenes()]), 'photographs.jpg')
    with tempfile.TemporaryDirectory() as temporary:
        workdir = options.workdir or Path(temporary)
        if {'shapes', 'report'} & set(options.only) and not options.workdir:
            panet_jax('train', 'shapes', '--mode=train', f'--workdir={workdir}')
        of_training(workdir, options.only, Path(temporary, 'quickstart'))
    if 'page' in options.only:
        save(demonstration(), 'page.jpg')


if __name__ == '__main__':
    main()
