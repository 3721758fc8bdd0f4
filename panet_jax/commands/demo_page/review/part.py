"""The components of the review, and which action follows when one of them changes."""

import functools
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from panet_jax.commands.demo_page.review import actions
from panet_jax.commands.demo_page.review.desk import Desk
from panet_jax.commands.demo_page.review.stage import NEXT_STROKE, STAGE
from panet_jax.commands.demo_page.review.strokes import MODES, TOOLS
from panet_jax.commands.demo_page.review.view import FILTERS, REJECTING
from panet_jax.export.names import FORMATS
from panet_jax.segmenter.review.drafting import Drafting

# What a person does comes one after the other; segmenting goes on beside it.
IN_TURN = {'concurrency_id': 'desk', 'concurrency_limit': 1, 'show_progress': 'hidden', 'api_visibility': 'private'}
WITHOUT = (
    'To review many images, accept and correct their labels and export them, start the page with a folder that keeps the '
    'work: `panet-jax demo --project=FOLDER`. It may be one that `panet-jax predict --out FOLDER` wrote.'
)
NOTES = (
    f'{REJECTING} A reference is accepted, and the images to do are segmented again with it. Every step is kept at once in the '
    'project folder.'
)


class ReviewPart(NamedTuple):
    """The components in the order of the values of `actions.everything`, then the others."""

    status: gr.Markdown
    gallery: gr.Gallery
    stem: gr.Textbox
    heading: gr.Markdown
    picture: gr.HTML
    reference: gr.Button
    name: gr.Radio
    decision: gr.Radio
    progress: gr.Markdown
    take_over: gr.Button
    drawn: gr.Textbox
    send: gr.Button
    buttons: dict[str, gr.Button]
    hide: gr.Checkbox
    export: 'ExportPart'


class ExportPart(NamedTuple):
    """What an export asks for, and what it gives."""

    formats: gr.CheckboxGroup
    min_area: gr.Number
    to_do: gr.Checkbox
    into: gr.Button
    zipped: gr.Button
    text: gr.Markdown
    file: gr.File


def build_review() -> ReviewPart:
    """The components, in the tab that is open.

    Returns:
        The ReviewPart.
    """
    with gr.Row(elem_id='review'):
        with gr.Column(min_width=320, scale=2):
            status = gr.Markdown()
            decision = gr.Radio(list(FILTERS), value='all', show_label=False, container=False, elem_id='review-filter')
            gallery = gr.Gallery(
                show_label=False,
                interactive=False,
                allow_preview=False,
                object_fit='cover',
                buttons=[],
                columns=5,
                height='auto',
                elem_id='review-list',
            )
            progress = gr.Markdown(elem_id='review-progress')
            take_over = gr.Button(
                'Take images and references from the first view', size='sm', visible=False, elem_id='review-take'
            )
            export = _export_part()
            gr.Markdown(NOTES, elem_id='review-notes')
        with gr.Column(min_width=320, scale=3, elem_id='review-image'):
            stem = gr.Textbox(visible='hidden')
            heading = gr.Markdown(
                elem_id='review-heading', sanitize_html=False
            )  # the legend has colors; names are escaped
            name, hide = _tools()
            gr.HTML(STAGE, padding=False, elem_id='review-draw')
            picture = gr.HTML(visible='hidden', elem_id='review-picture')
            # The script of the stage clicks the button once it has a stroke.
            drawn, send = gr.Textbox(visible='hidden'), gr.Button(visible='hidden', elem_id='review-send')
            reference, buttons = _buttons()
    return ReviewPart(
        *(status, gallery, stem, heading, picture, reference, name),
        *(decision, progress, take_over, drawn, send, buttons, hide, export),
    )


def _tools():
    with gr.Row(elem_id='review-tools'):
        name = gr.Radio([], label='Class', interactive=True, elem_id='review-class')
        # The script of the stage reads these two.
        gr.Radio(list(MODES), value=MODES[0], interactive=True, label='Drawing will (D)', elem_id='review-mode')
        gr.Radio(list(TOOLS), value=TOOLS[0], interactive=True, label='Tool (B, O, C)', elem_id='review-tool')
        hide = gr.Checkbox(False, label='Hide labels (H)', elem_id='review-hide')
    return name, hide


