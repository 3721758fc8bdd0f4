"""The Segmenter's references on disk: a .safetensors file of arrays, with a header in JSON that describes them."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import numpy as np
import safetensors
import safetensors.numpy

from panet_jax.disk.atomic import replacing
from panet_jax.errors import InputError
from panet_jax.method.presence import KINDS, Views
from panet_jax.method.prototypes import Pooled
from panet_jax.segmenter.presence import evidence_of
from panet_jax.segmenter.reference_set import Evidence, Negative, Reference, ReferenceImage, ReferenceSet
from panet_jax.segmenter.references import Marks

VERSION = 2
ENDING = '.safetensors'
KEY = 'panet_jax.segmenter'  # of the JSON text in the header
# Version 1 was an .npz with the same arrays, which had the classes' names in place of `class_of` and `image_of`.
EARLIER_VERSION, EARLIER_ENDING = 1, '.npz'
MOST_BYTES = 2**31  # of an .npz, unpacked: one that claims more is no segmenter
EVIDENCE = {'view_found', 'view_prototypes', 'view_shown', 'descriptors', 'descriptor_shown'}  # arrays of all or none
NO_SEGMENTER = 'holds arrays, but no segmenter; name a file that --save-segmenter or Segmenter.save wrote.'


class Settings(TypedDict):
    """The settings of a segmenter: all that results depend on besides the references.

    Attributes:
        size: side in pixels of the images that the network sees.
        dtype: the encoder's computation, as in `encode`.
        head: 'adapted' or 'panet', which all files of version 1 had.
        understand: whether points and boxes become regions; False in files that do not say so.
        edges: whether masks follow edges; earlier files do not say so, and theirs did not.
        debias: share of the positional directions that the features lack.
        encoder: name of the architecture; '' in files of version 1.
        weights: what loads the network again; None if nothing does.
        network: hash of the parameters.
    """

    size: int
    dtype: str
    head: str
    understand: bool
    edges: bool
    debias: float
    encoder: str
    weights: str | None
    network: str


TYPES = {
    'size': int,
    'dtype': str,
    'head': str,
    'understand': bool,
    'edges': bool,
    'debias': float,
    'encoder': str,
    'weights': str | None,
    'network': str,
}
# Those that `Segmenter` takes by these names.
OPTIONS = ('size', 'dtype', 'head', 'understand', 'edges', 'debias')
# What earlier files do not say.
EARLIER = {'encoder': '', 'head': 'panet', 'understand': False, 'edges': False, 'debias': 0.0}


def write_file(path: str | Path, settings: Settings, references: ReferenceSet) -> None:
    """Writes references with the features pooled under them; the file appears whole or not at all.

    A reference takes S^2 / 4 bytes, 44 KB for 417 pixels, and the sums of its features. If the set can decide, its
    `Evidence` is written too, 12 R N C bytes for R views, N classes and C channels. The features of the images are left out.

    Args:
        path: file to write, NAME.safetensors.
        settings: settings of the segmenter.
        references: its references.

    Raises:
        InputError: the path has another ending, or there is no such folder.
    """
    path = checked_target(path)
    images, items = list(references.images), references.references
    backgrounds = [image.background for image in references.images.values()]
    about = {'version': VERSION, **settings, 'classes': references.classes, 'images': images}
    arrays = {
        'class_of': np.array([references.classes.index(reference.name) for reference in items], np.int32),
        'image_of': np.array([images.index(reference.image) for reference in items], np.int32),
        # Eight pixels a byte.
        'marks': np.packbits(
            [(reference.marks.foreground, reference.marks.background) for reference in items], axis=-1
        ),
        'drawn': np.array([reference.marks.drawn for reference in items]),
        'sums': np.stack([reference.foreground.sum for reference in items]),
        'pixels': np.stack([reference.foreground.count for reference in items]),
        'background_sums': np.stack([background.sum for background in backgrounds]),
        'background_pixels': np.stack([background.count for background in backgrounds]),
    }
    if references.negatives:
        arrays['negative_of'] = np.array([images.index(negative.image) for negative in references.negatives], np.int32)
        arrays['negatives'] = np.packbits([negative.region for negative in references.negatives], axis=-1)
    # References without background can segment nothing, until one is added that shows some.
    if references.can_decide and references.shows_background:
        arrays |= _arrays_of(evidence_of(references))
    with replacing(path) as temporary:
        temporary.write_bytes(safetensors.numpy.save(arrays, metadata={KEY: json.dumps(about)}))


def read_file(path: str | Path) -> tuple[Settings, ReferenceSet]:
    """Reads what `write_file` wrote, or the .npz of an earlier version.

    Args:
        path: file to read.

    Returns:
        The settings and the references. They lack the features of their images, and have evidence if the file has.

    Raises:
        InputError: there is no such file, or it is something else.
    """
    path = Path(path).expanduser()
    if path.suffix not in (ENDING, EARLIER_ENDING):
        raise InputError(
            f'a saved segmenter is a file NAME{ENDING} or, of earlier versions, NAME{EARLIER_ENDING}, got {path}.'
        )
    if not path.is_file():
        raise InputError(f'there is no file {path}.')
    try:
        about, arrays = _read_earlier(path) if path.suffix == EARLIER_ENDING else _read(path)
        return _settings({**EARLIER, **about}), _reference_set(about, arrays)
    except InputError:
        raise
    except Exception as error:  # a broken or hostile file can raise almost anything
        reason = str(error) or type(error).__name__
        raise InputError(f'{path} is no saved segmenter that can be read ({reason}).') from error


def checked_target(path: str | Path) -> Path:
    """The path, if a segmenter can be saved there.

    Args:
        path: file to write, NAME.safetensors.

    Returns:
        The path, with ~ replaced by the home folder.

    Raises:
        InputError: the path has another ending, or there is no such folder.
    """
    path = Path(path).expanduser()
    if path.suffix != ENDING:
        earlier = f' ({EARLIER_ENDING} files are still loaded)' if path.suffix == EARLIER_ENDING else ''
        raise InputError(f'a segmenter is saved as NAME{ENDING}, got {path}{earlier}.')
    if not path.parent.is_dir():
        raise InputError(
            f'there is no folder {path.parent} to save {path.name} in; make it first, or name another one.'
        )
    return path


def _arrays_of(evidence):
    """Evidence as the arrays of a file."""
    views, descriptors, shown = evidence
    return {
        'view_found': views.found,
        'view_prototypes': views.prototypes,
        'view_shown': views.shown.astype(np.int8),
        'descriptors': descriptors,
        'descriptor_shown': shown,
    }


def _read(path):
    """The JSON value and the arrays of a file."""
    with safetensors.safe_open(path, 'numpy') as file:
        text = (file.metadata() or {}).get(KEY)
        if text is None:
            raise InputError(f'{path} {NO_SEGMENTER}')
        about = json.loads(text)
        _check_version(about, VERSION)
        return about, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dictionary


def _read_earlier(path):
    """The JSON value and the arrays of a file of version 1, as those of today's."""
    with zipfile.ZipFile(path) as packed:
        if sum(entry.file_size for entry in packed.infolist()) > MOST_BYTES:
            raise ValueError('it is far too large')
    with np.load(path, allow_pickle=False) as file:
        if 'about' not in file:
            raise InputError(f'{path} {NO_SEGMENTER}')
        about = json.loads(str(file['about']))
        _check_version(about, EARLIER_VERSION)
        names = about['names']
        classes = list(dict.fromkeys(names))
        class_of = np.array([classes.index(name) for name in names], np.int32)
        arrays = {**file, 'class_of': class_of, 'image_of': np.array(about['image_of'], np.int32)}
    return {**about, 'classes': classes}, arrays


