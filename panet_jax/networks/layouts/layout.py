"""A layout: the name, shape and axes of each array of the parameters in a file."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import flax.traverse_util
import numpy as np

from panet_jax.errors import InputError
from panet_jax.method.encoder import Encoder

Tensors = Mapping[str, np.ndarray]
HWIO_TO_OIHW = (3, 2, 0, 1)
IO_TO_OI = (1, 0)


class Entry(NamedTuple):
    """One array of the parameters in a file.

    Attributes:
        name: name of the tensor in the file.
        path: keys in the tree of parameters.
        shape: shape in the file.
        axes: axes of the parameter in the order of the file, as for `transpose`.
    """

    name: str
    path: tuple[str, ...]
    shape: tuple[int, ...]
    axes: tuple[int, ...]


class Layout(NamedTuple):
    """How the files of an architecture are read and written.

    Attributes:
        entries: (Encoder, tensors) -> the Entries of all parameters, with the names that these tensors have.
        select: (tensors of a file) -> those of the network, without a classifier, by the names of `entries`.
        recognize: (tensors from `select`) -> (name, width) of the encoder, or None.
    """

    entries: Callable[[Encoder, Tensors], list[Entry]]
    select: Callable[[Tensors], Tensors]
    recognize: Callable[[Tensors], tuple[str, float] | None]


def _own_entries(encoder: Encoder, tensors: Tensors) -> list[Entry]:
    """The Entries of an encoder without files of other libraries: the names are paths joined by dots."""
    leaves = flax.traverse_util.flatten_dict(encoder.shapes())
    return [Entry('.'.join(path), path, leaf.shape, tuple(range(leaf.ndim))) for path, leaf in leaves.items()]


def short_names(names: Mapping[str, str]) -> dict[str, str]:
    """Checks that a file has one network only.

    Args:
        names: {name in the file: name without a prefix}.

    Returns:
        {short name: name in the file}.

    Raises:
        InputError: two names differ only in their prefix, as in a file with a moving average.
    """
    result = {}
    for name, short in names.items():
        if short in result:
            raise InputError(
                f'the file has more than one network: {result[short]} and {name}; write one of them to its own file.'
            )
        result[short] = name
    return result


def renamed(name: str, rules: Sequence[tuple[str, str]]) -> str:
    """The name of a tensor in another library.

    Args:
        name: its name in the file.
        rules: (pattern of the beginning, replacement), as for `re.sub`; the first that matches is used.

    Returns:
        The other name; the same name if no rule matches.
    """
    for pattern, replacement in rules:
        other, count = re.subn(f'^{pattern}', replacement, name)
        if count:
            return other
    return name


OWN = Layout(_own_entries, lambda tensors: tensors, lambda tensors: None)
