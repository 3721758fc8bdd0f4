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
LEGEND_SHARE = 1 / 24  # height of a line of the legend, as a part of the photograph's shorter side


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
    """Checks that the results can be written, and will replace nothing but earlier results; changes nothing.

    Args:
        out: the folder.
        stems: names of the results, as from `output_stems`.
        inputs: paths of all files that are read.
    """
    there = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not there.is_dir():
        raise InputError(f'--out {out} cannot be made, because {there} is a file; name another folder.')
    if not os.access(there, os.W_OK):
        raise InputError(f'--out {out} cannot be written to; name another folder.')
    ours = [out / name for stem in stems for name in _names(stem)]
    read = {path.resolve() for path in inputs}
    lost = [path for path in ours if path.resolve() in read]
    if not lost and not (out / RESULTS).exists():
        lost = [path for path in ours if path.exists()]
    if lost:
        raise InputError(f'the results would replace {lost[0]}; name another folder with --out.')


def make_out(out):
    """Makes the folder of the results, with those above it."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # of file systems that no check foresees
        raise InputError(f'--out {out} cannot be made ({error.strerror}); name another folder.') from error


def _names(stem):
    return f'{stem}.png', f'{stem}-overlay.jpg', f'{stem}.npz'


def write_prediction(found, path, out, stem, probabilities, legend=True):
    """Writes what was found in one image.

    Args:
        found: a Segmentation.
        path: of the image.
        out: folder to write to.
        stem: what to call the files.
        probabilities: whether to write them too.
        legend: whether the overlay has one, in a strip below the photograph.

    Returns:
        The image's entry in predictions.json.
    """
    label_file, overlay_file, probability_file = _names(stem)
    label_image = Image.fromarray(found.labels)
    label_image.putpalette(_palette())
    with replacing(out / label_file) as temporary:
        label_image.save(temporary, 'png')
    with replacing(out / overlay_file) as temporary:
        drawn = _overlay(read_photo(path, str(path)), found)
        (_with_legend(drawn, found) if legend else drawn).save(temporary, 'jpeg', quality=90)
    if probabilities:
        with replacing(out / probability_file) as temporary, open(temporary, 'wb') as file:
            np.savez_compressed(file, probabilities=found.probabilities.astype(np.float16), classes=found.classes)
    numbers = {
        what: {name: round(value, 4) for name, value in values.items()}
        for what, values in (('shares', found.shares), ('absent', found.absent))
    }
    return {'image': str(path), 'labels': label_file, **numbers}


def _overlay(image, found):
    """The image with its labels in colours, as a Pillow image."""
    bands = [slice(first, first + BAND) for first in range(0, len(image), BAND)]  # for the memory's sake
    return Image.fromarray(np.concatenate([overlay(image[band], found.labels[band]) for band in bands]))


def _with_legend(drawn, found):
    """An overlay above a black strip that names the classes there are, with their colours and shares."""
    shares = ((label, name, found.shares[name]) for label, name in enumerate(found.classes, 1))
    there = [(tuple(way_colour(label)), f'{name} {share:.1%}') for label, name, share in shares if share]
    there = there or [('black', 'nothing found')]
    line, font, places = _legend_places([text for _, text in there], *drawn.size)
    whole = Image.new('RGB', (drawn.width, drawn.height + line * (1 + places[-1][1])))
    whole.paste(drawn)
    pen = ImageDraw.Draw(whole)
    for (colour, text), (left, row) in zip(there, places, strict=True):
        top = drawn.height + line * row
        pen.rectangle((left + line / 5, top + line / 5, left + 4 * line / 5, top + 4 * line / 5), fill=colour)
        pen.text((left + line, top), text, fill='white', font=font)
    return whole


def _legend_places(texts, width, height):
    """Where the texts of a legend go: the height of a line, the font, and (left, number of the line) of each text."""
    line = max(12, round(min(width, height) * LEGEND_SHARE))
    font = ImageFont.load_default(0.8 * line)
    needed = 1.5 * line + max(font.getlength(text) for text in texts)
    if needed > width:  # the longest has to fit
        font = ImageFont.load_default(max(1, 0.8 * line * (width - 1.5 * line) / (needed - 1.5 * line)))
    places, left, row = [], 0, 0
    for text in texts:
        wide = 1.5 * line + font.getlength(text)
        if left and left + wide > width:
            left, row = 0, row + 1
        places.append((left, row))
        left += wide
    return line, font, places


def _palette():
    """The colours of labels 0..255, as Pillow takes them."""
    colours = [np.zeros(3, int), *(way_colour(label) for label in range(1, 255)), VOID_COLOUR]
    return np.array(colours, np.uint8).tobytes()
