"""Images with objects of all shapes, for exports: holes, lines, single pixels, regions that touch at a corner."""

import numpy as np
from PIL import Image

import panet_jax as pj
from panet_jax.images.objects import find_objects

CLASSES = ('cat', 'hot dog', 'Kühe')


def draw_labels(seed, shape=(60, 80), holes=True):
    """A label map [H, W] uint8 with a ring, a line, a pixel, squares that touch at a corner, and a blob."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.uint8)
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y - 30, x - 20)
    labels[(distance < 15) & (distance >= (7 if holes else 0))] = 1
    labels[5, 40:70], labels[0, 0] = 2, 3
    labels[50:55, 40:45] = labels[55:60, 45:50] = 3
    labels[np.hypot((y - 30) / rng.uniform(0.5, 1), x - 60) < rng.integers(5, 14)] = 2
    return labels


def labeled_images(folder, count=3, **options):
    """LabeledImages with their photographs in a folder, the last one below it, and the label maps that they have."""
    images, maps = [], []
    for number in range(1, 1 + count):
        labels = draw_labels(number, **options)
        photo = folder / ('below/' if number == count else '') / f'photo {number}.jpg'
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 255, (*labels.shape, 3), np.uint8)).save(photo)
        confidence = np.linspace(0.4, 0.9, labels.size, dtype=np.float32).reshape(labels.shape)
        objects = find_objects(labels, CLASSES, confidence=confidence)
        file_name = photo.relative_to(folder).as_posix()
        images.append(pj.LabeledImage(photo, file_name, f'photo {number}', number, labels.shape, tuple(objects)))
        maps.append(labels)
    return images, maps
