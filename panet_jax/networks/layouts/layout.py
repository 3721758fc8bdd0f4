"""What a layout is: where each array of the parameters lies in a file."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import flax.traverse_util
import numpy as np

from panet_jax.method.encoder import Encoder

Tensors = Mapping[str, np.ndarray]
HWIO_TO_OIHW = (3, 2, 0, 1)
IO_TO_OI = (1, 0)


class Entry(NamedTuple):
    """One array of the parameters in a file.

    Attributes:
        name: in the file.
        path: in the tree of parameters.
        shape: in the file.
        axes: of the parameters, in the order of the file.
    """

    name: str
    path: tuple[str, ...]
    shape: tuple[int, ...]
    axes: tuple[int, ...]


class Layout(NamedTuple):
    """How the files of an architecture are read and written.

    Attributes:
        entries: (Encoder, tensors) -> the Entries of all parameters, called as those tensors are.
        select: a file's tensors -> those of the network, by names of which `entries` knows, without others that
            come with it, such as a classifier's.
        recognize: tensors as `select` leaves them -> (name, width) of the encoder, or None.
    """

    entries: Callable[[Encoder, Tensors], list[Entry]]
    select: Callable[[Tensors], Tensors]
    recognize: Callable[[Tensors], tuple[str, float] | None]


def own_entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of an encoder that nobody else has files of: paths joined by dots, arrays as they are."""
    leaves = flax.traverse_util.flatten_dict(encoder.shapes())
    return [Entry('.'.join(path), path, leaf.shape, tuple(range(leaf.ndim))) for path, leaf in leaves.items()]


OWN = Layout(own_entries, lambda tensors: tensors, lambda tensors: None)