def _check_version(about: Mapping, version: int) -> None:
    if about['version'] != version:
        raise ValueError(f'its format is {about["version"]}, wanted {version}')


def _settings(about) -> Settings:
    for name, kind in TYPES.items():
        if not isinstance(about[name], kind):
            raise ValueError(f'{name} is {about[name]!r:.40}')
    return {name: about[name] for name in TYPES}


def _reference_set(about, arrays) -> ReferenceSet:
    classes, images = (_texts(about, name) for name in ('classes', 'images'))
    arrays = _checked(arrays, len(classes), len(images), about['size'])
    for name, numbers, texts in (
        ('class_of', arrays['class_of'], classes),
        ('image_of', np.r_[arrays['image_of'], arrays['negative_of']], images),
    ):
        if list(dict.fromkeys(numbers.tolist())) != list(range(len(texts))):
            raise ValueError(f'its {name} must number all {len(texts)}, in the order in which they came')
    marks = np.unpackbits(arrays['marks'], axis=-1, count=about['size']).astype(bool)
    foregrounds, backgrounds = (
        [Pooled(total.astype(np.float32), np.float32(count)) for total, count in zip(sums, counts, strict=True)]
        for sums, counts in (
            (arrays['sums'], arrays['pixels']),
            (arrays['background_sums'], arrays['background_pixels']),
        )
    )
    references = tuple(
        Reference(classes[arrays['class_of'][row]], images[arrays['image_of'][row]], Marks(*masks, bool(drawn)), pooled)
        for row, (masks, drawn, pooled) in enumerate(zip(marks, arrays['drawn'], foregrounds, strict=True))
    )
    of_images = {image: ReferenceImage(None, pooled) for image, pooled in zip(images, backgrounds, strict=True)}
    regions = np.unpackbits(arrays['negatives'], axis=-1, count=about['size']).astype(bool)
    negatives = tuple(
        Negative(images[image], region) for image, region in zip(arrays['negative_of'], regions, strict=True)
    )
    return ReferenceSet(references, of_images, negatives, _evidence(arrays))


