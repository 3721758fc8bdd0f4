"""Pictures of images under review: small ones for the list, and the one that is drawn on."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from panet_jax.commands.demo_page.uploads import fitting
from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.images.decode import to_rgb
from panet_jax.images.overlays import outlined, overlay
from panet_jax.segmenter.review.project import Project

THUMBNAIL = 160  # pixels of the longer side
GRAY = 128  # of a photograph that cannot be read
TINT = 0.6  # how much of an overlay is in the picture that is drawn on: what is under labels must be seen


def thumbnail(project: Project, stem: str) -> Path:
    """The thumbnail of an image with its labels, which is made if there is none yet.

    Args:
        project: the project.
        stem: name of the image.

    Returns:
        A JPEG of at most THUMBNAIL pixels a side.

    Raises:
        InputError: the label map is missing or damaged.
    """
    path = project.thumbnail_file(stem)
    if path.exists():
        return path
    labels = Image.fromarray(project.labels(stem))
    size = fitting(labels.size[::-1], THUMBNAIL)
    small = np.asarray(labels.resize(size, 0))
    picture = outlined(overlay(np.asarray(_small_photo(project.images[stem].path, size)), small, rest=1), small)
    for earlier in path.parent.glob('thumbnail-*.jpg'):
        earlier.unlink(missing_ok=True)
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, 'jpeg', quality=80)
    return path


def picture_to_draw_on(photo: np.ndarray, labels: np.ndarray, show_labels: bool) -> bytes:
    """The picture of the image that is shown: its labels in colors, each region with its outline.

    Args:
        photo: [h, w, 3] uint8.
        labels: [h, w] uint8.
        show_labels: whether the labels are drawn.

    Returns:
        Content of a JPEG file.
    """
    picture = photo
    if show_labels:
        tinted = Image.fromarray(overlay(photo, labels, rest=1))
        picture = outlined(np.asarray(Image.blend(Image.fromarray(photo), tinted, TINT)), labels)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, 'jpeg', quality=90)
    return file.getvalue()


def _small_photo(path: Path, size: tuple[int, int]) -> Image.Image:
    """A photograph of this (width, height), upright; gray if it cannot be read. JPEGs are not decoded in full."""
    try:
        with Image.open(path) as image:
            image.draft('RGB', (2 * max(size), 2 * max(size)))
            return to_rgb(ImageOps.exif_transpose(image), path.name).resize(size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, InputError):
        return Image.new('RGB', size, (GRAY, GRAY, GRAY))
