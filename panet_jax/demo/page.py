"""The demonstration page: its parts, and which action follows when one of them changes."""

import html
from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from panet_jax.demo import actions
from panet_jax.demo.drawing import BACKGROUND_COLOUR, CLASS_COLOUR
from panet_jax.demo.result_view import MISSING
from panet_jax.demo.session import Session

# Progress is shown on something else than the status, which would fade when it says what is being done.
# Whatever needs the network waits its turn: two at once would only be slower.
NETWORK = {'concurrency_id': 'network', 'concurrency_limit': 1}
BUTTON = {'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}
QUICK = {'show_progress': 'hidden', 'api_visibility': 'private'}
ANEW = {'trigger_mode': 'always_last', 'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}


def build_page(segmenter, home):
    """The page, as Gradio's Blocks.

    Args:
        segmenter: a Segmenter without references, whose network all visitors share.
        home: Path of a folder for what is uploaded and found.
    """
    # Files that a visitor left behind go after a day.
    with gr.Blocks(title='panet_jax', analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        session = gr.State(None, delete_callback=actions.close)
        page.load(lambda: Session(segmenter, home), None, session, show_progress='hidden', api_visibility='private')
        gr.Markdown(
            '## Few-shot segmentation\nMark something on one image, and PANet finds it in others. '
            f'Network: {html.escape(Path(segmenter.weights).name)}, {segmenter.size} x {segmenter.size} pixels.'
        )
        with gr.Row():
            with gr.Column(min_width=400):
                support = _support_part()
            with gr.Column(min_width=400):
                result = _result_part()
        _wire_support(session, support, result)
        _wire_result(session, result)
        _wire_example(session, support, result, home)
    return page


def _support_part():
    """The left half: an image to draw on, and the references so far."""
    gr.Markdown('### 1. What to look for')
    part = SimpleNamespace(picked=gr.State(None))
    part.name = gr.Textbox(label='What it is', placeholder='cat', elem_id='name')
    part.kind = gr.Radio(list(actions.KINDS), value='scribble', label='Mark it by', elem_id='kind')
    part.hint = gr.Markdown(actions.KINDS['scribble'])
    part.editor = gr.ImageEditor(
        label='Image that shows it',
        elem_id='editor',
        image_mode='RGBA',
        format='png',
        sources=['upload', 'clipboard'],
        transforms=(),
        layers=False,
        buttons=[],
        brush=gr.Brush(colors=[CLASS_COLOUR, BACKGROUND_COLOUR], color_mode='fixed'),
        height=480,
    )
    part.mask = gr.File(
        label='Its mask', type='filepath', file_types=['image'], visible=False, height=120, elem_id='mask'
    )
    part.live = gr.Checkbox(True, label='Show at once what a drawing finds, before it is added', elem_id='live')
    with gr.Row():
        part.add = gr.Button('Add this reference', variant='primary', elem_id='add')
        part.example = gr.Button('Try an example', elem_id='example')
    gr.Markdown('**References**, in white what was marked as background')
    part.references = gr.Gallery(
        show_label=False,
        columns=4,
        height=170,
        fit_columns=False,
        object_fit='contain',
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id='references',
    )
    with gr.Row():
        part.remove = gr.Button(actions.PICK, size='sm', interactive=False, elem_id='remove')
        part.clear = gr.Button('Remove all', size='sm', interactive=False, elem_id='clear')
    return part


def _result_part():
    """The right half: images to search, and what was found."""
    gr.Markdown('### 2. Where to look')
    part = SimpleNamespace()
    part.queries = gr.Gallery(
        label='Images',
        type='filepath',
        file_types=['image'],
        sources=['upload', 'clipboard'],
        columns=5,
        height=200,
        fit_columns=False,
        object_fit='contain',
        allow_preview=False,
        interactive=True,
        buttons=[],
        elem_id='queries',
    )
    gr.Markdown('### 3. What was found')
    part.status = gr.Markdown(MISSING[False, False])
    with gr.Column(visible=False) as part.column:
        part.classes = gr.CheckboxGroup(
            [], label='In this picture; switch off what is not there', interactive=True, elem_id='classes'
        )
        with gr.Tabs():
            with gr.Tab('Classes'):
                part.overlays = gr.Gallery(
                    show_label=False,
                    preview=True,
                    height=480,
                    object_fit='contain',
                    buttons=['fullscreen'],
                    elem_id='overlays',
                )
            with gr.Tab('Heat map'):
                part.heat_class = gr.Radio(
                    [], label='Probability of (dark 0, bright 1)', interactive=True, elem_id='heat-class'
                )
                part.heat = gr.Image(show_label=False, height=400, buttons=['fullscreen'], elem_id='heat')
        part.legend = gr.HTML(elem_id='legend', padding=True)
        part.files = gr.File(
            label='Label maps (palette PNG, value n is class n) and overlays',
            height=180,
            interactive=False,
            elem_id='files',
        )
    part.all = [
        part.status,
        part.column,
        part.overlays,
        part.heat_class,
        part.heat,
        part.legend,
        part.classes,
        part.files,
    ]
    return part


def _wire_support(session, support, result):
    shown = [support.references, support.picked, support.remove, support.clear]
    support.editor.upload(actions.shrink, support.editor, support.editor, **QUICK)
    support.kind.change(actions.explain, support.kind, [support.hint, support.mask], **QUICK)
    support.references.select(actions.pick, session, [support.picked, support.remove], **QUICK)
    drawn = [session, support.kind, support.editor, support.mask, support.name]
    gr.on(
        [support.editor.input, support.kind.input, support.name.submit, support.mask.change, support.live.input],
        actions.try_out,
        [session, support.live, *drawn[1:]],
        result.all,
        **ANEW,
        show_progress_on=result.overlays,
    )
    for button, action, given in (
        (support.add, actions.add, drawn),
        (support.remove, actions.remove, [session, support.picked]),
        (support.clear, actions.remove_all, session),
    ):
        changed = [*shown, support.editor] if action is actions.add else shown
        done = button.click(action, given, changed, **BUTTON, show_progress_on=support.references)
        done.success(actions.segment, session, result.all, **ANEW, show_progress_on=result.overlays)


def _wire_result(session, result):
    views = [result.heat, result.legend, result.classes]
    result.queries.change(
        actions.search, [session, result.queries], result.all, **ANEW, show_progress_on=result.overlays
    )
    result.overlays.select(actions.view_image, session, views, **QUICK)
    # Not the radio's own value: Gradio refuses it while the choices change.
    result.heat_class.select(actions.view_class, session, views, **QUICK)
    # Each click counts, and none while the files are written anew.
    changed = [result.overlays, *views, result.files]
    result.classes.select(
        actions.switch, session, changed, trigger_mode='multiple', **BUTTON, show_progress_on=result.overlays
    )


def _wire_example(session, support, result, home):
    shown = [support.references, support.picked, support.remove, support.clear, support.editor, result.queries]
    done = support.example.click(
        lambda session: actions.load_example(session, home),
        session,
        shown,
        **BUTTON,
        show_progress_on=support.references,
    )
    done.success(actions.segment, session, result.all, **ANEW, show_progress_on=result.overlays)
