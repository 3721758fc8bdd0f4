"""What `panet-jax predict` writes: label maps, overlays and probabilities. A file appears whole or not at all."""

import itertools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.export.records import FOLDER, record_path
from panet_jax.images.legend import with_legend
from panet_jax.images.objects import Object
from panet_jax.images.overlays import VOID_COLOR, outlined, overlay, way_color
from panet_jax.segmenter.reference_pictures import write_picture
from panet_jax.segmenter.segmentation import BAND, Segmentation

RESULTS = 'predictions.json'  # a workdir has a results.json of its own
REFERENCES = 'references.safetensors'  # a saved segmenter
LEAST_SHARE = 0.001  # of an image; a class with fewer pixels counts as not found
# Settings that all results of one folder have in common.
SAME = ('classes', 'weights', 'size', 'head', 'edges', 'debias')

Results = dict[str, Any]  # the content of predictions.json: SAME, and the entries 'images' and 'failed'


def output_stems(queries: Sequence[Path], earlier: Mapping[Path, str] | None = None) -> list[str]:
    """A name for the results of each image: the image's own without ending, and a number if others have it too.

    Upper and lower case count as the same, as in some file systems.

    Args:
        queries: paths of the images.
        earlier: {resolved path: name} of images that have results. They keep their names, and no other gets one.

    Returns:
        A name for each image.
    """
    earlier = earlier or {}
    stems, used = [], {stem.lower() for stem in earlier.values()}
    own = {path.stem.lower() for path in queries}
    for path in queries:
        stem, number = earlier.get(path.resolve(), path.stem), 1
        while path.resolve() not in earlier and (stem.lower() in used or (number > 1 and stem.lower() in own)):
            number += 1
            stem = f'{path.stem}-{number}'
        used.add(stem.lower())
        stems.append(stem)
    return stems


def read_earlier(out: Path) -> Results:
    """The results of earlier runs into a folder.

    Args:
        out: the folder.

    Returns:
        The content of its predictions.json; no images if there is no such file.

    Raises:
        InputError: the file cannot be read.
    """
    path = out / RESULTS
    try:
        results = json.loads(path.read_text(encoding='utf-8')) if path.exists() else {'images': [], 'failed': []}
        for entry in (*results['images'], *results['failed']):
            _image(entry)
        earlier_stems(results)
        return {'head': 'panet', 'edges': False, 'debias': 0.0, **results}  # what earlier versions had
    except (ValueError, LookupError, TypeError) as error:
        raise InputError(
            f'{path} cannot be read ({type(error).__name__}: {error}); name another folder with --out.'
        ) from error


def earlier_stems(earlier: Results) -> dict[Path, str]:
    """{resolved path: name of its results} of the images in results that `read_earlier` read.

    Args:
        earlier: results, as from `read_earlier`.

    Returns:
        {resolved path: name}, as for `output_stems`.
    """
    return {_image(entry): Path(entry['labels']).stem for entry in earlier['images']}


def check_same(out: Path, earlier: Results, settings: Mapping[str, Any], queries: Iterable[Path]) -> None:
    """Checks that new results may share a folder with the earlier results of other images.

    Args:
        out: the folder.
        earlier: results, as from `read_earlier`.
        settings: those of SAME, of the new results.
        queries: paths of the images, whose earlier results are replaced.

    Raises:
        InputError: earlier results that stay were made with other settings.
    """
    replaced = {path.resolve() for path in queries}
    others = [entry for entry in earlier['images'] if _image(entry) not in replaced]
    different = [name for name in SAME if earlier.get(name) != settings[name]]
    if others and different:
        lines = [f'{name} {earlier.get(name)} there and {settings[name]} here' for name in different]
        raise InputError(
            f'{out} has the results of {len(others)} other image(s), but made with {"; ".join(lines)}; name another folder '
            'with --out.'
        )


