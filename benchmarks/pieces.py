"""Measurements that are made one by one and kept in a file: an interrupted benchmark goes on where it stopped."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from panet_jax.disk.workdir import append_json_line, read_json_lines
from panet_jax.errors import InputError

Values = Mapping[str, float | str | list]


class Pieces:
    """The pieces of a benchmark, each measured once.

    Args:
        path: .jsonl file with a line for each piece; a new one is made.
        place: conditions of all pieces, such as the device and the version of JAX.

    Raises:
        InputError: the file has pieces of another place.
    """

    def __init__(self, path: Path, place: Values):
        self._path, self._place = path, dict(place)
        self.kept = {}  # values by name of the piece, in the order of the file
        for line in read_json_lines(path):
            if line['place'] != self._place:
                raise InputError(
                    f'{path} has measurements of {line["place"]}, not of {self._place}; name another file with --out.'
                )
            self.kept[line['piece']] = line['values']

    def measure(self, name: str, function: Callable[[], Values]) -> Values:
        """The values of a piece: those of the file, else of function(), which are then added to the file.

        Args:
            name: unique name of the piece.
            function: measures the piece. After an exception the piece is tried again the next time.

        Returns:
            The values.
        """
        if name not in self.kept:
            started = time.perf_counter()
            values = function()
            append_json_line(self._path, {'piece': name, 'place': self._place, 'values': values})
            self.kept[name] = values
            print(f'{name}: measured in {time.perf_counter() - started:.0f} s', flush=True)
        return self.kept[name]


def print_table(header: Iterable, lines: Iterable[Iterable]) -> None:
    """Prints a table in Markdown.

    Args:
        header: titles of the columns.
        lines: cells of each line.
    """
    header = list(header)
    for line in (header, ['---'] * len(header), *lines):
        print(f'| {" | ".join(map(str, line))} |')
