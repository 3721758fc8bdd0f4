"""The checks at the heads of the mathematics: of axes and types, which are known while JAX traces, so they cost no time."""

import chex
import jax

Argument = tuple[jax.Array, str] | tuple[jax.Array, str, type | None]


def check_axes(function: str, **arguments: Argument) -> None:
    """Checks that arguments have the axes and the types that a function is documented with.

    Axes of one letter have one size in all arguments; so have the leading axes, written `...`. Under vmap, axes are those
    of one example.

    Args:
        function: name of the function, for the error.
        **arguments: by the argument's name, the array, its axes with spaces between them, such as '... h w C' or
            'Q h w 1+N', and its kind: float, which is the default, int, or None for any.

    Raises:
        AssertionError: an argument has other axes, another size or another kind; the message names function and argument.
    """
    sizes, leading = {}, ...
    for name, (array, axes, *kind) in arguments.items():
        (kind,) = kind or (float,)
        letters = [letter for letter in axes.split() if letter != '...']
        wanted = f'{function} wants {name} [{", ".join(axes.split())}]' + (f' {kind.__name__}' if kind else '')
        if not hasattr(array, 'shape'):
            raise AssertionError(f'{wanted}, got {type(array).__name__}.')
        shape = tuple(_size(letter, sizes) for letter in letters)
        if '...' in axes:
            shape = (..., *shape) if leading is ... else (*leading, *shape)
        chex.assert_shape(array, shape, custom_message=wanted)
        if kind is not None:
            chex.assert_type(array, kind, custom_message=wanted)
        number = len(array.shape) - len(letters)
        leading = array.shape[:number] if '...' in axes else leading
        for letter, size in zip(letters, array.shape[number:], strict=True):
            sizes[letter[-1]] = size - letter.startswith('1+')


def _size(letter, sizes):
    """Size of an axis: a number itself, that of an earlier argument's axis of this letter, or None if there is none."""
    if letter.isdigit():
        return int(letter)
    size = sizes.get(letter[-1])
    return None if size is None else size + letter.startswith('1+')