def _buttons():
    with gr.Row(elem_id='review-buttons'):
        buttons = {
            'back': gr.Button('← Back', size='sm', min_width=60, elem_id='review-back'),
            'reject': gr.Button('Reject (R)', variant='stop', size='sm', min_width=60, elem_id='review-reject'),
            'accept': gr.Button('Accept (A)', variant='primary', size='sm', min_width=60, elem_id='review-accept'),
            'next': gr.Button('Next →', size='sm', min_width=60, elem_id='review-next'),
        }
    with gr.Row(elem_id='review-more'):
        buttons['undo'] = gr.Button('Undo (U)', size='sm', min_width=60, elem_id='review-undo')
        buttons['clear'] = gr.Button('Clear the class (X)', size='sm', min_width=60, elem_id='review-clear')
        reference = gr.Button('Use as reference (F)', size='sm', min_width=60, elem_id='review-reference')
    return reference, buttons


def _export_part() -> ExportPart:
    with gr.Accordion('Export', open=False, elem_id='review-export'):
        formats = gr.CheckboxGroup(list(FORMATS), value=['coco'], label='Formats')
        min_area = gr.Number(1, label='Leave out objects of fewer pixels than', minimum=1, precision=0)
        to_do = gr.Checkbox(False, label='Also the drafts of images that are to do')
        with gr.Row():
            into = gr.Button('Into the project folder', size='sm', elem_id='export-folder')
            zipped = gr.Button('As a zip', size='sm', elem_id='export-zip')
        text = gr.Markdown(elem_id='export-text')
        file = gr.File(visible=False, interactive=False, show_label=False, elem_id='export-file')
    return ExportPart(formats, min_area, to_do, into, zipped, text, file)


def wire_review(
    page: gr.Blocks, tab: gr.Tab, part: ReviewPart, drafting: Drafting, session: gr.State, first_view: list, home: Path
) -> None:
    """Connects the components with their actions.

    Args:
        page: the page, which is being built.
        tab: the tab of the review.
        part: the components.
        drafting: the project.
        session: the visitor's session.
        first_view: components of the first view that `actions.take_over` empties.
        home: folder for pictures and zips.
    """
    desk = gr.State(None)
    shown, both = list(part[2:6]), list(part[:6])
    event = page.load(lambda: actions.opened(drafting, home), None, [desk, *part[:7]], **IN_TURN)
    _segment_after(event, desk, part)
    offer = {'fn': actions.offer, 'inputs': [desk, session], 'outputs': part.take_over, **IN_TURN}
    event.success(**offer)
    tab.select(**offer)
    for name, change in (('accept', Desk.accept), ('back', Desk.go_back), ('next', Desk.go_on)):
        part.buttons[name].click(actions.step(change), [desk, part.stem], both, **IN_TURN)
    for button, action, inputs in (
        (part.buttons['reject'], actions.step(Desk.reject), [desk, part.stem]),  # it may have been a reference
        (part.reference, actions.step(Desk.use_as_reference), [desk, part.stem]),
        (part.buttons['undo'], actions.undo, desk),
    ):
        _segment_after(button.click(action, inputs, both, **IN_TURN), desk, part)
    part.buttons['clear'].click(actions.clear, [desk, part.stem, part.name], both, **IN_TURN)
    part.gallery.select(actions.choose, desk, shown, **IN_TURN)
    part.decision.input(actions.sort, [desk, part.decision], both, **IN_TURN)
    part.hide.input(actions.hide, [desk, part.hide], shown, **IN_TURN)
    stroke = [desk, part.drawn, part.name]
    part.send.click(actions.correct, stroke, both, js=NEXT_STROKE, trigger_mode='multiple', **IN_TURN)
    event = part.take_over.click(actions.take_over, [desk, session], [*first_view, part.name], **IN_TURN)
    _segment_after(event, desk, part).success(**offer)  # until then the project has no images
    _wire_export(desk, part.export)


def _segment_after(event, desk, part):
    """Segments anew once an action has succeeded, if references or images have changed. Returns the event."""
    outputs = [part.progress, *part[:6]]
    options = {'concurrency_id': 'network', 'show_progress': 'hidden', 'api_visibility': 'private'}
    return event.success(actions.segment, desk, outputs, trigger_mode='always_last', **options)


def _wire_export(desk, export):
    for button, zipped in ((export.into, False), (export.zipped, True)):
        button.click(
            functools.partial(actions.export, zipped=zipped),
            [desk, export.formats, export.min_area, export.to_do],
            [export.text, export.file],
            concurrency_id='export',
            show_progress='minimal',
            api_visibility='private',
        )
