"""`shapes`: synthetic images of 20 object classes, so that everything runs without a download.

A class is a silhouette with its own pattern, like the outline and texture of a real class. Color, size, place, tilt
and light are random for every object. An image shows one to three objects on a textured ground, among lines and specks
of no class. A network that only separates objects from the ground confuses the classes, and one that matches colors
fails. Image i of a split is a pure function of (seed of the split, i).
"""

import dataclasses
import functools
import types

import numpy as np
from PIL import Image, ImageDraw

from panet_jax.datasets.source import Sample
from panet_jax.errors import InputError
from panet_jax.images.scribbles import draw_scribbles
from panet_jax.method.episode import IGNORE

# Seed and number of images.
SPLITS = {'train': (0, 2000), 'test': (1, 1000)}
# Silhouettes are drawn this many times larger and averaged down, for smooth edges.
OVERSAMPLING = 4
# A pixel is void, like the outlines in PASCAL VOC, if the object covers a share of it between these two.
VOID_COVERAGE = (0.2, 0.8)


def _regular(corners, turn=0.0):
    angle = 2 * np.pi * np.arange(corners) / corners + turn
    return np.stack([np.sin(angle), -np.cos(angle)], 1)


def _star(points, inner):
    radius = np.where(np.arange(2 * points) % 2, inner, 1.0)
    return radius[:, None] * _regular(2 * points)


def _polar(radius):
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    return radius(angle)[:, None] * np.stack([np.sin(angle), -np.cos(angle)], 1)


def _points(*coordinates):
    return np.array(coordinates, float).reshape(-1, 2)


def _heart():
    t = np.linspace(0, 2 * np.pi, 90)
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, -y], 1) / 17


def _crescent():
    outer = np.linspace(-0.75 * np.pi, 0.75 * np.pi, 40)
    inner = np.linspace(0.7 * np.pi, -0.7 * np.pi, 40)
    return np.concatenate(
        [
            np.stack([np.cos(outer), np.sin(outer)], 1),
            np.stack([0.72 * np.cos(inner) - 0.35, 0.72 * np.sin(inner)], 1),
        ]
    )


# Name -> (outline in the unit disc with y down, pattern). The order makes the folds: five by five.
CLASSES = {
    'disc': (_regular(60), 'checks'),
    'arrow': (_points(0, -1, 0.8, 0, 0.35, 0, 0.35, 0.9, -0.35, 0.9, -0.35, 0, -0.8, 0), 'stripes'),
    'star': (_star(5, 0.45), 'dots'),
    'house': (_points(0, -1, 0.9, -0.2, 0.65, -0.2, 0.65, 0.8, -0.65, 0.8, -0.65, -0.2, -0.9, -0.2), 'bricks'),
    'crescent': (_crescent(), 'hatch'),
    'square': (_regular(4, np.pi / 4), 'rings'),
    'heart': (_heart(), 'waves'),
    'gear': (_star(10, 0.72), 'spokes'),
    'tee': (
        _points(-0.9, -0.8, 0.9, -0.8, 0.9, -0.2, 0.32, -0.2, 0.32, 0.9, -0.32, 0.9, -0.32, -0.2, -0.9, -0.2),
        'noise',
    ),
    'leaf': (_polar(lambda a: 0.35 + 0.65 * np.cos(a) ** 4), 'veins'),
    'triangle': (_regular(3), 'zigzag'),
    'flower': (_polar(lambda a: 0.72 + 0.28 * np.cos(5 * a)), 'target'),
    'hourglass': (_points(-0.75, -0.9, 0.75, -0.9, 0.2, 0, 0.75, 0.9, -0.75, 0.9, -0.2, 0), 'grid'),
    'drop': (_polar(lambda a: 0.55 + 0.45 * np.maximum(np.cos(a), 0) ** 3), 'shaded'),
    'cross': (
        _points(
            *(-0.33, -0.95, 0.33, -0.95, 0.33, -0.33, 0.95, -0.33, 0.95, 0.33, 0.33, 0.33),
            *(0.33, 0.95, -0.33, 0.95, -0.33, 0.33, -0.95, 0.33, -0.95, -0.33, -0.33, -0.33),
        ),
        'diamonds',
    ),
    'hexagon': (_regular(6), 'bars'),
    'ell': (_points(-0.8, -0.9, -0.2, -0.9, -0.2, 0.3, 0.8, 0.3, 0.8, 0.9, -0.8, 0.9), 'scales'),
    'bolt': (_points(0.1, -1, 0.7, -1, 0.3, -0.2, 0.8, -0.2, -0.4, 1, -0.1, 0.15, -0.6, 0.15), 'blocks'),
    'fan': (np.concatenate([[[0, 0.7]], 1.2 * _polar(lambda a: 1 + 0 * a)[[*range(-14, 15)]] + [0, 0.3]]), 'rays'),
    'burst': (_star(8, 0.55), 'swirl'),
}


