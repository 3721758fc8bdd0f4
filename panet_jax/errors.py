"""The exception for mistakes of the user."""

import re
from collections.abc import Mapping

from panet_jax.settings import SETTINGS

PLACEHOLDER = re.compile(r'\{([^{}]+)\}')
# Prefix of the Segmenter's options in errors; in Python they are arguments.
ARGUMENT = 'segmenter.'


class InputError(ValueError):
    """A mistake of the user, in one sentence: what was expected, what was found, what to type.

    Programs print it without a traceback and exit with status 2. Settings to type are in braces, such as
    '{data.root=FOLDER}': the main program shows --config.data.root=FOLDER, other commands show options of their own.
    `{segmenter.weights=}` is an argument of the Segmenter. Bars separate several settings, all of which are shown:
    '{data.train_split=|data.test_split=}'.

    Args:
        sentence: the sentence, with settings in braces.

    Attributes:
        everywhere: whether all processes of a job raise it, so that none has to inform the others.
    """

    everywhere = False

    def __init__(self, sentence: str = ''):
        super().__init__(sentence)

    def __str__(self) -> str:
        return self.worded({})

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings in the sentence."""
        parts = [part for text in PLACEHOLDER.findall(self.args[0]) for part in _parts(text)]
        return tuple(dict.fromkeys(name for name, _ in parts))

    def worded(self, options: Mapping[str, str]) -> str:
        """The sentence for a command with options of its own.

        Args:
            options: {setting: option}, such as {'data.root': '--root'}; other settings become --config.SETTING.

        Returns:
            One line.
        """

        def word(placeholder: re.Match) -> str:
            words = [_word(name, value, options) for name, value in _parts(placeholder[1])]
            return ' and '.join(dict.fromkeys(words)) or placeholder[0]

        return PLACEHOLDER.sub(word, self.args[0])

    @classmethod
    def on_all(cls, sentence: str) -> 'InputError':
        """Makes an error that all processes of a job raise at the same place.

        Args:
            sentence: the sentence, with settings in braces.

        Returns:
            The error.
        """
        error = cls(sentence)
        error.everywhere = True
        return error


def _parts(text):
    """(name, rest) of each setting in a placeholder; [] if the braces contain anything else."""
    parts = [(part.partition('=')[0], ''.join(part.partition('=')[1:])) for part in text.split('|')]
    are_settings = all(name in SETTINGS or name.startswith(ARGUMENT) for name, _ in parts)
    return parts if are_settings else []


def _word(name, value, options):
    if name in options:
        return options[name] + value.replace('=True', '')  # a switch has no value
    return name.removeprefix(ARGUMENT) + value if name.startswith(ARGUMENT) else f'--config.{name}{value}'