def _evidence(arrays) -> Evidence | None:
    """The evidence of a file; None of one that has none, as those of earlier versions."""
    if 'view_found' not in arrays:
        return None
    shown = arrays['view_shown'].astype(int)
    if not np.isin(shown, (-1, 0, 1)).all():
        raise ValueError('its view_shown must be -1, 0 or 1')
    found, prototypes, descriptors = (
        arrays[name].astype(np.float32) for name in ('view_found', 'view_prototypes', 'descriptors')
    )
    return Evidence(Views(found, prototypes, shown), descriptors, arrays['descriptor_shown'].astype(bool))


def _texts(about, name) -> list[str]:
    texts = about[name]
    right = isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts)
    if not right or len(set(texts)) < len(texts):
        raise ValueError(f'its {name} are {texts!r:.40}')
    return texts


def _checked(arrays, classes, images, size):
    """The arrays that belong to a segmenter, all of the right shapes and finite."""
    count, channels = arrays['sums'].shape
    row = -(-size // 8)
    none = {'negative_of': np.zeros(0, np.int32), 'negatives': np.zeros((0, size, row), np.uint8)}
    arrays = none | arrays  # files have no empty arrays
    shapes = {
        'class_of': (count,),
        'image_of': (count,),
        'marks': (count, 2, size, row),
        'drawn': (count,),
        'sums': (count, channels),
        'pixels': (count,),
        'background_sums': (images, channels),
        'background_pixels': (images,),
        'negative_of': (len(arrays['negatives']),),
        'negatives': (len(arrays['negatives']), size, row),
    }
    if EVIDENCE.intersection(arrays):
        views, described = (max(1, len(arrays[name])) for name in ('view_found', 'descriptors'))
        shapes |= {
            'view_found': (views, KINDS, classes, channels),
            'view_prototypes': (views, classes, channels),
            'view_shown': (views, classes),
            'descriptors': (described, channels),
            'descriptor_shown': (described, classes),
        }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.isfinite(arrays[name]).all():
            raise ValueError(f'its {name} have the shape {arrays[name].shape}, wanted {shape} finite numbers')
    return {name: arrays[name] for name in shapes}
