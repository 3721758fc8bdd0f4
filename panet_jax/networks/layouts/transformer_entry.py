"""The Entry of an array of a vision transformer in Hugging Face's files."""

from collections.abc import Mapping

from panet_jax.networks.layouts.layout import HWIO_TO_OIHW, IO_TO_OI, Entry

PARTS = {'kernel': 'weight', 'scale': 'weight', 'bias': 'bias'}
AXES = {4: HWIO_TO_OIHW, 2: IO_TO_OI, 1: (0,)}  # by the number of axes


def transformer_entry(
    path: tuple[str, ...], shape: tuple[int, ...], top: Mapping[str, str], block: Mapping[str, str], blocks: str
) -> Entry:
    """The Entry of one array.

    Args:
        path: keys in the tree of parameters.
        shape: its shape there.
        top: {our name: name in the file} of modules and arrays outside the blocks.
        block: {our name: name in the file} inside a block, where the names differ.
        blocks: name before the number of a block, such as 'encoder.layer'.

    Returns:
        The Entry.
    """
    *modules, part = path
    if not modules:  # tokens and positions
        in_file = (1, 1, *shape) if part == 'class_token' else (1, *shape)
        return Entry(top[part], path, in_file, tuple(range(len(shape))))
    if modules[0].startswith('block'):
        names = [block.get(name, name) for name in (*modules[1:], *([part] if part in block else []))]
        base = '.'.join([blocks, modules[0].removeprefix('block'), *names])
    else:
        base = top[modules[0]]
    axes = AXES[len(shape)]
    name = base if part in block else f'{base}.{PARTS[part]}'
    return Entry(name, path, tuple(shape[axis] for axis in axes), axes)
