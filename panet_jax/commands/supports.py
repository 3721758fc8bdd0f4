"""The references that --support shows: NAME=IMAGE:ANNOTATION, as typed."""

from pathlib import Path
from typing import NamedTuple

import panet_jax as pj
from panet_jax.errors import InputError


class Support(NamedTuple):
    """One reference, checked as far as can be without loading the network.

    Attributes:
        name: of the class.
        image: the photograph.
        kind: 'mask', 'box', 'points' or 'scribble'.
        value: the file of a mask or scribble; the numbers of a box; (points, background points).
    """

    name: str
    image: Path
    kind: str
    value: Path | list | tuple

    @property
    def annotation(self) -> 'Path | pj.Box | pj.Points | pj.Scribble':
        """The annotation, as the Segmenter takes it."""
        if self.kind == 'box':
            return pj.Box(*self.value)
        if self.kind == 'points':
            return pj.Points(*self.value)
        return pj.Scribble(self.value) if self.kind == 'scribble' else self.value

    @property
    def files(self) -> list[Path]:
        """The files that it is read from."""
        return [self.image, self.value] if isinstance(self.value, Path) else [self.image]


def parse_support(text: str) -> Support:
    r"""Reads NAME=IMAGE:ANNOTATION.

    A path may have colons (C:\cat.jpg): the first one after which the image's name is that of a file counts.

    Args:
        text: as typed after --support.

    Raises:
        InputError: what is missing or wrong in it.
    """
    name, equals, rest = text.partition('=')
    places = [place for place, letter in enumerate(rest) if letter == ':']
    if not (name and equals and places):
        raise InputError(
            f'--support wants NAME=IMAGE:ANNOTATION, such as cat=cat1.jpg:cat1.png or cat=cat1.jpg:box=10,20,200,180, got '
            f'{text!r}.'
        )
    place = next((place for place in places if Path(rest[:place]).expanduser().is_file()), places[-1])
    image = Path(rest[:place]).expanduser()
    if not image.is_file():
        raise InputError(f'there is no image {image}, which --support {text} names.')
    return Support(name, image, *_annotation(rest[place + 1 :], text))


def _annotation(text, support):
    """(kind, value) of a Support."""
    kind, _, rest = text.partition('=')
    if kind == 'box':
        corners = _numbers(rest, support)
        if len(corners) != 4:
            raise InputError(
                f'a box is box=LEFT,TOP,RIGHT,BOTTOM, got {len(corners)} number(s) in --support {support}.'
            )
        return kind, corners
    if kind == 'points':
        on_class, _, elsewhere = rest.partition('/')
        return kind, (_pairs(on_class, support), _pairs(elsewhere, support) if elsewhere else [])
    path = Path(rest if kind == 'scribble' else text).expanduser()
    if not path.is_file():
        raise InputError(
            f'there is no annotation {path}, which --support {support} names; wanted a PNG, box=, points= or scribble=.'
        )
    return 'scribble' if kind == 'scribble' else 'mask', path


def _numbers(text, support):
    try:
        return [float(number) for number in text.split(',')]
    except ValueError as error:
        raise InputError(f'wanted numbers with commas between them, got {text!r} in --support {support}.') from error


def _pairs(text, support):
    coordinates = _numbers(text, support)
    if len(coordinates) % 2:
        raise InputError(f'points are X,Y,X,Y,..., got {len(coordinates)} number(s) in --support {support}.')
    return list(zip(coordinates[::2], coordinates[1::2], strict=True))
