"""What happens in the review when a person does something. An action returns the values of the components that change."""

import html
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gradio as gr

from panet_jax.commands.demo_page.marking_actions import listed_references
from panet_jax.commands.demo_page.mistakes import shows_mistakes
from panet_jax.commands.demo_page.review import view
from panet_jax.commands.demo_page.review.desk import Desk
from panet_jax.commands.demo_page.review.strokes import read_stroke
from panet_jax.commands.demo_page.session import Session
from panet_jax.errors import InputError
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.review.exporting import EXPORT, export_project

REFRESHED = 8  # the list is shown anew after so many images that were segmented


def opened(drafting: Drafting, home: Path) -> tuple:
    """Opens the project on a page that was loaded; an earlier page of it goes on no longer.

    Args:
        drafting: the project.
        home: folder for zips.

    Returns:
        The desk, and the values of all components of the review.
    """
    desk = Desk(drafting, home)
    return desk, *everything(desk)


def everything(desk: Desk) -> tuple:
    """The values of all components that depend on the desk.

    Args:
        desk: what the person has before them.

    Returns:
        Values of the list, the image that is shown, and the classes.
    """
    return *view.listed(desk), *view.shown(desk), classes(desk)


def classes(desk: Desk) -> dict:
    """The choice of the class to correct.

    Args:
        desk: what the person has before them.

    Returns:
        An update of the radio.
    """
    names = list(desk.project.classes)
    return gr.update(choices=names, value=(names or [None])[0], visible=len(names) != 1)


def step(change: Callable[[Desk], object]) -> Callable:
    """An action of a button that concerns the image that is shown.

    Args:
        change: what happens to the desk.

    Returns:
        A function (desk, name of the image that the browser shows) -> values of the list and the image that is shown.
    """

    @shows_mistakes
    def action(desk: Desk, stem: str | None) -> tuple:
        desk.check()
        if stem == (desk.stem or ''):  # else the button was clicked for an image that is gone already
            change(desk)
        return *view.listed(desk), *view.shown(desk)

    return action


@shows_mistakes
def clear(desk: Desk, stem: str | None, name: str | None) -> tuple:
    """Takes a class away from all of an image.

    Args:
        desk: what the person has before them.
        stem: name of the image that the browser shows.
        name: name of the class.

    Returns:
        Values of the list and the image that is shown.

    Raises:
        gr.Error: the image has nothing of the class, or no class is chosen.
    """
    desk.check()
    if stem == (desk.stem or ''):  # as in `step`
        desk.clear(name)
    return *view.listed(desk), *view.shown(desk)


@shows_mistakes
def undo(desk: Desk) -> tuple:
    """Takes the last step back.

    Args:
        desk: what the person has before them.

    Returns:
        Values of the list and the image that is shown.

    Raises:
        gr.Error: there is no step left.
    """
    if not desk.undo():
        raise InputError('There is no step to take back.')
    return *view.listed(desk), *view.shown(desk)


@shows_mistakes
def choose(desk: Desk, event: gr.SelectData) -> tuple:
    """Shows the image that was chosen in the list.

    Args:
        desk: what the person has before them.
        event: its index is that of the image.

    Returns:
        Values of the image that is shown.
    """
    desk.check()
    stem = desk.stems[desk.page][event.index]
    if stem == desk.stem:
        return (gr.skip(),) * 4
    desk.show(stem)
    return view.shown(desk)


@shows_mistakes
def sort(desk: Desk, decision: str) -> tuple:
    """Makes the list anew.

    Args:
        desk: what the person has before them.
        decision: one of FILTERS.

    Returns:
        Values of the list and the image that is shown.
    """
    desk.check()
    desk.sort(None if decision == 'all' else decision)
    return *view.listed(desk), *view.shown(desk)


@shows_mistakes
def hide(desk: Desk, is_hidden: bool) -> tuple:
    """Shows the photograph with or without labels.

    Args:
        desk: what the person has before them.
        is_hidden: whether labels are hidden.

    Returns:
        Values of the image that is shown.
    """
    desk.show_labels = not is_hidden
    return view.shown(desk)


