"""The parser of the commands' options: what is wrong is one sentence, without the lines on usage."""

import argparse
import difflib
import re
from collections.abc import Callable

from panet_jax.disk.paths import workdir_path
from panet_jax.errors import InputError
from panet_jax.networks.names import ENCODER_NAMES

# What argparse says of an option that ends the command.
MISSING_VALUE = dict.fromkeys(('expected one argument', 'expected at least one argument'), 'wants a value')
# Below this many pixels a side ImageNet's network, which saw 224, sees little of most objects.
SMALL_SIDE = 200


class OptionParser(argparse.ArgumentParser):
    """An ArgumentParser whose mistakes are InputErrors."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, exit_on_error=False, **options)

    def parse_known_args(self, args=None, namespace=None):
        """As argparse's, but what is unknown is told here, by the command that it was typed after."""
        try:
            known, unknown = super().parse_known_args(args, namespace)
        except argparse.ArgumentError as error:
            name = (error.argument_name or '').split('/')[-1]
            self.error(f'{name} {MISSING_VALUE.get(error.message, error.message)}'.strip())
        if unknown:
            raise InputError(self._unknown(unknown[0]))
        return known, unknown

    def error(self, message):
        """Raises an InputError in place of printing the usage and leaving."""
        more = '' if message.endswith('?') else f'; {self.prog} --help says more.'
        raise InputError(message.rstrip('.') + more)

    def _check_value(self, action, value):
        """As argparse's, in our words."""
        if action.choices is not None and value not in action.choices:
            choices = ', '.join(action.choices)
            near = _near(value, action.choices)
            if isinstance(action, argparse._SubParsersAction):  # it has no public name
                raise argparse.ArgumentError(None, f'there is no action {value!r}; wanted one of {choices}{near}')
            raise argparse.ArgumentError(action, f'must be one of {choices}, got {value!r}{near}')

    def _unknown(self, word):
        name = word.partition('=')[0]
        if not name.startswith('-'):
            return f'{self.prog} does not know what {word!r} is for; {self.prog} --help lists its options.'
        near = _near(name, self._option_string_actions)
        return f'{self.prog} has no option {name}' + (near or f'; {self.prog} --help lists those there are.')


def whole_number(least: int) -> Callable[[str], int]:
    """A type of option: a whole number from `least`."""

    def parse(text):
        if not re.fullmatch(r'-?\d+', text) or int(text) < least:
            raise argparse.ArgumentTypeError(f'wants a whole number from {least}, got {text!r}')
        return int(text)

    return parse


def share(text: str) -> float:
    """A type of option: a number from 0 to 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'wants a number from 0 to 1 such as 0.55, got {text!r}')
    return number


def add_network_options(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Adds --weights and --size, the network of those who do not train one.

    Args:
        parser: changed in place.
        default: weights that are taken where none are named.
    """
    parser.add_argument(
        '--weights',
        type=_weights,
        default=default,
        help='imagenet (the default), dinov2-small or another encoder, the workdir of a training, or a file',
    )
    parser.add_argument(
        '--size',
        type=whole_number(8),
        help=f"side of the network's images (the workdir's, else 417); below {SMALL_SIDE} little is found",
    )


def warn_of_size(size: int | None) -> None:
    """Prints a remark if a --size was typed with which little can be found."""
    if size is not None and size < SMALL_SIDE:
        print(
            f'--size {size} is little: below about {SMALL_SIDE} pixels most objects are missed by a network that was not '
            'trained so; without --size it is 417, or what the weights were trained with.',
            flush=True,
        )


def _weights(text):
    """A type of option: imagenet, the name of an encoder, or what is there of a training or of weights."""
    try:
        there = text in ('imagenet', *ENCODER_NAMES) or (text != 'random' and workdir_path(text, '').exists())
    except InputError as error:  # the address of something else than a bucket
        raise argparse.ArgumentTypeError(str(error).strip()) from error
    if not there:
        wanted = "wants imagenet, an encoder's name, the workdir of a training, or a file of weights"
        why = ': random finds nothing' if text == 'random' else ', and there is no such file or folder'
        raise argparse.ArgumentTypeError(f'{wanted}, got {text!r}{why}{_near(text, ("imagenet", *ENCODER_NAMES))}')
    return text


def _near(word, words):
    """A question whether one of some words was meant, if one is near."""
    near = difflib.get_close_matches(word, words, 1)
    return f'; did you mean {near[0]}?' if near else ''
