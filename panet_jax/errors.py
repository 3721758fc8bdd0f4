"""The one exception for what a user can put right."""

import re
from collections.abc import Mapping

from panet_jax.settings import SETTINGS

PLACEHOLDER = re.compile(r'\{([^{}]+)\}')
# Options of the Segmenter that errors name; in Python they are arguments.
ARGUMENT = 'segmenter.'


class InputError(ValueError):
    """A user's mistake, told in one sentence: what was wanted, what came, what to type.

    The program prints it without a traceback and exits with 2. Where the sentence says what to type, it holds the setting
    in braces, such as '{data.root=FOLDER}': the program types --config.data.root=FOLDER, and commands with options of
    their own type those. `{segmenter.weights=}` is an argument of the Segmenter. Settings with a bar between them are
    typed all: '{data.train_split=|data.test_split=}'.

    Args:
        sentence: with settings in braces.

    Attributes:
        everywhere: whether all processes of a job raise it, so that none has to be told.
    """

    everywhere = False

    def __init__(self, sentence: str = ''):
        super().__init__(sentence)

    def __str__(self) -> str:
        return self.worded({})

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that the sentence says to type."""
        parts = [part for found in PLACEHOLDER.findall(self.args[0]) for part in _parts(found)]
        return tuple(dict.fromkeys(name for name, _ in parts))

    def worded(self, options: Mapping[str, str]) -> str:
        """The sentence of a command that has options of its own.

        Args:
            options: {setting: option}, such as {'data.root': '--root'}; all others are typed after --config.

        Returns:
            One line.
        """

        def word(found: re.Match) -> str:
            words = [_word(name, value, options) for name, value in _parts(found[1])]
            return ' and '.join(dict.fromkeys(words)) or found[0]

        return PLACEHOLDER.sub(word, self.args[0])

    @classmethod
    def on_all(cls, sentence: str) -> 'InputError':
        """A mistake that all processes of a job meet at the same place.

        Args:
            sentence: as of an InputError.

        Returns:
            The error, to be raised.
        """
        error = cls(sentence)
        error.everywhere = True
        return error


def _parts(text):
    """(name, what follows it) of the settings in a placeholder; none if the braces hold something else."""
    parts = [(part.partition('=')[0], ''.join(part.partition('=')[1:])) for part in text.split('|')]
    known = all(name in SETTINGS or name.startswith(ARGUMENT) for name, _ in parts)
    return parts if known else []


def _word(name, value, options):
    if name in options:
        return options[name] + value.replace('=True', '')  # a switch of their own is typed alone
    return name.removeprefix(ARGUMENT) + value if name.startswith(ARGUMENT) else f'--config.{name}{value}'
