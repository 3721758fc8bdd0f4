"""The parser of the commands' options. A mistake is one sentence, without the usage."""

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from panet_jax.disk.paths import workdir_path
from panet_jax.errors import InputError
from panet_jax.networks.names import ENCODER_NAMES, HUB

# argparse's messages on an option without its value, and what this program says instead.
MISSING_VALUE = dict.fromkeys(('expected one argument', 'expected at least one argument'), 'wants a value')
# Below this side in pixels the ImageNet network, which was trained at 224, misses most objects.
SMALL_SIDE = 200


class OptionParser(argparse.ArgumentParser):
    """An ArgumentParser that raises InputErrors.

    Args:
        *arguments, **options: as of ArgumentParser.
        settings: names of settings that are typed as --config.NAME, for the error on --NAME; of two, the first is named.
        help_command: what lists the options; by default PROG --help.

    Attributes:
        settings: these names.
    """

    def __init__(self, *arguments: Any, settings: Sequence[str] = (), help_command: str = '', **options: Any):
        self.settings, self._help_command = tuple(settings), help_command
        super().__init__(*arguments, exit_on_error=False, **options)

    def parse_known_args(
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parses words as argparse does, but refuses unknown ones here, where the command is known.

        Args:
            args: the words.
            namespace: filled in place.

        Returns:
            The options, and [].

        Raises:
            InputError: an option is unknown, or has a wrong value.
        """
        try:
            options, unknown = super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            name = (error.argument_name or '').split('/')[-1]
            self.error(f'{name} {MISSING_VALUE.get(error.message, error.message)}'.strip())
        if unknown:
            raise InputError(self._unknown(unknown[0]))
        return options, unknown

    def error(self, message: str) -> NoReturn:
        """Raises an InputError, where argparse prints the usage and exits.

        Args:
            message: the mistake.

        Raises:
            InputError: always.
        """
        more = '' if message.endswith('?') else f'; see {self.prog} --help.'
        raise InputError(message.rstrip('.') + more)

    def _check_value(self, action, value):
        """Checks a choice as argparse does, with another sentence."""
        if action.choices is not None and value not in action.choices:
            choices = ', '.join(action.choices)
            near = _near(value, action.choices)
            if isinstance(action, argparse._SubParsersAction):  # it has no public name
                raise argparse.ArgumentError(None, f'there is no action {value!r}; wanted one of {choices}{near}')
            raise argparse.ArgumentError(action, f'must be one of {choices}, got {value!r}{near}')

    @property
    def _help(self):
        return self._help_command or f'{self.prog} --help'

    def _unknown(self, word):
        name = word.partition('=')[0]
        if not name.startswith('-'):
            return f'{self.prog} takes no further argument, got {word!r}; {self._help} lists its options.'
        typed = name.lstrip('-')
        settings = [setting for setting in self.settings if typed in (setting, setting.rpartition('.')[-1])]
        if settings:
            return f'{self.prog} has no option {name}; did you mean --config.{settings[0]}?'
        # Without the dashes, which all options have in common.
        near = _near(
            name.lstrip('-'), [option[2:] for option in self._option_string_actions if option[:2] == '--'], '--'
        )
        return f'{self.prog} has no option {name}' + (near or f'; {self._help} lists its options.')


def whole_number(least: int) -> Callable[[str], int]:
    """A type for options: whole numbers.

    Args:
        least: lowest number.

    Returns:
        A function that converts a text, for `add_argument`.
    """

    def parse(text):
        if not re.fullmatch(r'-?\d+', text) or int(text) < least:
            raise argparse.ArgumentTypeError(f'wants a whole number from {least}, got {text!r}')
        return int(text)

    return parse


def share(text: str) -> float:
    """A type for options: a number from 0 to 1.

    Args:
        text: the number as typed.

    Returns:
        The number.

    Raises:
        ArgumentTypeError: it is no such number.
    """
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'wants a number from 0 to 1 such as 0.55, got {text!r}')
    return number


def add_network_options(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Adds --weights and --size, which choose the network.

    Args:
        parser: the parser; it is changed in place.
        default: weights if none are typed.
    """
    parser.add_argument(
        '--weights',
        type=weights_source,
        default=default,
        help='imagenet (the default), dinov2-small or another encoder, the workdir of a training, an exported network, '
        'hf://USER/NAME on the Hugging Face hub, or a file',
    )
    parser.add_argument(
        '--size',
        type=whole_number(8),
        help='side in pixels to which images are resized for the network (default: the size of the training, else that of the '
        f'encoder: 417, for DINOv2 518); below {SMALL_SIDE} most objects are missed',
    )


def warn_of_size(size: int | None) -> None:
    """Prints a warning if the typed --size is too small for most objects.

    Args:
        size: side in pixels; None if no --size was typed.
    """
    if size is not None and size < SMALL_SIDE:
        print(
            f'--size {size} is small: below about {SMALL_SIDE} pixels, a network that was trained at a larger size misses most '
            'objects; without --size, images get the size that the weights were made for, usually 417.',
            flush=True,
        )


def weights_source(text: str) -> str:
    """A type for options: imagenet, the name of an encoder, an address on the hub, or a training or weights there are.

    Args:
        text: the weights as typed.

    Returns:
        The text.

    Raises:
        ArgumentTypeError: there are no such weights.
    """
    if text.startswith(HUB):
        return text
    try:
        exists = text in ('imagenet', *ENCODER_NAMES) or (text != 'random' and workdir_path(text, '').exists())
    except InputError as error:  # an address, but not that of a bucket
        raise argparse.ArgumentTypeError(str(error).strip()) from error
    if not exists:
        wanted = "wants imagenet, an encoder's name, the workdir of a training, or a file of weights"
        why = ': random finds nothing' if text == 'random' else ', and there is no such file or folder'
        raise argparse.ArgumentTypeError(f'{wanted}, got {text!r}{why}{_near(text, ("imagenet", *ENCODER_NAMES))}')
    return text


def _near(word, words, dashes=''):
    """A question such as '; did you mean cat?' if one of the words is similar, else ''."""
    near = difflib.get_close_matches(word, words, 1)
    return f'; did you mean {dashes}{near[0]}?' if near else ''
