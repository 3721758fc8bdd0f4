"""What happens on the page when a visitor does something: each action returns the values of the parts that change."""

import contextlib
import functools
import html
import inspect
from pathlib import Path

import gradio as gr

from panet_jax.demo import result_view
from panet_jax.demo.drawing import annotation
from panet_jax.demo.example import example_queries, example_references
from panet_jax.demo.session import read_mask, shrunk
from panet_jax.errors import InputError

# What a drawing may be, and what to draw for it.
KINDS = {
    'scribble': 'Draw over some of the object in orange, and over some of its surroundings in blue (palette at the left).',
    'box': 'Draw anything in orange that reaches to all ends of the object: its bounding box counts.',
    'points': 'Dab the object in orange and its surroundings in blue (palette at the left): each blob is a point.',
    'mask': 'Outline the object in orange, or fill it: everything inside a closed line is the class.',
    'mask file': 'Upload a mask as large as the image: anything but 0 is the class; 255 around objects with numbers is void.',
}
GONE = 'This page was left alone for too long, or its server was started anew: what was marked is gone. Reload it.'
UNNAMED = 'it'  # a class that is drawn before it is named
PICK = 'Click on one to remove it'


@contextlib.contextmanager
def _telling(session):
    """Tells the visitor of a mistake, and of a session that is over (None) while its page is still open."""
    if session is None:
        raise gr.Error(GONE, duration=None, print_exception=False)
    try:
        yield
    except InputError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def _told(action):
    """The action, a function or a generator with a session as its first argument, under `_telling`."""

    @functools.wraps(action)
    def once(session, *given):
        with _telling(session):
            return action(session, *given)

    @functools.wraps(action)
    def in_steps(session, *given):
        with _telling(session):
            yield from action(session, *given)

    return in_steps if inspect.isgeneratorfunction(action) else once


def explain(kind):
    """What to draw for this kind, and whether a file is asked for."""
    return KINDS[kind], gr.update(visible=kind == 'mask file')


def shrink(drawn):
    """The image, where it has to be made smaller."""
    if drawn is None or drawn['background'] is None:
        return gr.skip()
    small = shrunk(drawn['background'])
    return gr.skip() if small.shape == drawn['background'].shape else small[..., :3]


@_told
def try_out(session, live, kind, drawn, mask, name):
    """What is drawn counts before it is added."""
    reference = None
    with contextlib.suppress(InputError):  # the drawing is not finished; whoever adds it is told why
        reference = _reference(kind, drawn, mask, name.strip() or UNNAMED) if live else None
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


@_told
def add(session, kind, drawn, mask, name):
    """Adds what is drawn as a reference."""
    reference = _reference(kind, drawn, mask, name)
    session.add(*reference)
    return *_references(session), reference[1]  # without strokes, for the next class of the same image


def _reference(kind, drawn, mask, name):
    """(name, photo, annotation) as a Session takes them."""
    if drawn is None or drawn['background'] is None:
        raise InputError('There is no image to draw on yet; upload one that shows the class.')
    return name, drawn['background'][..., :3], _annotation(kind, drawn, mask)


def _annotation(kind, drawn, mask):
    if kind == 'mask file':
        if mask is None:
            raise InputError('There is no mask file yet; upload one below the image.')
        return read_mask(mask)
    if not drawn['layers']:
        raise InputError('Nothing is drawn yet; mark the class in the image with the orange brush.')
    return annotation(drawn['layers'][0], kind)


@_told
def pick(session, picked: gr.SelectData):
    """Picks a reference, for the button that removes it."""
    return picked.index, gr.update(
        value=f'Remove number {picked.index + 1}, {session.references[picked.index].name}', interactive=True
    )


@_told
def remove(session, picked):
    """Removes the reference that is picked."""
    session.remove(picked)
    return _references(session)


@_told
def remove_all(session):
    """Removes all references."""
    session.remove_all()
    return _references(session)


def _references(session):
    """The references, of which none is picked."""
    idle = gr.update(value=PICK, interactive=False)
    return session.thumbnails(), None, idle, gr.update(interactive=bool(session.references))


@_told
def load_example(session, home):
    """The drawn example in place of what was marked and uploaded."""
    session.remove_all()
    references = example_references()
    for reference in references:
        session.add(*reference)
    session.queries = example_queries(home)
    return *_references(session), references[0][1], [str(path) for path in session.queries]


@_told
def search(session, queries):
    """Searches the images that are uploaded now."""
    session.queries = [Path(path) for path, _ in queries or ()]
    yield from segment(session)


@_told
def segment(session):
    """Segments all images anew: values of the result part, first that it is being done, then what was found."""
    if not session.classes or not session.queries:
        session.clear()
        missing = result_view.MISSING[bool(session.classes), bool(session.queries)]
        yield result_view.nothing('\n\n'.join([missing, *map(html.escape, session.check())]))
        return
    yield result_view.busy(session)
    try:
        complaints = session.segment()
    except InputError as error:
        session.clear()
        complaints = [str(error)]
    yield result_view.found(session, '\n\n'.join(map(html.escape, complaints)))


@_told
def view_image(session, picked: gr.SelectData):
    """Chooses the image whose heat map and legend are shown."""
    session.chosen = picked.index
    return result_view.view(session)


@_told
def view_class(session, picked: gr.SelectData):
    """Chooses the class of the heat map."""
    session.heat_of = picked.value
    return result_view.view(session)


@_told
def switch(session, picked: gr.SelectData):
    """Switches a class on or off in the image that was chosen."""
    found = session.found[session.chosen] if session.chosen < len(session.found) else None
    if found is None or picked.value not in found.whole.classes:  # they were searched anew
        return [gr.skip()] * 5
    session.switch(session.chosen, picked.value, picked.selected)
    return result_view.overlays(session), *result_view.view(session), result_view.files(session)


def close(session):
    """Ends a session whose page was closed."""
    if session is not None:
        session.close()
