"""Exports the labels of a project in the formats of other programs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from panet_jax.errors import InputError
from panet_jax.export.formats import export_labels
from panet_jax.export.labeled_image import LabeledImage
from panet_jax.export.records import read_record, relative_path
from panet_jax.images.objects import find_objects
from panet_jax.segmenter.review.project import Project

EXPORT = 'export'  # folder in that of the project


def export_project(
    project: Project, out: Path, formats: Sequence[str], *, min_area: int = 1, to_do: bool = False
) -> list[str]:
    """Writes the labels of the accepted images.

    Args:
        project: the project.
        out: folder to write to.
        formats: names of formats, as for `export_labels`.
        min_area: objects with fewer pixels are left out.
        to_do: whether the drafts of images that are still to do are written too. Rejected images never are.

    Returns:
        Remarks, as from `export_labels`.

    Raises:
        InputError: there is nothing to write, or a format cannot hold the name of a class.
    """
    decisions = ('accepted', 'to do') if to_do else ('accepted',)
    stems = [stem for stem, review in project.reviews.items() if review.now.decision in decisions]
    if not stems:
        raise InputError('No image is accepted yet: accept one, or export those to do as well.')
    if not formats:
        raise InputError('Choose a format first, such as coco.')
    root = Path(os.path.commonpath([project.images[stem].root for stem in stems]))

    def images() -> Iterator[LabeledImage | InputError]:
        for stem in stems:
            try:
                yield labeled_image(project, stem, root).larger_than(min_area)
            except InputError as error:
                yield error

    return export_labels(out, images, project.classes, formats=formats, image_root=relative_path(root, out))


def labeled_image(project: Project, stem: str, root: Path) -> LabeledImage:
    """An image with its objects. Those of a draft have scores; what a person has seen has none.

    Args:
        project: the project.
        stem: name of the image.
        root: folder to which its file name is relative.

    Returns:
        The LabeledImage.

    Raises:
        InputError: a file of it is missing or damaged.
    """
    if project.reviews[stem].now.labels is None:
        return read_record(project.folder, stem, root)
    image = project.images[stem]
    file_name = Path(os.path.relpath(image.path, root)).as_posix()
    objects = tuple(find_objects(project.labels(stem), project.classes))
    return LabeledImage(image.path, file_name, stem, image.number, image.shape, objects)