def together(earlier: Results, settings: Mapping[str, Any], entries: Iterable[Mapping[str, Any]]) -> Results:
    """The content of predictions.json: new results, and the earlier ones of other images.

    Args:
        earlier: results, as from `read_earlier`.
        settings: those of SAME, of the new results. Earlier ones with others are left out.
        entries: entries of images; those that could not be segmented have an 'error'.

    Returns:
        The new content.
    """
    same = all(earlier.get(name) == settings[name] for name in SAME)
    by_image = {
        kind: {_image(entry): entry for entry in earlier[kind]} if same else {} for kind in ('images', 'failed')
    }
    for entry in entries:
        kind, other = ('failed', 'images') if 'error' in entry else ('images', 'failed')
        by_image[kind][_image(entry)] = entry
        by_image[other].pop(_image(entry), None)
    return {**settings, **{kind: list(kept.values()) for kind, kept in by_image.items()}}


def _image(entry):
    return Path(entry['image']).resolve()


def check_out(out: Path, stems: Iterable[str], inputs: Iterable[Path], *, more: Iterable[str] = ()) -> None:
    """Checks that results can be written, and replace nothing but earlier results. It changes nothing.

    Args:
        out: folder of the results.
        stems: names of the results, as from `output_stems`.
        inputs: paths of all files that are read.
        more: names of further files and folders that will be written.

    Raises:
        InputError: the folder cannot be made or written to, or another file would be replaced.
    """
    _check_writable(out)
    outputs = [out / name for name in (REFERENCES, *more, *(name for stem in stems for name in _names(stem)))]
    outputs += [record_path(out, stem) for stem in stems]
    input_files = {path.resolve() for path in inputs}
    replaced = [path for path in outputs if path.resolve() in input_files]
    if not replaced and not (out / RESULTS).exists():
        _check_lost(out)
        replaced = [path for path in outputs if path.exists()]
    if replaced:
        raise InputError(f'the results would replace {replaced[0]}; name another folder with --out.')


def _check_lost(out):
    """Refuses a folder of results whose predictions.json is gone: which files are results is known from it."""
    if (out / REFERENCES).exists() and (out / FOLDER).is_dir():
        free = next(f'{out}-{number}' for number in itertools.count(2) if not Path(f'{out}-{number}').exists())
        raise InputError(
            f'{out} has earlier results, but not the {RESULTS} that lists them; put it back, or type another folder, such as '
            f'--out={free}.'
        )


def _check_writable(out):
    parent = next(path for path in (out.absolute(), *out.absolute().parents) if path.exists())
    if not parent.is_dir():
        raise InputError(f'--out {out} cannot be made, because {parent} is a file; name another folder.')
    if not os.access(parent, os.W_OK):
        raise InputError(f'--out {out} cannot be written to; name another folder.')


