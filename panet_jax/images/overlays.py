"""An image with what is marked or found on it, in colors."""

import numpy as np
from scipy import ndimage

from panet_jax.method.episode import IGNORE

# Colours of ways 1 to 7 (Okabe and Ito's, told apart by colour-blind people too), and of void.
WAY_COLOURS = np.array(
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [0, 114, 178]]
)
VOID_COLOUR = np.array([255, 255, 255])


def overlay(image, label, strength=0.55, rest=0.75):
    """An image with its label map in colours.

    Args:
        image: [H, W, 3] uint8.
        label: [H, W] int, 0 stays as it is (times `rest`), n gets way n's colour, 255 white.
        strength: of the colour, in 0..1.
        rest: brightness of label 0, in 0..1; 1 leaves a photograph as it is.

    Returns:
        [H, W, 3] uint8.
    """
    blended = image * float(rest)
    for way in np.unique(label[(label > 0) & (label != IGNORE)]):
        colour = way_colour(way)
        blended[label == way] = (1 - strength) * image[label == way] + strength * colour
    blended[label == IGNORE] = VOID_COLOUR
    return blended.astype(np.uint8)


def annotated(image, foreground, background, way, kind):
    """A support image with what an annotator drew on it.

    Args:
        image: [H, W, 3] uint8.
        foreground, background: [H, W] bool.
        way: 1..N, which gives the colour.
        kind: 'dense': the mask, filled; 'scribble': thick lines, white on the background; 'box': the
            outline of the foreground, and thin and white that of what is neither.

    Returns:
        [H, W, 3] uint8.
    """
    if kind == 'dense':
        return overlay(image, way * foreground.astype(int))
    drawn = (image * 0.8).astype(np.uint8)
    thick = max(1, image.shape[0] // 100)
    if kind == 'scribble':
        drawn[_grown(background, thick)] = VOID_COLOUR
        drawn[_grown(foreground, thick)] = way_colour(way)
    else:
        drawn[_outline(~background, max(1, thick // 2))] = VOID_COLOUR
        drawn[_outline(foreground, 2 * thick)] = way_colour(way)
    return drawn


def heat_map(image, probabilities):
    """How sure the network is of any foreground: [H, W, 3] uint8, from dark (0) to bright (1), on the grey image."""
    from matplotlib import colormaps  # half a second, which nothing else here needs

    warm = colormaps['inferno'](1 - probabilities[..., 0])[..., :3] * 255
    return (0.25 * image.mean(-1, keepdims=True) + 0.75 * warm).astype(np.uint8)


def way_colour(way):
    """The colour of way 1..254: [3] int, 0..255; beyond the seventh that of PASCAL VOC's colour map."""
    if way <= len(WAY_COLOURS):
        return WAY_COLOURS[way - 1]
    colour = np.zeros(3, int)
    for bit in range(8):
        colour[bit % 3] |= (int(way) >> bit & 1) << 7 - bit // 3
    return colour


def _grown(mask, pixels):
    return ndimage.binary_dilation(mask, iterations=pixels)


def _outline(mask, pixels):
    """The border of a mask, inside it; along the image's edge too."""
    return mask & ~ndimage.binary_erosion(mask, iterations=pixels)
