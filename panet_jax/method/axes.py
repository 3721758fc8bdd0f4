"""Checks of axes and types at the heads of the mathematics. JAX knows both when it traces, so they cost no run time."""

import chex
import jax

Argument = tuple[jax.Array, str] | tuple[jax.Array, str, type | None]


def check_axes(function: str, **arguments: Argument) -> None:
    """Checks that arguments have the axes and the types that a function is documented with.

    A letter stands for the same size in all arguments, and `...` for the same leading axes. Under vmap, axes are those of
    one example.

    Args:
        function: name of the function, for the error.
        **arguments: {name of the argument: (array, axes, kind)}. The axes are separated by spaces, such as '... h w C' or
            'Q h w 1+N'. The kind is float (the default), int, or None for any.

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
    """The size that an axis must have, by its number or by an earlier argument with this letter; None if it is free."""
    if letter.isdigit():
        return int(letter)
    size = sizes.get(letter[-1])
    return None if size is None else size + letter.startswith('1+')
