"""Images with label maps, annotations or probabilities drawn on them."""

import numpy as np
from scipy import ndimage

from panet_jax.method.episode import IGNORE

# Colors of ways 1 to 7: the palette of Okabe and Ito, which color-blind people can tell apart.
WAY_COLORS = np.array(
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]]
)
VOID_COLOR = np.array([255, 255, 255])
LINES = 450  # widths of an outline that fit into the shorter side of a picture
OPACITY = 0.55  # opacity of a class's color on a photograph


def overlay(image: np.ndarray, label: np.ndarray, *, rest: float = 0.75) -> np.ndarray:
    """An image with its label map in colors.

    Args:
        image: [H, W, 3] uint8.
        label: [H, W] int, 0 background, n for way n, 255 void, which is drawn white.
        rest: brightness of the photograph where the label is 0, in 0..1.

    Returns:
        [H, W, 3] uint8.
    """
    values = np.arange(256)[:, None]
    picture = image.copy() if rest == 1 else (values[:, 0] * float(rest)).astype(np.uint8)[image]
    for way in np.flatnonzero(np.bincount(label.ravel(), minlength=IGNORE + 1)):
        region = label == way
        if way == IGNORE:
            picture[region] = VOID_COLOR
        elif way:
            blended = ((1 - OPACITY) * values + OPACITY * way_color(way)).astype(np.uint8)  # [256, 3]
            picture[region] = blended[image[region], range(3)]
    return picture


def outlined(picture: np.ndarray, label: np.ndarray) -> np.ndarray:
    """A picture with a thin line around each class, so that a mask is seen on whatever color lies below.

    The line is white inside the class and black around it. Parts that it would fill keep their color, and have the black
    line alone. It costs a few comparisons of the label map with itself, moved by each distance up to the width of the line.

    Args:
        picture: [H, W, 3] uint8, such as from `overlay`; it stays as it is.
        label: [H, W] int, 0 background, n for way n, 255 void, which gets no line.

    Returns:
        [H, W, 3] uint8.
    """
    width = max(1, round(min(label.shape) / LINES))
    background = label == 0
    of_class = ~background & (label != IGNORE)
    inside, around = np.zeros((2, *label.shape), bool)
    for distance in range(1, width + 1):
        # The map, and the map moved down and to the right.
        near, far = np.s_[:-distance], np.s_[distance:]
        for here, there in ((near, far), (np.s_[:, :-distance], np.s_[:, distance:])):
            differ = label[here] != label[there]
            for one, other in ((here, there), (there, here)):
                edge = differ & of_class[one]
                inside[one] |= edge
                around[other] |= edge & background[other]
    picture = picture.copy()
    picture[around] = 0
    picture[inside & _beside_rest(label, inside, width)] = 255
    return picture


def _beside_rest(label, inside, width):
    """[H, W] bool: what is so near to pixels of its own class without a line that the line does not fill the part."""
    beside = np.zeros(label.shape, bool)
    for way, box in enumerate(ndimage.find_objects(label.astype(np.uint8)), 1):
        if box is not None:
            region = label[box] == way
            beside[box] |= region & _widened(_widened(region & ~inside[box], width).T, width).T
    return beside


def _widened(mask, pixels):
    """A mask with so many more pixels above and below each of its own."""
    wide = mask.copy()
    for distance in range(1, pixels + 1):
        wide[:-distance] |= mask[distance:]
        wide[distance:] |= mask[:-distance]
    return wide


def annotated(image: np.ndarray, foreground: np.ndarray, background: np.ndarray, way: int, kind: str) -> np.ndarray:
    """A support image with its annotation drawn on it.

    Args:
        image: [H, W, 3] uint8.
        foreground, background: [H, W] bool.
        way: number of the way, 1..N; it gives the color.
        kind: 'dense' fills the foreground; 'scribble' draws thick lines, those of the background white; 'box' draws the
            outline of the foreground, and a thin white one around the pixels outside the background.

    Returns:
        [H, W, 3] uint8.
    """
    if kind == 'dense':
        return overlay(image, way * foreground.astype(int))
    picture = (image * 0.8).astype(np.uint8)
    thick = max(1, image.shape[0] // 100)
    if kind == 'scribble':
        picture[_dilated(background, thick)] = VOID_COLOR
        picture[_dilated(foreground, thick)] = way_color(way)
    else:
        picture[_outline(~background, max(1, thick // 2))] = VOID_COLOR
        picture[_outline(foreground, 2 * thick)] = way_color(way)
    return picture


def heat_map(image: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """The probability of foreground, from dark (0) to bright (1), over the image in gray.

    Args:
        image: [H, W, 3] uint8.
        probabilities: [H, W, L] float in [0, 1], background first.

    Returns:
        [H, W, 3] uint8.
    """
    from matplotlib import colormaps  # takes half a second, and only this function needs it

    warm = colormaps['inferno'](1 - probabilities[..., 0])[..., :3] * 255
    return (0.25 * image.mean(-1, keepdims=True) + 0.75 * warm).astype(np.uint8)


def way_color(way: int) -> np.ndarray:
    """The color of a way; from the eighth way on, that of PASCAL VOC's color map.

    Args:
        way: 1..254.

    Returns:
        [3] int in 0..255, RGB.
    """
    return WAY_COLORS[way - 1] if way <= len(WAY_COLORS) else voc_color(way)


def voc_color(number: int) -> np.ndarray:
    """The color of a number in PASCAL VOC's color map.

    Args:
        number: 0..255.

    Returns:
        [3] int in 0..255, RGB.
    """
    color = np.zeros(3, int)
    for bit in range(8):
        color[bit % 3] |= (int(number) >> bit & 1) << 7 - bit // 3
    return color


def _dilated(mask, pixels):
    return ndimage.binary_dilation(mask, iterations=pixels)


def _outline(mask, pixels):
    """The inner border of a mask; the edge of the image counts as border."""
    return mask & ~ndimage.binary_erosion(mask, iterations=pixels)
