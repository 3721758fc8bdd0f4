"""Reads the references of --support, NAME=IMAGE:ANNOTATION, and of --negative, IMAGE or IMAGE:ANNOTATION."""

import difflib
import re
from pathlib import Path
from typing import NamedTuple

import panet_jax as pj
from panet_jax.errors import InputError

KINDS = ('box', 'points', 'scribble')
# Words that people type for them.
SYNONYMS = {
    **dict.fromkeys(('bbox', 'rect', 'rectangle', 'xyxy'), 'box'),
    **dict.fromkeys(('click', 'clicks', 'pt', 'pts'), 'points'),
    **dict.fromkeys(('stroke', 'strokes'), 'scribble'),
    **dict.fromkeys(('png', 'seg', 'segmentation'), 'mask'),
}
NUMBER = r' *\d+(?:\.\d+)? *'


class Support(NamedTuple):
    """One reference, checked as far as possible without loading the network.

    Attributes:
        name: name of the class.
        image: the photograph.
        kind: 'mask', 'box', 'points' or 'scribble'; 'image' of a negative that is the whole image.
        value: the file of a mask or scribble; the numbers of a box; (points, background points); None of an image.
    """

    name: str
    image: Path
    kind: str
    value: Path | list | tuple | None

    @property
    def annotation(self) -> 'Path | pj.Box | pj.Points | pj.Scribble | None':
        """The annotation, for the Segmenter; None for the whole image."""
        if self.kind == 'box':
            return pj.Box(*self.value)
        if self.kind == 'points':
            return pj.Points(*self.value)
        return pj.Scribble(self.value) if self.kind == 'scribble' else self.value

    @property
    def files(self) -> list[Path]:
        """The files of the reference."""
        return [self.image, self.value] if isinstance(self.value, Path) else [self.image]


def parse_support(text: str) -> Support:
    r"""Reads NAME=IMAGE:ANNOTATION.

    Paths may have colons (C:\cat.jpg): IMAGE ends at the first colon before which it is the path of a file.

    Args:
        text: the text after --support.

    Returns:
        The Support.

    Raises:
        InputError: a part is missing or wrong.
    """
    name, equals, rest = text.partition('=')
    if not (name.strip() and equals and ':' in rest):
        raise InputError(
            f'--support wants NAME=IMAGE:ANNOTATION, such as cat=cat1.jpg:cat1.png or cat=cat1.jpg:box=10,20,200,180, got '
            f'{text!r}.'
        )
    return Support(name, *_image_and_annotation(rest, f'--support {text}'))


def parse_negative(text: str) -> Support:
    """Reads IMAGE or IMAGE:ANNOTATION.

    Args:
        text: the text after --negative.

    Returns:
        A Support, whose name is empty.

    Raises:
        InputError: there is no such image, or the annotation is wrong.
    """
    image = Path(text).expanduser()
    if image.is_file():
        return Support('', image, 'image', None)
    _, equals, rest = text.partition('=')
    if equals and Path(rest.partition(':')[0]).expanduser().is_file():
        raise InputError(f'--negative wants no name, as it shows no class: did you mean --negative {rest}?')
    if ':' not in text:
        raise InputError(f'there is no image {image}, which --negative {text} names.')
    return Support('', *_image_and_annotation(text, f'--negative {text}'))


def _image_and_annotation(text, typed):
    """(image, kind, value) of a Support, of IMAGE:ANNOTATION."""
    colons = [index for index, letter in enumerate(text) if letter == ':']
    colon = next((colon for colon in colons if Path(text[:colon]).expanduser().is_file()), colons[-1])
    image = Path(text[:colon]).expanduser()
    if not image.is_file():
        raise InputError(f'there is no image {image}, which {typed} names.')
    return image, *_annotation(text[colon + 1 :], typed)


def _annotation(text, typed):
    """(kind, value) of a Support."""
    kind, _, rest = text.partition('=')
    if kind == 'box':
        corners = _numbers(rest, typed)
        if len(corners) != 4:
            raise InputError(f'a box is box=LEFT,TOP,RIGHT,BOTTOM, got {len(corners)} number(s) in {typed}.')
        return kind, corners
    if kind == 'points':
        foreground, _, background = rest.partition('/')
        return kind, (_pairs(foreground, typed), _pairs(background, typed) if background else [])
    path = Path(rest if kind == 'scribble' else text).expanduser()
    if not path.is_file():
        raise InputError(f'there is no annotation {path}, which {typed} names; {_wanted(text)}')
    return 'scribble' if kind == 'scribble' else 'mask', path


def _wanted(text):
    """The end of a sentence on an annotation that is no file: what was probably meant, else what there is."""
    kind, equals, rest = text.partition('=')
    if not equals and re.fullmatch(rf'{NUMBER}(,{NUMBER}){{3}}', text):
        return f'did you mean box={text}?'
    if not equals:
        kind, equals, rest = text.partition(':')
    word = kind.strip().lower()
    meant = SYNONYMS.get(word) or ''.join(difflib.get_close_matches(word, (*KINDS, 'mask'), 1))
    if equals and meant:
        return f'did you mean {rest if meant == "mask" else f"{meant}={rest}"}?'
    return 'wanted a PNG, box=, points= or scribble=.'


def _numbers(text, typed):
    try:
        return [float(number) for number in text.split(',')]
    except ValueError as error:
        raise InputError(f'wanted numbers with commas between them, got {text!r} in {typed}.') from error


def _pairs(text, typed):
    coordinates = _numbers(text, typed)
    if len(coordinates) % 2:
        raise InputError(f'points are X,Y,X,Y,..., got {len(coordinates)} number(s) in {typed}.')
    return list(zip(coordinates[::2], coordinates[1::2], strict=True))