def make_out(out: Path) -> None:
    """Makes the folder of the results, with those above it.

    Args:
        out: the folder.

    Raises:
        InputError: it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # the check cannot foresee all that a file system refuses
        raise InputError(f'--out {out} cannot be made ({error.strerror}); name another folder.') from error


def _names(stem):
    return f'{stem}.png', f'{stem}-overlay.jpg', f'{stem}.npz'


def write_prediction(
    segmentation: Segmentation,
    photo: np.ndarray,
    out: Path,
    stem: str,
    *,
    probabilities: bool = False,
    legend: bool = True,
) -> dict[str, Any]:
    """Writes the segmentation of one image.

    Args:
        segmentation: what was found.
        photo: [H, W, 3] uint8, the image.
        out: folder to write to.
        stem: name of the files, without their endings.
        probabilities: whether the probabilities are written too.
        legend: whether the overlay has a legend, in a strip below the photograph.

    Returns:
        The image's entry in predictions.json, without its path.
    """
    label_file, overlay_file, probability_file = _names(stem)
    label_image = Image.fromarray(segmentation.labels)
    label_image.putpalette(palette())
    with replacing(out / label_file) as temporary:
        label_image.save(temporary, 'png')
    drawing = _overlay(photo, segmentation)
    write_picture(with_legend(drawing, legend_rows(segmentation.shares)) if legend else drawing, out / overlay_file)
    if probabilities:
        values = segmentation.probabilities.astype(np.float16)
        with replacing(out / probability_file) as temporary, open(temporary, 'wb') as file:
            np.savez_compressed(file, probabilities=values, classes=segmentation.classes)
    by_class = {name: getattr(segmentation, name) for name in ('shares', 'absent', 'presence', 'expected_iou')}
    numbers = {
        name: {class_name: round(value, 4) for class_name, value in values.items()}
        for name, values in by_class.items()
        if values is not None
    }
    return {'labels': label_file, **numbers}


def summary(objects: Sequence[Object], classes: Sequence[str]) -> dict[str, Any]:
    """What an entry of predictions.json says of the objects in an image.

    Args:
        objects: the objects.
        classes: names of the classes.

    Returns:
        {'present': names of the classes that have pixels, 'regions': {class: number of objects}, 'boxes': {class: [left, top,
        right, bottom] around all of them, or None}, 'scores': {class: mean probability over their pixels, or None}}.
    """
    of_class = {name: [one for one in objects if one.name == name] for name in classes}
    return {
        'present': [name for name, members in of_class.items() if members],
        'regions': {name: len(members) for name, members in of_class.items()},
        'boxes': {name: _box_around(members) for name, members in of_class.items()},
        'scores': {name: _mean_score(members) for name, members in of_class.items()},
    }


def _box_around(objects):
    if not objects:
        return None
    left, top, right, bottom = zip(*(one.box for one in objects), strict=True)
    return [min(left), min(top), max(right), max(bottom)]


def _mean_score(objects):
    area = sum(one.area for one in objects)
    return round(sum(one.score * one.area for one in objects) / area, 4) if area else None


def numbers_of(queries: Iterable[Path], earlier: Results) -> dict[Path, int]:
    """The number of each image, of which its ids in exports are made. An image keeps the one that it had.

    Args:
        queries: paths of the images.
        earlier: results, as from `read_earlier`.

    Returns:
        {path: number}, from 1.
    """
    known = {_image(entry): entry['id'] for entry in earlier['images'] if 'id' in entry}
    new = itertools.count(1 + max(known.values(), default=0))
    return {path: known.get(path.resolve()) or next(new) for path in queries}


def _overlay(photo, segmentation) -> Image.Image:
    """The photograph with its labels in colors and their outlines."""
    bands = [slice(first, first + BAND) for first in range(0, len(photo), BAND)]  # which saves memory
    labels = segmentation.labels
    colored = np.concatenate([overlay(photo[band], labels[band], rest=1) for band in bands])
    return Image.fromarray(outlined(colored, labels))


def legend_rows(shares: Mapping[str, float]) -> list[tuple[tuple[int, int, int], str]]:
    """The rows of a legend: the classes of an image, without those that cover less than LEAST_SHARE.

    Args:
        shares: {class: share of the image in [0, 1]}, in the order of the labels.

    Returns:
        A list of (color, text).
    """
    rows = [
        (tuple(way_color(label)), f'{name} {share:.1%}')
        for label, (name, share) in enumerate(shares.items(), 1)
        if share >= LEAST_SHARE
    ]
    return rows or [((0, 0, 0), 'nothing found')]


def images_with(classes: Iterable[str], entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Counts the images in which each class covers at least LEAST_SHARE.

    Args:
        classes: names of the classes.
        entries: entries of images in predictions.json.

    Returns:
        {class: number of images}.
    """
    return {name: sum(entry['shares'][name] >= LEAST_SHARE for entry in entries) for name in classes}


def palette() -> bytes:
    """The colors of labels 0..255, as Pillow takes them.

    Returns:
        768 bytes.
    """
    colors = [np.zeros(3, int), *(way_color(label) for label in range(1, 255)), VOID_COLOR]
    return np.array(colors, np.uint8).tobytes()
