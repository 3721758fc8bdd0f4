"""The legend of an overlay: colors and texts in a black strip below it, large enough to read on any photograph."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

SHARE = 1 / 24  # height of a line, as a fraction of the photograph's shorter side
LEAST_LINE = 16  # pixels; the letters are 0.8 of it
LEAST_WIDTH = 160  # pixels of the strip; a narrower photograph gets a black margin
SQUARE = 1.2  # width of the square of color and its margins, in lines


class Place(NamedTuple):
    """Where an entry of the legend goes.

    Attributes:
        left: pixels from the left.
        line: number of its first line.
        lines: its text, broken into lines.
    """

    left: float
    line: int
    lines: list[str]


def with_legend(drawing: Image.Image, rows: Sequence[tuple[tuple[int, int, int], str]]) -> Image.Image:
    """An overlay above a black strip with a legend.

    Args:
        drawing: an RGB image.
        rows: (color, text) of each entry.

    Returns:
        An RGB image, as wide as the drawing, or LEAST_WIDTH if that is narrower.
    """
    height = max(LEAST_LINE, round(min(drawing.size) * SHARE))
    font = ImageFont.load_default(0.8 * height)
    width = max(drawing.width, LEAST_WIDTH)
    places = _places([text for _, text in rows], width, height, font)
    lines = max(place.line + len(place.lines) for place in places)
    picture = Image.new('RGB', (width, drawing.height + height * lines + height // 5))
    picture.paste(drawing)
    draw, margin = ImageDraw.Draw(picture), height / 5
    for (color, _), (left, line, texts) in zip(rows, places, strict=True):
        top = drawing.height + height * line
        draw.rectangle((left + margin, top + margin, left + 4 * margin, top + 4 * margin), fill=color)
        for number, text in enumerate(texts):
            draw.text((left + SQUARE * height, top + number * height), text, fill='white', font=font)
    return picture


def _places(texts, width, height, font) -> list[Place]:
    """Entries beside each other as long as there is room; a text that is wider than the strip is broken."""
    places, left, line, tall = [], 0.0, 0, 1
    for text in texts:
        lines = _broken(text, width - (SQUARE + 0.3) * height, font)
        wide = (SQUARE + 0.3) * height + max(map(font.getlength, lines))
        if left and left + wide > width:
            left, line, tall = 0.0, line + tall, 1
        places.append(Place(left, line, lines))
        left, tall = left + wide, max(tall, len(lines))
    return places


def _broken(text, room, font) -> list[str]:
    """A text in lines that have room, broken between words, and within a word that is too long for a line."""
    lines = ['']
    for word in text.split(' '):
        joined = f'{lines[-1]} {word}' if lines[-1] else word
        if font.getlength(joined) <= room:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append('')
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > room:
                lines.append('')
            lines[-1] += letter
    return lines
