"""Copies of photographs for formats in which they lie beside their labels."""

import os
import shutil
from pathlib import Path

from PIL import ExifTags, ImageOps

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.images.decode import open_image, to_rgb

JPEG = ('.jpg', '.jpeg')
QUALITY = 95  # of a photograph that is encoded anew


def copy_photo(photo: Path, folder: Path, stem: str, *, only_jpeg: bool = False) -> Path:
    """Copies a photograph, unless that was done before.

    A photograph that its EXIF data turn is written upright, as some programs ignore them and labels are upright.

    Args:
        photo: file to copy.
        folder: folder to copy it to.
        stem: name of the copy, without ending.
        only_jpeg: whether photographs of other kinds are encoded as JPEG.

    Returns:
        The copy; it has the time of the photograph.

    Raises:
        InputError: the photograph cannot be read.
    """
    same, encoded = folder / f'{stem}{photo.suffix.lower()}', folder / f'{stem}.jpg'
    try:
        time = photo.stat().st_mtime_ns
        for copy in (same, encoded):
            if copy.is_file() and copy.stat().st_mtime_ns == time:
                return copy
        image = open_image(photo.read_bytes(), str(photo))
        keeps_bytes = image.getexif().get(ExifTags.Base.Orientation, 1) == 1 and (
            not only_jpeg or photo.suffix.lower() in JPEG
        )
        copy = same if keeps_bytes else encoded
        with replacing(copy) as temporary:
            if keeps_bytes:
                shutil.copyfile(photo, temporary)
            else:
                to_rgb(ImageOps.exif_transpose(image), str(photo)).save(temporary, 'jpeg', quality=QUALITY)
            os.utime(temporary, ns=(time, time))
        return copy
    except OSError as error:
        raise InputError(f'{photo} cannot be copied to {folder} ({error.strerror}).') from error
