"""What `panet-jax predict` writes: label maps, overlays, probabilities, each whole or not at all."""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from panet_jax.errors import InputError
from panet_jax.pictures import VOID_COLOUR, overlay, way_colour
from panet_jax.references import read_photo
from panet_jax.replacing import replacing
from panet_jax.segmentation import BAND

RESULTS = 'predictions.json'  # a workdir has a results.json of its own
LEGEND_SHARE = 1 / 30  # height of a line of the legend, as a part of the overlay's


def output_stems(queries):
    """A name for the results of each image: its own without ending, with a number where others have it too.

    Upper and lower case count as the same, as in some file systems.
    """
    stems, used = [], set()
    taken = {path.stem.lower() for path in queries}
    for path in queries:
        stem, number = path.stem, 1
        while stem.lower() in used or (number > 1 and stem.lower() in taken):
            number += 1
            stem = f'{path.stem}-{number}'
        used.add(stem.lower())
        stems.append(stem)
    return stems


def check_out(out, stems, inputs):
    """Makes the folder of the results, and checks that they will replace nothing but earlier results.

    Args:
        out: the folder.
        stems: names of the results, as from `output_stems`.
        inputs: paths of all files that are read.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not os.access(out, os.W_OK):
            raise PermissionError('no permission to write')
    except OSError as error:
        raise InputError(
            f'--out {out} cannot be written to ({error.strerror or error}); name another folder.'
        ) from error
    ours = [out / name for stem in stems for name in _names(stem)]
    read = {path.resolve() for path in inputs}
    lost = [path for path in ours if path.resolve() in read]
    if not lost and not (out / RESULTS).exists():
        lost = [path for path in ours if path.exists()]
    if lost:
        raise InputError(f'the results would replace {lost[0]}; name another folder with --out.')


def _names(stem):
    return f'{stem}.png', f'{stem}-overlay.jpg', f'{stem}.npz'


def write_prediction(found, path, out, stem, probabilities):
    """Writes what was found in one image.

    Args:
        found: a Segmentation.
        path: of the image.
        out: folder to write to.
        stem: what to call the files.
        probabilities: whether to write them too.

    Returns:
        The image's entry in predictions.json.
    """
    label_file, overlay_file, probability_file = _names(stem)
    label_image = Image.fromarray(found.labels)
    label_image.putpalette(_palette())
    with replacing(out / label_file) as temporary:
        label_image.save(temporary, 'png')
    with replacing(out / overlay_file) as temporary:
        _overlay(read_photo(path, str(path)), found).save(temporary, 'jpeg', quality=90)
    if probabilities:
        with replacing(out / probability_file) as temporary, open(temporary, 'wb') as file:
            np.savez_compressed(file, probabilities=found.probabilities.astype(np.float16), classes=found.classes)
    numbers = {
        what: {name: round(value, 4) for name, value in values.items()}
        for what, values in (('shares', found.shares), ('absent', found.absent))
    }
    return {'image': str(path), 'labels': label_file, **numbers}


def _overlay(image, found):
    """The image with its labels in colours, and a legend of those there are, as a Pillow image."""
    bands = [slice(first, first + BAND) for first in range(0, len(image), BAND)]  # for the memory's sake
    drawn = Image.fromarray(np.concatenate([overlay(image[band], found.labels[band]) for band in bands]))
    there = [label for label in np.unique(found.labels).tolist() if label]
    line = max(10, round(drawn.height * LEGEND_SHARE))
    font, pen = ImageFont.load_default(0.8 * line), ImageDraw.Draw(drawn)
    for row, label in enumerate(there):
        name, top = found.classes[label - 1], line * row
        pen.rectangle((0, top, line + pen.textlength(name, font) + line / 2, top + line), fill='black')
        pen.rectangle((line / 5, top + line / 5, 4 * line / 5, top + 4 * line / 5), fill=tuple(way_colour(label)))
        pen.text((line, top), name, fill='white', font=font)
    return drawn


def _palette():
    """The colours of labels 0..255, as Pillow takes them."""
    colours = [np.zeros(3, int), *(way_colour(label) for label in range(1, 255)), VOID_COLOUR]
    return np.array(colours, np.uint8).tobytes()
