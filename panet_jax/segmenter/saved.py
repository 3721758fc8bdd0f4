"""The Segmenter's references on disk: an .npz of numbers and one JSON text, in which no code can hide."""

import json
import zipfile
import zlib
from pathlib import Path

import numpy as np

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.method.prototypes import Pooled
from panet_jax.segmenter.reference_set import Reference, ReferenceImage, ReferenceSet
from panet_jax.segmenter.references import Marks

VERSION = 1
ENDING = '.npz'
# More than any number of references takes, unpacked: what claims more was not written by us.
MOST_BYTES = 2**31
SETTINGS = {'size': int, 'dtype': str, 'weights': str | None, 'network': str}


def write_file(path, settings, reference_set):
    """Writes references with what was computed of them; the file appears whole or not at all.

    Args:
        path: of the file, NAME.npz.
        settings: {'size', 'dtype', 'weights', 'network'}.
        reference_set: a ReferenceSet.
    """
    path = checked_target(path)
    references, images = reference_set.references, list(reference_set.images)
    backgrounds = [image.background for image in reference_set.images.values()]
    about = {
        'version': VERSION,
        **settings,
        'names': [each.name for each in references],
        'images': images,
        'image_of': [images.index(each.image) for each in references],
    }
    arrays = {
        # Eight pixels a byte, and deflated: less than a KB for most.
        'marks': np.packbits([(each.marks.foreground, each.marks.background) for each in references], axis=-1),
        'drawn': np.array([each.marks.drawn for each in references]),
        'sums': np.stack([each.foreground.sum for each in references]),
        'pixels': np.array([each.foreground.count for each in references]),
        'background_sums': np.stack([background.sum for background in backgrounds]),
        'background_pixels': np.array([background.count for background in backgrounds]),
    }
    with replacing(path) as temporary, open(temporary, 'wb') as file:
        np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)


def read_file(path):
    """Reads what `write_file` wrote.

    Returns:
        The settings, and a ReferenceSet.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = checked_name(path)
    if not path.is_file():
        raise InputError(f'there is no file {path}.')
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > MOST_BYTES:
                raise ValueError('it is far too large')
        with np.load(path, allow_pickle=False) as file:
            if 'about' not in file:
                raise InputError(
                    f'{path} holds arrays, but no segmenter; name a file that --save-segmenter or Segmenter.save wrote.'
                )
            return _content(json.loads(str(file['about'])), file)
    except InputError:
        raise
    except (ValueError, LookupError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f'{path} is no saved segmenter that can be read ({error}).') from error


def checked_target(path):
    """The path, if a segmenter can be saved there."""
    path = checked_name(path)
    if not path.parent.is_dir():
        raise InputError(
            f'there is no folder {path.parent} to save {path.name} in; make it first, or name another one.'
        )
    return path


def checked_name(path):
    """The path, if it has the name of a segmenter's file."""
    path = Path(path).expanduser()
    if path.suffix != ENDING:
        raise InputError(f'a segmenter is saved as NAME{ENDING}, got {path}.')
    return path


def _content(about, file):
    if about['version'] != VERSION:
        raise ValueError(f'its format is {about["version"]}, wanted {VERSION}')
    settings = {name: about[name] for name in SETTINGS}
    for name, kind in SETTINGS.items():
        if not isinstance(settings[name], kind):
            raise ValueError(f'{name} is {settings[name]!r:.40}')
    if not about['names'] or not all(isinstance(name, str) for name in about['names']):
        raise ValueError('it names no classes')
    count, images, size = len(about['names']), about['images'], settings['size']
    channels = file['sums'].shape[-1]
    shapes = {
        'marks': (count, 2, size, -(-size // 8)),
        'drawn': (count,),
        'sums': (count, channels),
        'pixels': (count,),
        'background_sums': (len(images), channels),
        'background_pixels': (len(images),),
    }
    arrays = {name: file[name] for name in shapes}
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f'its {name} have the shape {arrays[name].shape}, wanted {shape} finite numbers')
    marks = np.unpackbits(arrays['marks'], axis=-1, count=size).astype(bool)
    references = tuple(
        Reference(
            name,
            images[about['image_of'][row]],
            Marks(*marks[row], bool(arrays['drawn'][row])),
            _pooled(arrays['sums'][row], arrays['pixels'][row]),
        )
        for row, name in enumerate(about['names'])
    )
    backgrounds = map(_pooled, arrays['background_sums'], arrays['background_pixels'])
    of_images = {image: ReferenceImage(None, background) for image, background in zip(images, backgrounds, strict=True)}
    return settings, ReferenceSet(references, of_images)


def _pooled(total, count):
    return Pooled(total.astype(np.float32), np.float32(count))
