"""All files of one photograph's results: label map, overlay and, last, the record that tells that they are done."""

from pathlib import Path
from typing import Any

import numpy as np

from panet_jax.export.labeled_image import LabeledImage
from panet_jax.export.records import write_record
from panet_jax.segmenter.outputs import summary, write_prediction
from panet_jax.segmenter.segmentation import Segmentation


def write_draft(
    path: Path,
    segmentation: Segmentation,
    photo: np.ndarray,
    *,
    out: Path,
    root: Path,
    stem: str,
    number: int,
    run: str,
    probabilities: bool = False,
) -> dict[str, Any]:
    """Writes what was found in a photograph.

    Args:
        path: file of the photograph.
        segmentation: what was found.
        photo: [H, W, 3] uint8, the photograph.
        out: folder of the results.
        root: folder of the photographs.
        stem: name of the files, without their endings.
        number: the image's number, of which its ids in exports are made.
        run: id of the run.
        probabilities: whether the probabilities are written too.

    Returns:
        The image's entry in predictions.json, without its path.
    """
    objects = tuple(segmentation.objects())
    entry = write_prediction(segmentation, photo, out, stem, probabilities=probabilities)
    entry = {'id': number, **entry, **summary(objects, segmentation.classes), 'run': run}
    image = LabeledImage(path, path.name, stem, number, segmentation.shape, objects)
    described = (
        {}
        if segmentation.descriptor is None
        else {'descriptor': [float(f'{value:.4g}') for value in segmentation.descriptor]}
    )
    write_record(out, image, root, {'run': run, 'stamp': file_stamp(path), 'entry': entry, **described})
    return entry


def file_stamp(path: Path) -> list[int] | None:
    """Size and time of a file, by which a change of it is noticed.

    Args:
        path: the file.

    Returns:
        [bytes, nanoseconds]; None if they cannot be read.
    """
    try:
        stat = path.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]