def _pattern(name, x, y, rng):
    """A pattern's brightness in [0, 1] at object coordinates x, y in about [-1, 1]."""
    radius, angle = np.hypot(x, y), np.arctan2(y, x)

    def wave(phase):
        return np.sin(np.pi * phase) > 0

    row = np.floor(3 * y)
    return {
        'checks': lambda: wave(3 * x) ^ wave(3 * y),
        'stripes': lambda: wave(5 * x),
        'dots': lambda: np.hypot((4 * x) % 2 - 1, (4 * y) % 2 - 1) < 0.6,
        'bricks': lambda: ((3 * y) % 1 < 0.25) | ((2 * x + 0.5 * (row % 2)) % 1 < 0.18),
        'rings': lambda: wave(5 * np.maximum(abs(x), abs(y))),
        'waves': lambda: wave(5 * y + np.sin(6 * x)),
        'noise': lambda: _noise(x, y, rng),
        'spokes': lambda: wave(6 * angle / np.pi),
        'veins': lambda: wave(5 * (y + abs(x))) & (abs(x) > 0.08),
        'zigzag': lambda: wave(5 * y + 2 * abs((2 * x) % 2 - 1)),
        'target': lambda: wave(4 * radius),
        'hatch': lambda: wave(4 * (x + y)),
        'grid': lambda: ((3 * x) % 1 < 0.3) | ((3 * y) % 1 < 0.3),
        'shaded': lambda: np.clip((y + 1) / 2, 0, 1),
        'diamonds': lambda: wave(3 * (x + y)) ^ wave(3 * (x - y)),
        'bars': lambda: wave(3 * y),
        'scales': lambda: np.hypot((3 * x + 0.5 * (row % 2)) % 1 - 0.5, (3 * y) % 1) < 0.55,
        'blocks': lambda: wave(2 * x) & wave(2 * y),
        'rays': lambda: wave(12 * angle / np.pi) & (radius > 0.3),
        'swirl': lambda: wave(3 * angle / np.pi + 3 * radius),
    }[name]()


def _noise(x, y, rng):
    """Random black and white cells, 8 for each unit of length."""
    cells = rng.random((16, 16))
    row, column = (np.clip((8 * (coordinate + 1)).astype(int), 0, 15) for coordinate in (y, x))
    return cells[row, column] > 0.5


@dataclasses.dataclass(frozen=True)
class Thing:
    """One object of an image.

    Attributes:
        label: class, 1..20.
        x, y, radius: center and radius, as fractions of the side of the image.
        tilt: rotation in radians.
    """

    label: int
    x: float
    y: float
    radius: float
    tilt: float


def scene(rng: np.random.Generator) -> list[Thing]:
    """Draws the objects of an image at random: one to three that do not overlap; several may have one class.

    Args:
        rng: source of randomness.

    Returns:
        The objects.
    """
    things = []
    labels = rng.integers(1, len(CLASSES) + 1, rng.integers(1, 4))
    for label in labels:
        radius = rng.uniform(0.2, 0.36)
        for _ in range(20):
            x, y = rng.uniform(0.8 * radius, 1 - 0.8 * radius, 2)
            if all(np.hypot(x - other.x, y - other.y) > 0.95 * (radius + other.radius) for other in things):
                things.append(Thing(int(label), x, y, radius, rng.uniform(-0.35, 0.35)))
                break
    return things


