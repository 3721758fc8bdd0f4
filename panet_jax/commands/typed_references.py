"""Reads and checks the references of a command before the weights of the network, which may have to be downloaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from panet_jax.commands.supports import Support
from panet_jax.errors import InputError

if TYPE_CHECKING:
    from panet_jax.segmenter.new_references import Pairs
    from panet_jax.segmenter.references import Annotation

# Sides in pixels at which annotations are checked: one larger than that of a network, and the usual one. An annotation that is
# empty at the first is refused; background is looked for at both. The Segmenter refuses what is too small for its network.
CHECKED_SIZES = (1024, 417)


class TypedReferences(NamedTuple):
    """The references of a command, which have been checked.

    Attributes:
        by_class: {class: [(image, annotation), ...]} of --support and --support-dir, for `Segmenter.fit`.
        negatives: (image, annotation or None) of --negative, for `Segmenter.add_negative`.
    """

    by_class: 'Pairs'
    negatives: Sequence[tuple]


def read_typed(
    supports: Sequence[Support], negatives: Sequence[Support], folders: Sequence[str], *, alone: bool = True
) -> TypedReferences:
    """Reads masks and folders, and checks all references.

    Args:
        supports: those of --support.
        negatives: those of --negative.
        folders: those of --support-dir.
        alone: whether no saved references are there too, so that these have to show background.

    Returns:
        The TypedReferences; masks and strokes are decoded, photographs are still paths.

    Raises:
        InputError: an image or an annotation cannot be read, or they do not fit together, or nothing is background.
    """
    from panet_jax.segmenter.folder_references import folder_references

    by_class: dict[str, list[tuple]] = {}
    may_show_background = bool(folders) or not alone or not supports
    for support in supports:
        annotation, shows_background = _checked(support)
        by_class.setdefault(support.name, []).append((support.image, annotation))
        may_show_background |= shows_background
    if not may_show_background:
        raise InputError('the references show no background; add one whose annotation does not cover its whole image.')
    of_negatives = [(negative.image, _checked(negative)[0]) for negative in negatives]
    for folder in folders:
        for name, pairs in folder_references(folder).items():
            by_class.setdefault(name, []).extend(pairs)
    return TypedReferences(by_class, of_negatives)


def _checked(support: Support) -> tuple['Annotation | None', bool]:
    """The annotation, with its file decoded, and whether it leaves background; None and False of a whole image."""
    import panet_jax as pj
    from panet_jax.segmenter.references import open_annotation, photo_shape, read_marks

    shape = photo_shape(support.image)
    if support.kind == 'image':
        return None, False
    annotation, source_name = support.annotation, f'the annotation of {support.image}'
    if isinstance(support.value, Path):
        image, source_name = open_annotation(support.value), str(support.value)
        annotation = pj.Scribble(image) if support.kind == 'scribble' else image
    marks = (read_marks(annotation, shape, size, source_name) for size in CHECKED_SIZES)
    return annotation, any(own.background.any() for own in marks)


def check_network(weights: str | None, size: int | None, debias: float | None) -> None:
    """Checks settings of a network that comes by its name, without its weights.

    Args:
        weights: as typed; None is 'imagenet'.
        size: side in pixels of its images, if typed.
        debias: share of the positional directions to remove, if typed.

    Raises:
        InputError: the network does not take them.
    """
    from panet_jax.networks.debias import check_debias
    from panet_jax.networks.encoders import DEFAULT, ENCODERS, encoder_named

    name = DEFAULT if weights in (None, 'imagenet') else weights
    if name not in ENCODERS:
        return
    encoder = encoder_named(name)
    if size is not None:
        encoder.check_size(size, size)
    if debias is not None:
        check_debias(encoder, debias)
