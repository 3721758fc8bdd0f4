"""A folder of annotated photographs as references."""

from pathlib import Path

import numpy as np

from panet_jax.disk.paths import local_path
from panet_jax.errors import InputError
from panet_jax.images.decode import decode_photo
from panet_jax.method.episode import IGNORE
from panet_jax.segmenter.references import Annotation, Scribble


def folder_references(folder: str | Path) -> dict[str, list[tuple[np.ndarray, Annotation]]]:
    """The annotated photographs of a folder, for `Segmenter.fit`.

    Args:
        folder: images/ with masks/, or a folder of COCO, YOLO, VOC, CVAT, Label Studio or labelme, as
            `panet-jax data check` reads it; docs/own-data.md describes them.

    Returns:
        {class: [(photograph, mask), ...]} of the classes that are shown.

    Raises:
        InputError: there is no such folder, its layout is unknown, a file is damaged, or nothing is annotated.
    """
    from panet_jax.datasets.custom import ALL, open_custom

    folder = local_path(folder, 'a folder of references')
    if not folder.is_dir():
        raise InputError(f'there is no folder {folder} of references.')
    layout = open_custom(folder, ALL)
    references = {name: [] for name in layout.classes}
    for image_name in layout.names:
        image, label, *_ = layout.record(image_name)
        photo = decode_photo(image, layout.where(image_name), label.shape)
        for number in np.unique(label[(label > 0) & (label != IGNORE)]):
            references[layout.classes[number - 1]].append((photo, _annotation(label, number)))
    shown = {name: pairs for name, pairs in references.items() if pairs}
    if not shown:
        raise InputError(f'no photograph of {folder} shows a class; annotate one object at least.')
    return shown


def _annotation(label: np.ndarray, number: int) -> Annotation:
    """The mask of a class; strokes if there is void, which is neither the class nor background."""
    if (label == IGNORE).any():
        return Scribble(np.where(label == IGNORE, IGNORE, label == number).astype(np.uint8))
    return label == number
