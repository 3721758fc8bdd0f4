"""An image with its label map."""

from typing import NamedTuple

import numpy as np


class Sample(NamedTuple):
    """One annotated image.

    Attributes:
        image: [H, W, 3] uint8 RGB.
        label: [H, W] uint8, 0 background, 1..len(classes), 255 void.
    """

    image: np.ndarray
    label: np.ndarray
