"""A picture of some results, small, to look through many at once."""

import argparse
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from panet_jax.errors import InputError

MOST_ON_SHEET = 24  # photographs
ENDINGS = ('.png', '.jpg', '.pdf')


def sheet_path(text: str) -> Path:
    """A type for options: a picture to write.

    Args:
        text: the path as typed.

    Returns:
        The path.

    Raises:
        ArgumentTypeError: it has another ending.
    """
    path = Path(text).expanduser()
    if path.suffix.lower() not in ENDINGS:
        raise argparse.ArgumentTypeError(f'{text} must end in {", ".join(ENDINGS)}')
    return path


def draw_sheet(path: Path, results: Mapping[str, Any], out: Path) -> int:
    """Draws results, evenly spread over all of them, into one picture.

    Args:
        path: picture to write; its ending sets the format.
        results: content of predictions.json.
        out: folder of the results.

    Returns:
        The number of photographs in the picture; without any, nothing is written.
    """
    import numpy as np

    from panet_jax.results.contact_sheet import save_contact_sheet

    entries = results['images']
    places = np.linspace(0, len(entries) - 1, MOST_ON_SHEET).round().astype(int).tolist() if entries else ()
    images = []
    for place in dict.fromkeys(places):
        with contextlib.suppress(InputError, OSError):  # a file that is gone since
            images.append(_small(entries[place], out))
    if images:
        save_contact_sheet(path, images, results['classes'])
    return len(images)


def _small(entry, out):
    """The name of a result, its photograph and its label map, both at the size of the sheet."""
    import numpy as np
    from PIL import Image

    from panet_jax.results.contact_sheet import SIDE
    from panet_jax.segmenter.references import read_photo

    photo = Image.fromarray(read_photo(entry['image'], entry['labels']))
    with Image.open(out / entry['labels']) as labels:
        photo.thumbnail((SIDE, SIDE))
        small_labels = labels.resize(photo.size, Image.Resampling.NEAREST)
    return Path(entry['labels']).stem, np.asarray(photo), np.asarray(small_labels)