def render(things: list[Thing], size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws a scene.

    Args:
        things: the objects.
        size: side of the image in pixels.
        rng: source of randomness.

    Returns:
        The image [size, size, 3] uint8; the label [size, size] uint8 in 0..20, 255 on edges; and the instances
        [size, size] int32, 0 for no object and j + 1 for things[j].
    """
    image = _ground(size, rng)
    label = np.zeros((size, size), np.uint8)
    instances = np.zeros((size, size), np.int32)
    for number, thing in enumerate(things, 1):
        outline, pattern = list(CLASSES.values())[thing.label - 1]
        coverage = _coverage(outline, thing, size)
        low, high = VOID_COVERAGE
        label[coverage > low] = IGNORE
        instances[coverage > low] = 0
        label[coverage >= high] = thing.label
        instances[coverage >= high] = number
        image += coverage[..., None] * (_paint(pattern, thing, size, rng) - image)
    image += rng.normal(0, 0.03, image.shape)
    return (np.clip(image, 0, 1) * 255).astype(np.uint8), label, instances


def _coverage(outline, thing, size):
    """The share of each pixel that the silhouette covers, [size, size] in [0, 1]."""
    cos, sin = np.cos(thing.tilt), np.sin(thing.tilt)
    turned = outline @ np.array([[cos, sin], [-sin, cos]]) * thing.radius + (thing.x, thing.y)
    canvas = Image.new('L', (size * OVERSAMPLING,) * 2)
    ImageDraw.Draw(canvas).polygon([tuple(point) for point in turned * size * OVERSAMPLING], fill=255)
    return np.asarray(canvas.reduce(OVERSAMPLING), np.float64) / 255


def _object_coordinates(thing, size):
    grid = (np.arange(size) + 0.5) / size
    dx, dy = (grid[None, :] - thing.x) / thing.radius, (grid[:, None] - thing.y) / thing.radius
    cos, sin = np.cos(thing.tilt), np.sin(thing.tilt)
    return cos * dx + sin * dy, cos * dy - sin * dx


def _paint(pattern, thing, size, rng):
    """The colors of an object: two random colors mixed by its pattern, with light from one side."""
    x, y = _object_coordinates(thing, size)
    first = rng.random(3)
    second = (first + rng.uniform(0.3, 0.7, 3)) % 1
    mix = np.asarray(_pattern(pattern, x, y, rng), float)[..., None]
    light = 1 + 0.2 * np.clip(np.cos(rng.uniform(0, 2 * np.pi)) * x + y, -1, 1)
    return (first + mix * (second - first)) * light[..., None]


def _ground(size, rng):
    """A background of soft blotches with a faint texture, lines and specks."""
    blotches = ((rng.uniform(0.2, 0.8, 3) + rng.uniform(-0.2, 0.2, (4, 4, 3))) * 255).astype(np.uint8)
    image = Image.fromarray(blotches).resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 5)):
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        ends = [tuple(point) for point in rng.uniform(-0.1, 1.1, (rng.integers(2, 5), 2)) * size]
        draw.line(ends, color, int(max(1, size * rng.uniform(0.01, 0.03))))
    for x, y in rng.uniform(0, 1, (rng.integers(5, 15), 2)) * size:
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        r = size * rng.uniform(0.005, 0.025)
        draw.ellipse((x - r, y - r, x + r, y + r), color)
    grain = rng.normal(0, 0.06, (size // 3 + 1, size // 3 + 1)).repeat(3, 0).repeat(3, 1)[:size, :size]
    return np.asarray(image, np.float64) / 255 + grain[..., None] * rng.random()


class Shapes:
    """The synthetic data set as a random-access Source.

    Args:
        split: 'train' or 'test'.
        size: side of the images in pixels; scenes do not depend on it.

    Raises:
        InputError: there is no such split.
    """

    classes = tuple(CLASSES)
    fingerprint = 'shapes-1'  # another number if the images change
    skipped = ()
    class_lists = types.MappingProxyType({})
    shortened = frozenset()

    def __init__(self, split: str, size: int):
        if split not in SPLITS:
            raise InputError(f"shapes has the splits 'train' and 'test', got {split!r}.")
        self._seed, self._length = SPLITS[split]
        self._size = size
        self.presence = np.zeros((self._length, len(CLASSES)), bool)
        for index in range(self._length):
            for thing in scene(self._rng(index)):
                self.presence[index, thing.label - 1] = True

    @functools.cached_property
    def areas(self) -> np.ndarray:
        """[length, 20] int32: pixels of each class. The first use draws all images."""
        counts = [np.bincount(self[index].label.ravel(), minlength=256) for index in range(self._length)]
        return np.array(counts, np.int32)[:, 1 : len(CLASSES) + 1]

    def __len__(self):
        return self._length

    def __getitem__(self, index):
        image, label, _ = self._render(index)
        return Sample(image, label)

    def instances(self, index: int) -> np.ndarray:
        """[size, size] int32: 0 for no object or an edge, else the object's number in the image."""
        return self._render(index)[2]

    def scribbles(self, index: int, seed: int = 0) -> np.ndarray:
        """[size, size] uint16: 0 on the scribble of the background, n on that of object n, 65535 elsewhere."""
        _, label, instances = self._render(index)
        return draw_scribbles(label, instances, seed)

    def name(self, index: int) -> str:
        """The name of image `index` in messages and pictures."""
        return f'shapes-{self._seed}-{index}'

    def _rng(self, index):
        return np.random.default_rng((self._seed, index))

    def _render(self, index):
        rng = self._rng(index)
        return render(scene(rng), self._size, rng)
