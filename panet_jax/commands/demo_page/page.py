"""The demonstration page: its components, and which action follows when one of them changes."""

import html
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from panet_jax.commands.demo_page import marking_actions, result_actions
from panet_jax.commands.demo_page.drawing import BACKGROUND_COLOR, CLASS_COLOR
from panet_jax.commands.demo_page.result_view import MISSING
from panet_jax.commands.demo_page.review.part import WITHOUT, build_review, wire_review
from panet_jax.commands.demo_page.session import Session
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.segmenter import Segmenter

# An action that needs the network waits its turn: two at once would only be slower.
NETWORK = {'concurrency_id': 'network', 'concurrency_limit': 1}
BUTTON = {'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}
QUICK = {'show_progress': 'hidden', 'api_visibility': 'private'}
ANEW = {'trigger_mode': 'always_last', 'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}
IMAGES = {'fit_columns': False, 'object_fit': 'contain', 'allow_preview': False, 'buttons': []}  # of a gallery
UPLOADS = {'sources': ['upload', 'clipboard']}


class MarkingPart(NamedTuple):
    """An image to draw on. The attributes are Gradio's components, from above to below."""

    name: gr.Textbox
    kind: gr.Radio
    hint: gr.Markdown
    editor: gr.ImageEditor
    mask: gr.File
    understood: gr.Image
    live: gr.Checkbox
    add: gr.Button
    example: gr.Button


class ReferencePart(NamedTuple):
    """The references so far. The attributes are in the order of the values of `marking_actions.listed_references`."""

    gallery: gr.Gallery
    picked: gr.State
    remove: gr.Button
    remove_all: gr.Button


class ResultPart(NamedTuple):
    """What was found. The attributes are in the order of the values of `result_view.results`."""

    status: gr.Markdown
    column: gr.Column
    every_class: gr.Checkbox
    overlays: gr.Gallery
    heat_class: gr.Radio
    heat: gr.Image
    legend: gr.HTML
    classes: gr.CheckboxGroup
    files: gr.File


def build_page(segmenter: Segmenter, home: Path, drafting: Drafting | None = None) -> gr.Blocks:
    """The page.

    Args:
        segmenter: a Segmenter whose network all visitors share.
        home: folder for what is uploaded and found.
        drafting: the project to review; None is none.

    Returns:
        Gradio's Blocks, which can be launched.
    """
    # Files that a visitor left behind are removed after a day.
    with gr.Blocks(title='panet_jax', analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        session = gr.State(None, delete_callback=_close)
        page.load(lambda: Session(segmenter, home), None, session, show_progress='hidden', api_visibility='private')
        gr.Markdown(
            '## Few-shot segmentation\nMark something on one image, and PANet finds it in others. '
            f'Network: {html.escape(Path(segmenter.weights).name)}, {segmenter.size} x {segmenter.size} pixels.',
            elem_id='title',
        )
        is_under_way = drafting is not None and bool(drafting.project.images)
        with gr.Tabs(selected='review' if is_under_way else 'find'):
            with gr.Tab('Mark and find', id='find'):
                first_view = _first_view(session, home)
            with gr.Tab('Review', id='review') as review:
                if drafting is None:
                    gr.Markdown(WITHOUT)
                else:
                    wire_review(page, review, build_review(), drafting, session, first_view, home)
    return page


def _close(session):
    """Ends the session of a page that was closed; None is one that never began."""
    if session is not None:
        session.close()


def _first_view(session, home) -> list:
    """The first view; returns its references and images, which may be moved into the review."""
    with gr.Row():
        with gr.Column(min_width=400):
            marking, references = _marking_part(), _reference_part()
        with gr.Column(min_width=400):
            queries, (result, none_here) = _queries(), _result_part()
    _wire_marking(session, marking, references, result)
    _wire_references(session, references, none_here, result)
    _wire_result(session, queries, result)
    _wire_example(session, marking, references, queries, result, home)
    return [*references, queries]


def _marking_part() -> MarkingPart:
    gr.Markdown('### 1. What to look for')
    name = gr.Textbox(label='What it is', placeholder='cat', elem_id='name')
    kind = gr.Radio(list(marking_actions.KINDS), value='scribble', label='Mark it by', elem_id='kind')
    hint = gr.Markdown(marking_actions.KINDS['scribble'])
    editor = _editor()
    mask = gr.File(label='Its mask', type='filepath', file_types=['image'], visible=False, height=120, elem_id='mask')
    understood = gr.Image(
        label='What is understood', visible=False, interactive=False, buttons=[], height=240, elem_id='understood'
    )
    live = gr.Checkbox(True, label='Show at once what a drawing finds, before it is added', elem_id='live')
    with gr.Row():
        add = gr.Button('Add this reference', variant='primary', elem_id='add')
        example = gr.Button('Try an example', elem_id='example')
    return MarkingPart(name, kind, hint, editor, mask, understood, live, add, example)


def _editor() -> gr.ImageEditor:
    return gr.ImageEditor(
        label='Image that shows it',
        elem_id='editor',
        image_mode='RGBA',
        format='png',
        transforms=(),
        layers=False,
        buttons=[],
        brush=gr.Brush(colors=[CLASS_COLOR, BACKGROUND_COLOR], color_mode='fixed'),
        height=480,
        **UPLOADS,
    )


def _reference_part() -> ReferencePart:
    gr.Markdown('**References**, in color what was understood, in white what was marked as background')
    gallery = gr.Gallery(show_label=False, columns=4, height=170, interactive=False, elem_id='references', **IMAGES)
    with gr.Row():
        remove = gr.Button(marking_actions.PICK, size='sm', interactive=False, elem_id='remove')
        remove_all = gr.Button('Remove all', size='sm', interactive=False, elem_id='clear')
    return ReferencePart(gallery, gr.State(None), remove, remove_all)


def _queries() -> gr.Gallery:
    """The images to search."""
    gr.Markdown('### 2. Where to look')
    return gr.Gallery(
        label='Images',
        type='filepath',
        file_types=['image'],
        columns=5,
        height=200,
        interactive=True,
        elem_id='queries',
        **IMAGES,
        **UPLOADS,
    )


def _result_part() -> tuple[ResultPart, gr.Button]:
    """The results, and the button for a picture without any of the classes."""
    gr.Markdown('### 3. What was found')
    status = gr.Markdown(MISSING[False, False])
    with gr.Column(visible=False) as column:
        every_class = gr.Checkbox(False, label='Every picture shows every class', visible=False, elem_id='every-class')
        classes = gr.CheckboxGroup(
            [],
            label='In this picture; switch on what is in it, and off what is not',
            interactive=True,
            elem_id='classes',
        )
        overlays, heat_class, heat = _pictures()
        none_here = gr.Button('None of these is in this picture: learn from it', size='sm', elem_id='none-here')
        legend = gr.HTML(elem_id='legend', padding=True)
        files = gr.File(
            label='Label maps (palette PNG, value n is class n) and overlays',
            height=180,
            interactive=False,
            elem_id='files',
        )
    return ResultPart(status, column, every_class, overlays, heat_class, heat, legend, classes, files), none_here


def _pictures() -> tuple[gr.Gallery, gr.Radio, gr.Image]:
    """The overlays; and in another tab the class of the heat map, and the heat map."""
    with gr.Tabs():
        with gr.Tab('Classes'):
            overlays = gr.Gallery(
                show_label=False,
                preview=True,
                height=480,
                object_fit='contain',
                buttons=['fullscreen'],
                elem_id='overlays',
            )
        with gr.Tab('Heat map'):
            heat_class = gr.Radio([], label='Probability of (dark 0, bright 1)', interactive=True, elem_id='heat-class')
            heat = gr.Image(show_label=False, height=400, buttons=['fullscreen'], elem_id='heat')
    return overlays, heat_class, heat


def _search_after(event, session, result):
    """Searches the images again once an action has succeeded."""
    # Progress is shown on the overlays: the status would fade while it says what is being done.
    event.success(result_actions.segment, session, list(result), **ANEW, show_progress_on=result.overlays)


def _wire_marking(session, marking, references, result):
    editor, mask, drawing = marking.editor, marking.mask, [marking.kind, marking.editor, marking.mask, marking.name]
    editor.upload(marking_actions.shrink, editor, editor, **QUICK)
    marking.kind.change(marking_actions.explain, marking.kind, [marking.hint, mask], **QUICK)
    changes = [editor.input, marking.kind.input, marking.name.submit, mask.change]
    event = gr.on(
        changes,
        marking_actions.preview,
        [session, *drawing],
        marking.understood,
        **ANEW,
        show_progress_on=marking.understood,
    )
    for search in (event.then, marking.live.input):
        search(
            marking_actions.try_out,
            [session, marking.live, *drawing],
            list(result),
            **ANEW,
            show_progress_on=result.overlays,
        )
    event = marking.add.click(
        marking_actions.add,
        [session, *drawing],
        [*references, editor],
        **BUTTON,
        show_progress_on=references.gallery,
    )
    event.success(lambda: gr.update(value=None, visible=False), None, marking.understood, **QUICK)
    _search_after(event, session, result)


def _wire_references(session, references, none_here, result):
    references.gallery.select(marking_actions.pick, session, [references.picked, references.remove], **QUICK)
    for button, action, inputs in (
        (references.remove, marking_actions.remove, [session, references.picked]),
        (references.remove_all, marking_actions.remove_all, session),
        (none_here, marking_actions.add_negative, session),
    ):
        event = button.click(action, inputs, list(references), **BUTTON, show_progress_on=references.gallery)
        _search_after(event, session, result)


def _wire_result(session, queries, result):
    views = [result.heat, result.legend, result.classes]
    queries.change(result_actions.search, [session, queries], list(result), **ANEW, show_progress_on=result.overlays)
    result.every_class.input(
        result_actions.take_every_class,
        [session, result.every_class],
        list(result),
        **ANEW,
        show_progress_on=result.overlays,
    )
    result.overlays.select(result_actions.view_image, session, views, **QUICK)
    # Not the radio's own value: Gradio refuses it while the choices change.
    result.heat_class.select(result_actions.view_class, session, views, **QUICK)
    # Each click counts, except while the files are being written.
    outputs = [result.status, result.overlays, *views, result.files]
    result.classes.select(
        result_actions.switch, session, outputs, trigger_mode='multiple', **BUTTON, show_progress_on=result.overlays
    )


def _wire_example(session, marking, references, queries, result, home):
    event = marking.example.click(
        lambda session: marking_actions.load_example(session, home),
        session,
        [*references, marking.editor, queries],
        **BUTTON,
        show_progress_on=references.gallery,
    )
    _search_after(event, session, result)
