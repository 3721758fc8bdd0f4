"""What a drawing over a photograph means: strokes, a box, points or a mask, as the Segmenter takes them."""

import numpy as np
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.segmenter.references import Box, Points, Scribble

# Brushes (Okabe and Ito's vermilion and blue): what is drawn redder than blue is on the class.
CLASS_COLOUR, BACKGROUND_COLOUR = '#d55e00', '#0072b2'
OPAQUE = 128  # of 255; fainter is the soft rim of a brush, or what an eraser left
NO_STROKE = 255


def annotation(drawing, kind):
    """The annotation that a drawing stands for.

    Args:
        drawing: [H, W, 4] uint8 RGBA, transparent where nothing is drawn.
        kind: 'scribble': strokes on the class and on the background; 'box': the bounding box of all that is
            drawn; 'points': the centre of each blob; 'mask': the object itself, whose outline is enough.

    Returns:
        A Scribble, a Box, Points, or a mask [H, W] bool.

    Raises:
        InputError: nothing is drawn on the class, or there is background where the kind has none.
    """
    on_class, on_background = brushes(drawing)
    if not on_class.any():
        raise InputError('Nothing is drawn on the class yet; mark it in the image with the orange brush.')
    if on_background.any() and kind in ('box', 'mask'):
        raise InputError(f'A {kind} is drawn in orange alone; erase what is blue, or choose scribble or points.')
    match kind:
        case 'scribble':
            return Scribble(np.where(on_class, 1, np.where(on_background, 0, NO_STROKE)).astype(np.uint8))
        case 'box':
            rows, columns = (np.flatnonzero(on_class.any(axis)) for axis in (1, 0))
            return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        case 'points':
            return Points(blob_centres(on_class), blob_centres(on_background))
        case 'mask':
            return ndimage.binary_fill_holes(on_class)
    raise ValueError(kind)


def brushes(drawing):
    """Where each brush was: [H, W, 4] uint8 -> two arrays [H, W] bool, class and background."""
    drawn = drawing[..., 3] >= OPAQUE
    redder = drawing[..., 0] > drawing[..., 2]
    return drawn & redder, drawn & ~redder


def blob_centres(mask):
    """The centre (x, y) of each connected blob, its pixels' centres lying at halves: [H, W] bool -> list."""
    blobs, number = ndimage.label(mask, np.ones((3, 3)))
    return [(float(x) + 0.5, float(y) + 0.5) for y, x in ndimage.center_of_mass(mask, blobs, range(1, number + 1))]
