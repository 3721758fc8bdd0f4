"""What `panet-jax predict` writes: label maps, overlays, probabilities, each whole or not at all."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.images.overlays import VOID_COLOR, overlay, way_color
from panet_jax.segmenter.segmentation import BAND

RESULTS = 'predictions.json'  # a workdir has a results.json of its own
LEAST_SHARE = 0.001  # of an image; a class that has less is not said to be found
SAME = ('classes', 'weights', 'size')  # what all results of one folder have in common
LEGEND_SHARE = 1 / 24  # height of a line of the legend, as a part of the photograph's shorter side


def output_stems(queries, earlier=None):
    """A name for the results of each image: its own without ending, with a number where others have it too.

    Upper and lower case count as the same, as in some file systems.

    Args:
        queries: Paths of the images.
        earlier: {resolved Path: name} of images that have results; they keep it, and no other gets it.
    """
    earlier = earlier or {}
    stems, used = [], {stem.lower() for stem in earlier.values()}
    taken = {path.stem.lower() for path in queries}
    for path in queries:
        stem, number = earlier.get(path.resolve(), path.stem), 1
        while path.resolve() not in earlier and (stem.lower() in used or (number > 1 and stem.lower() in taken)):
            number += 1
            stem = f'{path.stem}-{number}'
        used.add(stem.lower())
        stems.append(stem)
    return stems


def read_earlier(out):
    """What predictions.json of an earlier run holds; the same without images if there is none."""
    path = out / RESULTS
    try:
        content = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {'images': [], 'failed': []}
        for entry in (*content['images'], *content['failed']):
            _image(entry)
        earlier_stems(content)
        return content
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f'{path} cannot be read ({type(error).__name__}: {error}); name another folder with --out.'
        ) from error


def earlier_stems(earlier):
    """{resolved Path: name of its results} of the images that `read_earlier` found."""
    return {_image(entry): Path(entry['labels']).stem for entry in earlier['images']}


def check_same(out, earlier, about, queries):
    """Checks that what is found now belongs beside what is there of other images.

    Args:
        out: the folder.
        earlier: as from `read_earlier`.
        about: {'classes', 'weights', 'size'} of what is found now.
        queries: Paths of the images, whose earlier results are replaced.
    """
    replaced = {path.resolve() for path in queries}
    others = [entry for entry in earlier['images'] if _image(entry) not in replaced]
    different = [name for name in SAME if earlier.get(name) != about[name]]
    if others and different:
        lines = [f'{name} {earlier.get(name)} there and {about[name]} here' for name in different]
        raise InputError(
            f'{out} has the results of {len(others)} other image(s), but made with {"; ".join(lines)}; name another folder '
            'with --out.'
        )


def together(earlier, about, outcomes):
    """The content of predictions.json: what is found now, and of the other images what was found before.

    Args:
        earlier: as from `read_earlier`.
        about: {'classes', 'weights', 'size'} of what is found now.
        outcomes: entries of images; those that could not be segmented have an 'error'.
    """
    same = all(earlier.get(name) == about[name] for name in SAME)
    before = {kind: {_image(entry): entry for entry in earlier[kind]} if same else {} for kind in ('images', 'failed')}
    for outcome in outcomes:
        kind, other = ('failed', 'images') if 'error' in outcome else ('images', 'failed')
        before[kind][_image(outcome)] = outcome
        before[other].pop(_image(outcome), None)
    return {**about, **{kind: list(entries.values()) for kind, entries in before.items()}}


def _image(entry):
    return Path(entry['image']).resolve()


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


def write_prediction(segmentation, photo, out, stem, *, probabilities=False, legend=True):
    """Writes what was found in one image.

    Args:
        segmentation: a Segmentation.
        photo: [H, W, 3] uint8, the image.
        out: folder to write to.
        stem: what to call the files.
        probabilities: whether to write them too.
        legend: whether the overlay has one, in a strip below the photograph.

    Returns:
        The image's entry in predictions.json, but for its path.
    """
    label_file, overlay_file, probability_file = _names(stem)
    label_image = Image.fromarray(segmentation.labels)
    label_image.putpalette(_palette())
    with replacing(out / label_file) as temporary:
        label_image.save(temporary, 'png')
    with replacing(out / overlay_file) as temporary:
        drawing = _overlay(photo, segmentation)
        (_with_legend(drawing, segmentation) if legend else drawing).save(temporary, 'jpeg', quality=90)
    if probabilities:
        values = segmentation.probabilities.astype(np.float16)
        with replacing(out / probability_file) as temporary, open(temporary, 'wb') as file:
            np.savez_compressed(file, probabilities=values, classes=segmentation.classes)
    numbers = {
        what: {name: round(value, 4) for name, value in values.items()}
        for what, values in (('shares', segmentation.shares), ('absent', segmentation.absent))
    }
    return {'labels': label_file, **numbers}


def _overlay(image, found):
    """The image with its labels in colours, as a Pillow image."""
    bands = [slice(first, first + BAND) for first in range(0, len(image), BAND)]  # for the memory's sake
    return Image.fromarray(np.concatenate([overlay(image[band], found.labels[band], rest=1) for band in bands]))


def _with_legend(drawn, found):
    """An overlay above a black strip that names the classes there are, with their colours and shares."""
    shares = ((label, name, found.shares[name]) for label, name in enumerate(found.classes, 1))
    there = [(tuple(way_color(label)), f'{name} {share:.1%}') for label, name, share in shares if share >= LEAST_SHARE]
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
    colours = [np.zeros(3, int), *(way_color(label) for label in range(1, 255)), VOID_COLOR]
    return np.array(colours, np.uint8).tobytes()