@shows_mistakes
def correct(desk: Desk, text: str, name: str | None) -> tuple:
    """Corrects an image with what was drawn.

    Args:
        desk: what the person has before them.
        text: a stroke as for `read_stroke`.
        name: name of the class.

    Returns:
        Values of the list and the image that is shown.
    """
    stroke = read_stroke(text)
    try:
        desk.correct(stroke, name)
    except InputError as error:
        desk.check()
        gr.Warning(html.escape(str(error)))
    return *view.listed(desk), *view.shown(desk, stroke.number)


@shows_mistakes
def segment(desk: Desk) -> Iterator[tuple]:
    """Segments what is to be segmented anew.

    Args:
        desk: what the person has before them.

    Yields:
        The text of the progress; values of the list and of the image that is shown.
    """
    number, failed, unchanged = len(desk.drafting.outdated()), [], (gr.skip(),) * 6
    if not number:
        yield '', *unchanged
        return
    yield f'Segmenting 1 of {number} …', *unchanged
    for count, (stem, error) in enumerate(desk.segment(), 1):
        failed += [f'{stem}: {error}'] if error else []
        if not desk.stems:
            desk.sort(desk.decision)
        fresh = (*view.listed(desk), *view.shown(desk)) if stem == desk.stem else unchanged
        if count % REFRESHED == 0 and fresh is unchanged:
            fresh = *view.listed(desk), *unchanged[2:]
        yield f'Segmenting {min(count + 1, number)} of {number} …', *fresh
    desk.sort_again()
    text = '\n\n'.join(map(html.escape, failed)) or f'{number} images are segmented.'
    if desk.drafting.outdated() and not failed:  # the references have changed again; the next call goes on
        text = ''
    yield text, *view.listed(desk), *view.shown(desk)


@shows_mistakes
def take_over(desk: Desk, session: Session | None) -> tuple:
    """Moves the images and the references of the first view into the project, with what the visitor said of the images.

    Args:
        desk: what the person has before them.
        session: the visitor's session.

    Returns:
        Values of the first view's references, without them, and of its images; an update of the classes.

    Raises:
        gr.Error: there is nothing to take.
    """
    desk.check()
    if session is None or not session.references or not session.queries:
        raise InputError('The first view has no reference or no image yet; mark something and upload images there.')
    desk.project.answers()  # a damaged file is told before anything is copied
    stems = desk.project.add_photos(session.queries)
    desk.drafting.add_references(session.reference_set)
    known = [session.choices.known(path, session.reference_set.classes) for path in session.queries]
    if any(known):
        desk.project.keep_answers(dict(zip(stems, known, strict=True)))
    session.remove_all()
    session.queries = []
    return *listed_references(session), [], classes(desk)


def offer(desk: Desk | None, session: Session | None) -> dict:
    """Whether the button of `take_over` is shown: if there is something to take, or else nothing to review.

    Args:
        desk: what the person has before them.
        session: the visitor's session.

    Returns:
        An update of the button.
    """
    is_empty = desk is None or not desk.project.images
    return gr.update(visible=is_empty or bool(session and session.references and session.queries))


@shows_mistakes
def export(desk: Desk, formats: Sequence[str], min_area: float | None, to_do: bool, zipped: bool) -> tuple:
    """Exports the labels.

    Args:
        desk: what the person has before them.
        formats: names of formats.
        min_area: objects with fewer pixels are left out.
        to_do: whether the images that are to do are exported too.
        zipped: whether as a zip to download; otherwise into the project's folder.

    Returns:
        A text, and an update of the file to download.
    """
    out = (
        Path(tempfile.mkdtemp(dir=desk.folder)) / desk.project.folder.absolute().name
        if zipped
        else desk.project.folder / EXPORT
    )
    remarks = export_project(desk.project, out, formats, min_area=int(min_area or 1), to_do=to_do)
    if zipped:
        shutil.make_archive(str(out), 'zip', out)
        shutil.rmtree(out)
    place = 'The zip is ready:' if zipped else f'It is in {out}'
    text = '\n\n'.join(map(html.escape, [place, *remarks]))
    return text, gr.update(value=f'{out}.zip' if zipped else None, visible=zipped)
