"""What a visitor does with images and results. An action returns the values of the components that change."""

import html
from collections.abc import Iterator, Sequence
from pathlib import Path

import gradio as gr

from panet_jax.commands.demo_page import result_view
from panet_jax.commands.demo_page.mistakes import shows_mistakes
from panet_jax.commands.demo_page.session import Session
from panet_jax.errors import InputError


@shows_mistakes
def search(session: Session, queries: Sequence[tuple[str, str | None]] | None) -> Iterator[tuple]:
    """Searches the images that are uploaded now.

    Args:
        session: the visitor's session.
        queries: (path, caption) of each image.

    Yields:
        Values of the result part.
    """
    session.queries = [Path(path) for path, _ in queries or ()]
    yield from segment(session)


@shows_mistakes
def segment(session: Session) -> Iterator[tuple]:
    """Segments all images again.

    Args:
        session: the visitor's session.

    Yields:
        Values of the result part: first that the images are being searched, then the results.
    """
    if not session.classes or not session.queries:
        session.clear()
        missing = result_view.MISSING[bool(session.classes), bool(session.queries)]
        yield result_view.nothing(_paragraphs([missing, *map(html.escape, session.check())]))
        return
    yield result_view.busy(session)
    try:
        complaints = session.segment()
    except InputError as error:
        session.clear()
        complaints = [str(error)]
    yield _found(session, complaints)


@shows_mistakes
def take_every_class(session: Session, on: bool) -> tuple:
    """Takes every image to show every class, or decides which it shows.

    Args:
        session: the visitor's session.
        on: whether every image shows every class.

    Returns:
        Values of the result part.
    """
    session.take_every_class(on)
    return _found(session, session.complaints)


def _found(session, complaints):
    """Values of the result part after a search."""
    return result_view.results(session, _status(session, complaints))


def _status(session, complaints):
    return _paragraphs(map(html.escape, [*complaints, *result_view.left_out(session)]))


def _paragraphs(sentences):
    return '\n\n'.join(sentences)


@shows_mistakes
def view_image(session: Session, event: gr.SelectData) -> tuple:
    """Chooses the image whose heat map and legend are shown.

    Args:
        session: the visitor's session.
        event: its index is that of the result.

    Returns:
        Values of the heat map, the legend, and the switches of the classes.
    """
    session.chosen = event.index
    return result_view.view(session)


@shows_mistakes
def view_class(session: Session, event: gr.SelectData) -> tuple:
    """Chooses the class of the heat map.

    Args:
        session: the visitor's session.
        event: its value is the name of the class.

    Returns:
        Values of the heat map, the legend, and the switches of the classes.
    """
    session.heat_class = event.value
    return result_view.view(session)


@shows_mistakes
def switch(session: Session, event: gr.SelectData) -> Sequence:
    """Switches a class on or off in the image that was chosen.

    Args:
        session: the visitor's session.
        event: its value is the name of the class; `selected` is True for on.

    Returns:
        Values of the status, the overlays, the heat map, the legend, the switches of the classes, and the files.
    """
    if result_view.chosen_result(session, event.value) is None:
        return [gr.skip()] * 6
    session.switch(session.chosen, event.value, event.selected)
    status = _status(session, session.complaints)
    return status, result_view.overlays(session), *result_view.view(session), result_view.files(session)
