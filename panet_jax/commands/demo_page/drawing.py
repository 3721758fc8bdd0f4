"""What a drawing over a photograph means: strokes, a box, points or a mask, as the Segmenter takes them."""

from typing import Literal

import numpy as np
from scipy import ndimage

from panet_jax.errors import InputError
from panet_jax.segmenter.references import Box, Points, Scribble

# Colors of the brushes, Okabe and Ito's vermilion and blue: a pixel that is more red than blue is on the class.
CLASS_COLOR, BACKGROUND_COLOR = '#d55e00', '#0072b2'
OPAQUE = 128  # least alpha of a stroke; fainter is the soft rim of a brush, or what an eraser left
NO_STROKE = 255

DrawingKind = Literal['scribble', 'box', 'points', 'mask']


def annotation(drawing: np.ndarray, kind: DrawingKind) -> Scribble | Box | Points | np.ndarray:
    """The annotation that a drawing stands for.

    Args:
        drawing: [H, W, 4] uint8 RGBA, transparent where nothing is drawn.
        kind: 'scribble': strokes on the class and on the background; 'box': the bounding box of all that is
            drawn; 'points': the center of each blob; 'mask': the object itself, whose outline is enough.

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
            return Points(blob_centers(on_class), blob_centers(on_background))
        case 'mask':
            return ndimage.binary_fill_holes(on_class)
    raise ValueError(kind)


def brushes(drawing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each of the two brushes was.

    Args:
        drawing: [H, W, 4] uint8 RGBA.

    Returns:
        Two arrays [H, W] bool, strokes on the class and strokes on the background.
    """
    strokes = drawing[..., 3] >= OPAQUE
    redder = drawing[..., 0] > drawing[..., 2]
    return strokes & redder, strokes & ~redder


def blob_centers(mask: np.ndarray) -> list[tuple[float, float]]:
    """The center of each connected blob.

    Args:
        mask: [H, W] bool.

    Returns:
        (x, y) pairs in pixels from the upper left corner; the centers of pixels lie at halves.
    """
    blobs, number = ndimage.label(mask, np.ones((3, 3)))
    return [(float(x) + 0.5, float(y) + 0.5) for y, x in ndimage.center_of_mass(mask, blobs, range(1, number + 1))]
