"""What a visitor does with drawings and references. An action returns the values of the components that change."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np

from panet_jax.commands.demo_page import result_view
from panet_jax.commands.demo_page.drawing import annotation
from panet_jax.commands.demo_page.example import example_queries, example_references
from panet_jax.commands.demo_page.mistakes import shows_mistakes
from panet_jax.commands.demo_page.result_actions import segment
from panet_jax.commands.demo_page.session import Session
from panet_jax.commands.demo_page.uploads import read_mask, shrunk
from panet_jax.errors import InputError
from panet_jax.segmenter.references import Annotation

# Kinds of annotation, and what to draw for each.
KINDS = {
    'scribble': 'Draw over some of the object in orange, and over some of its surroundings in blue (palette at the left).',
    'box': 'Draw anything in orange that reaches to all ends of the object: what in its bounding box differs from the '
    'surroundings counts.',
    'points': 'Dab the object in orange: what looks like it there is taken for it, and shown below. Too much? Dab what it '
    'is not in blue (palette at the left). Too little? Dab the object once more.',
    'mask': 'Outline the object in orange, or fill it: everything inside a closed line is the class.',
    'mask file': 'Upload a mask as large as the image: anything but 0 is the class; 255 around objects with numbers is void.',
}
UNNAMED = 'it'  # a class that is drawn before it is named
PICK = 'Click on one to remove it'

# What Gradio's editor holds: {'background': [H, W, 4] uint8 RGBA or None, 'layers': list of such arrays, ...}.
Drawing = dict
Reference = tuple[str, np.ndarray, Annotation]  # (name, photo, annotation), as a Session takes them


def explain(kind: str) -> tuple:
    """What to draw for a kind of annotation, and whether a file is asked for.

    Args:
        kind: one of KINDS.

    Returns:
        The text, and an update that shows or hides the upload of a mask file.
    """
    return KINDS[kind], gr.update(visible=kind == 'mask file')


def shrink(drawing: Drawing | None) -> np.ndarray | dict:
    """The image, if it has to be made smaller.

    Args:
        drawing: content of the editor.

    Returns:
        [h, w, 3] uint8, at most LARGEST pixels a side; or Gradio's value for no change.
    """
    if drawing is None or drawing['background'] is None:
        return gr.skip()
    image = shrunk(drawing['background'])
    return gr.skip() if image.shape == drawing['background'].shape else image[..., :3]


@shows_mistakes
def preview(session: Session, kind: str, drawing: Drawing | None, mask: str | None, name: str) -> dict:
    """Shows what a drawing is understood as, before it is added.

    Args:
        session: the visitor's session.
        kind: one of KINDS.
        drawing: what the editor holds.
        mask: path of the mask file, if one was uploaded.
        name: name of the class; it may be empty.

    Returns:
        An update of the picture; it is hidden while the drawing is not finished.
    """
    with contextlib.suppress(InputError):  # `add` will say what is missing
        picture = session.preview(*_reference(kind, drawing, mask, name.strip() or UNNAMED))
        return gr.update(value=picture, visible=True)
    return gr.update(value=None, visible=False)


@shows_mistakes
def try_out(
    session: Session, live: bool, kind: str, drawing: Drawing | None, mask: str | None, name: str
) -> Iterator[tuple]:
    """Searches the images with what is drawn, before it is added.

    Args:
        session: the visitor's session.
        live: whether drawings are tried out.
        kind: one of KINDS.
        drawing: what the editor holds.
        mask: path of the mask file, if one was uploaded.
        name: name of the class; it may be empty.

    Yields:
        Values of the result part.
    """
    reference = None
    with contextlib.suppress(InputError):  # the drawing is not finished; `add` will say what is missing
        reference = _reference(kind, drawing, mask, name.strip() or UNNAMED) if live else None
    if reference and session.queries:
        yield result_view.busy(session)
    try:
        changed = session.try_out(reference)
    except InputError:
        changed = session.try_out(None)
    if changed or reference:
        yield from segment(session)
    else:
        yield gr.skip()


@shows_mistakes
def add(session: Session, kind: str, drawing: Drawing | None, mask: str | None, name: str) -> tuple:
    """Adds what is drawn as a reference.

    Args:
        session: the visitor's session.
        kind: one of KINDS.
        drawing: what the editor holds.
        mask: path of the mask file, if one was uploaded.
        name: name of the class.

    Returns:
        Values of the list of references; and the image without strokes, for the next class.
    """
    reference = _reference(kind, drawing, mask, name)
    session.add(*reference)
    return *listed_references(session), reference[1]


def _reference(kind, drawing, mask, name) -> Reference:
    if drawing is None or drawing['background'] is None:
        raise InputError('There is no image to draw on yet; upload one that shows the class.')
    return name, drawing['background'][..., :3], _annotation(kind, drawing, mask)


def _annotation(kind, drawing, mask) -> Annotation:
    if kind == 'mask file':
        if mask is None:
            raise InputError('There is no mask file yet; upload one below the image.')
        return read_mask(mask)
    if not drawing['layers']:
        raise InputError('Nothing is drawn yet; mark the class in the image with the orange brush.')
    return annotation(drawing['layers'][0], kind)


@shows_mistakes
def pick(session: Session, event: gr.SelectData) -> tuple:
    """Picks a reference, for the button that removes it.

    Args:
        session: the visitor's session.
        event: its index is that of the reference.

    Returns:
        The index, and an update of the button.
    """
    label = f'Remove number {event.index + 1}, {session.captions[event.index]}'
    return event.index, gr.update(value=label, interactive=True)


@shows_mistakes
def add_negative(session: Session) -> tuple:
    """Takes the image that was chosen as one without any of the classes.

    Args:
        session: the visitor's session.

    Returns:
        Values of the list of references.
    """
    if session.chosen < len(session.results):
        session.add_negative(session.chosen)
    return listed_references(session)


@shows_mistakes
def remove(session: Session, index: int) -> tuple:
    """Removes the reference or the negative that was picked.

    Args:
        session: the visitor's session.
        index: index of the reference, as from `pick`.

    Returns:
        Values of the list of references.
    """
    session.remove(index)
    return listed_references(session)


@shows_mistakes
def remove_all(session: Session) -> tuple:
    """Removes all references.

    Args:
        session: the visitor's session.

    Returns:
        Values of the list of references.
    """
    session.remove_all()
    return listed_references(session)


def listed_references(session: Session) -> tuple:
    """Values of the list of references when none is picked.

    Args:
        session: the visitor's session.

    Returns:
        Values in the order of `page.ReferencePart`.
    """
    idle = gr.update(value=PICK, interactive=False)
    return session.thumbnails(), None, idle, gr.update(interactive=bool(session.references or session.negatives))


@shows_mistakes
def load_example(session: Session, home: Path) -> tuple:
    """Replaces all references and images by a drawn example.

    Args:
        session: the visitor's session.
        home: folder to write the example's images to.

    Returns:
        Values of the list of references; the image that shows them; and the paths of the images to search.
    """
    session.remove_all()
    references = example_references()
    for reference in references:
        session.add(*reference)
    session.queries = example_queries(home)
    return *listed_references(session), references[0][1], [str(path) for path in session.queries]
