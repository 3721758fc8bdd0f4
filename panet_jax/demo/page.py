"""The demonstration page: its parts, and what happens when one of them changes."""

import contextlib
import functools
import html
import inspect
from pathlib import Path
from types import SimpleNamespace

import gradio as gr

from panet_jax.demo.drawing import BACKGROUND_COLOUR, CLASS_COLOUR, annotation
from panet_jax.demo.example import example_queries, example_references
from panet_jax.demo.session import MOST_PIXELS, Session, class_heat_map, presence, read_mask, shrunk
from panet_jax.errors import InputError
from panet_jax.images.overlays import way_color

# What a drawing may be, and what to draw for it.
KINDS = {
    'scribble': 'Draw over some of the object in orange, and over some of its surroundings in blue (palette at the left).',
    'box': 'Draw anything in orange that reaches to all ends of the object: its bounding box counts.',
    'points': 'Dab the object in orange and its surroundings in blue (palette at the left): each blob is a point.',
    'mask': 'Outline the object in orange, or fill it: everything inside a closed line is the class.',
    'mask file': 'Upload a mask as large as the image: anything but 0 is the class; 255 around objects with numbers is void.',
}
# Fonts that are there already: the page loads nothing from elsewhere.
THEME = gr.themes.Default(font=['system-ui', 'sans-serif'], font_mono=['ui-monospace', 'monospace'])
STYLE = """
.legend, .legend tr { border: none; }
.legend td, .legend th { padding: .2em 1.5em .2em 0; text-align: left; border: none; }
#refused { color: var(--error-text-color, #b91c1c); margin: 0; }
#refused:empty { display: none; }
.legend i { display: inline-block; width: 1em; height: 1em; margin-right: .5em; vertical-align: -.1em; }
"""
# What is missing, by whether there are references and images.
MISSING = {
    (False, False): 'What is found appears here as soon as something is marked (1) and there is an image (2).',
    (False, True): 'Nothing to look for yet: mark something in 1.',
    (True, False): 'Nothing to look in yet: upload an image in 2.',
}
PRESENCE = (
    'Likely, unsure and unlikely rank pictures by whether they show a class; they are no probabilities, '
    'and references from similar scenes make them better.'
)
GONE = 'This page was left alone for too long, or its server was started anew: what was marked is gone. Reload it.'
# The editor says nothing of an image that the browser cannot decode. It decodes each one by this function.
EDITOR_SCRIPT = """<script>
{
  const decode = window.createImageBitmap.bind(window);
  const place = document.createElement('p');
  place.id = 'refused';
  place.role = 'alert';
  const tell = (text) => { place.textContent = text; document.querySelector('#editor')?.after(place); };
  const pixels = (file) => new Promise((resolve) => {
    const image = new Image(), address = URL.createObjectURL(file);
    const done = (count) => { URL.revokeObjectURL(address); resolve(count); };
    image.onload = () => done(image.naturalWidth * image.naturalHeight);
    image.onerror = () => done(0);
    image.src = address;
  });
  window.createImageBitmap = async (source, ...rest) => {
    if (!(source instanceof File)) return decode(source, ...rest);
    tell('');
    try {
      if (await pixels(source) > MOST_PIXELS)
        throw new Error('has more than MEGAPIXELS million pixels; make it smaller.');
      return await decode(source, ...rest).catch(() => {
        throw new Error('is no image that your browser can show; choose another, or save it as JPEG or PNG.');
      });
    } catch (error) {
      tell(`${source.name} ${error.message}`);
      throw error;
    }
  };
}
</script>""".replace('MOST_PIXELS', str(MOST_PIXELS)).replace('MEGAPIXELS', str(MOST_PIXELS // 10**6))
# Progress is shown on something else than the status, which would fade when it says what is being done.
# Whatever needs the network waits its turn: two at once would only be slower.
NETWORK = {'concurrency_id': 'network', 'concurrency_limit': 1}
BUTTON = {'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}
QUICK = {'show_progress': 'hidden', 'api_visibility': 'private'}
ANEW = {'trigger_mode': 'always_last', 'show_progress': 'minimal', 'api_visibility': 'private', **NETWORK}
OTHERS = 7  # values of the result part besides its status
UNNAMED = 'it'  # a class that is drawn before it is named
PICK = 'Click on one to remove it'


def build_page(segmenter, home):
    """The page, as Gradio's Blocks.

    Args:
        segmenter: a Segmenter without references, whose network all visitors share.
        home: Path of a folder for what is uploaded and found.
    """
    # Files that a visitor left behind go after a day.
    with gr.Blocks(title='panet_jax', analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        session = gr.State(None, delete_callback=_close)
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
    part.kind = gr.Radio(list(KINDS), value='scribble', label='Mark it by', elem_id='kind')
    part.hint = gr.Markdown(KINDS['scribble'])
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
        part.remove = gr.Button(PICK, size='sm', interactive=False, elem_id='remove')
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
    support.editor.upload(_shrink, support.editor, support.editor, **QUICK)
    support.kind.change(_explain, support.kind, [support.hint, support.mask], **QUICK)
    support.references.select(_pick, session, [support.picked, support.remove], **QUICK)
    drawn = [session, support.kind, support.editor, support.mask, support.name]
    gr.on(
        [support.editor.input, support.kind.input, support.name.submit, support.mask.change, support.live.input],
        _try_out,
        [session, support.live, *drawn[1:]],
        result.all,
        **ANEW,
        show_progress_on=result.overlays,
    )
    for button, action, given in (
        (support.add, _add, drawn),
        (support.remove, _remove, [session, support.picked]),
        (support.clear, _remove_all, session),
    ):
        changed = [*shown, support.editor] if action is _add else shown
        done = button.click(action, given, changed, **BUTTON, show_progress_on=support.references)
        done.success(_segment, session, result.all, **ANEW, show_progress_on=result.overlays)


def _wire_result(session, result):
    views = [result.heat, result.legend, result.classes]
    result.queries.change(_look, [session, result.queries], result.all, **ANEW, show_progress_on=result.overlays)
    result.overlays.select(_view_image, session, views, **QUICK)
    # Not the radio's own value: Gradio refuses it while the choices change.
    result.heat_class.select(_view_class, session, views, **QUICK)
    # Each click counts, and none while the files are written anew.
    changed = [result.overlays, *views, result.files]
    result.classes.select(
        _switch, session, changed, trigger_mode='multiple', **BUTTON, show_progress_on=result.overlays
    )


def _wire_example(session, support, result, home):
    @_told
    def load(session):
        session.remove_all()
        references = example_references()
        for reference in references:
            session.add(*reference)
        session.queries = example_queries(home)
        return *_references(session), references[0][1], [str(path) for path in session.queries]

    shown = [support.references, support.picked, support.remove, support.clear, support.editor, result.queries]
    done = support.example.click(load, session, shown, **BUTTON, show_progress_on=support.references)
    done.success(_segment, session, result.all, **ANEW, show_progress_on=result.overlays)


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


def _explain(kind):
    return KINDS[kind], gr.update(visible=kind == 'mask file')


def _shrink(drawn):
    """The image, where it has to be made smaller."""
    if drawn is None or drawn['background'] is None:
        return gr.skip()
    small = shrunk(drawn['background'])
    return gr.skip() if small.shape == drawn['background'].shape else small[..., :3]


@_told
def _try_out(session, live, kind, drawn, mask, name):
    """What is drawn counts before it is added."""
    reference = None
    with contextlib.suppress(InputError):  # the drawing is not finished; whoever adds it is told why
        reference = _reference(kind, drawn, mask, name.strip() or UNNAMED) if live else None
    if reference and session.queries:
        yield _busy(session)
    try:
        changed = session.try_out(reference)
    except InputError:
        changed = session.try_out(None)
    if changed or reference:
        yield from _segment(session)
    else:
        yield gr.skip()


@_told
def _add(session, kind, drawn, mask, name):
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
def _pick(session, picked: gr.SelectData):
    return picked.index, gr.update(
        value=f'Remove number {picked.index + 1}, {session.references[picked.index].name}', interactive=True
    )


@_told
def _remove(session, picked):
    session.remove(picked)
    return _references(session)


@_told
def _remove_all(session):
    session.remove_all()
    return _references(session)


def _references(session):
    """The references, of which none is picked."""
    idle = gr.update(value=PICK, interactive=False)
    return session.thumbnails(), None, idle, gr.update(interactive=bool(session.references))


@_told
def _look(session, queries):
    session.queries = [Path(path) for path, _ in queries or ()]
    yield from _segment(session)


@_told
def _segment(session):
    """Segments all images anew: values of the result part, first that it is being done, then what was found."""
    if not session.classes or not session.queries:
        session.clear()
        missing = MISSING[bool(session.classes), bool(session.queries)]
        yield _nothing('\n\n'.join([missing, *map(html.escape, session.check())]))
        return
    yield _busy(session)
    try:
        complaints = session.segment()
    except InputError as error:
        session.clear()
        complaints = [str(error)]
    yield _found(session, '\n\n'.join(map(html.escape, complaints)))


def _busy(session):
    """Values of the result part while the images are searched: what was found before stays."""
    number = len(session.queries)
    return f'Searching {number} image{"s" if number > 1 else ""} …', *[gr.skip()] * OTHERS


def _found(session, told):
    """Values of the result part, of which the image that was chosen is shown again."""
    if not session.found:
        return _nothing(told)
    session.chosen = min(session.chosen, len(session.found) - 1)
    session.heat_of = session.heat_of if session.heat_of in session.classes else session.classes[0]
    return (
        told,
        gr.update(visible=True),
        _overlays(session),
        gr.update(choices=list(session.classes), value=session.heat_of),
        *_view(session),
        _files(session),
    )


def _overlays(session):
    overlays = [(str(each.overlay), each.path.name) for each in session.found]
    return gr.update(value=overlays, selected_index=session.chosen)


def _files(session):
    return [str(path) for each in session.found for path in (each.labels, each.overlay)]


def _nothing(told):
    """Values of the result part where there is no result."""
    nowhere = gr.update(choices=[], value=None)
    return told, gr.update(visible=False), [], nowhere, None, '', gr.update(choices=[], value=[]), None


@_told
def _view_image(session, picked: gr.SelectData):
    session.chosen = picked.index
    return _view(session)


@_told
def _view_class(session, picked: gr.SelectData):
    session.heat_of = picked.value
    return _view(session)


@_told
def _switch(session, picked: gr.SelectData):
    """Switches a class on or off in the image that was chosen."""
    found = session.found[session.chosen] if session.chosen < len(session.found) else None
    if found is None or picked.value not in found.whole.classes:  # they were searched anew
        return [gr.skip()] * 5
    session.switch(session.chosen, picked.value, picked.selected)
    return _overlays(session), *_view(session), _files(session)


def _view(session):
    """The heat map, the legend and the classes of the image that was chosen."""
    found = session.found[session.chosen] if session.chosen < len(session.found) else None
    if found is None or session.heat_of not in found.whole.classes:  # they are being searched anew
        return gr.skip(), gr.skip(), gr.skip()
    off = session.off.get(found.path, ())
    labels = [(f'{name}: {presence(absent)}', name) for name, absent in found.whole.absent.items()]
    chosen = gr.update(choices=labels, value=[name for name in found.whole.classes if name not in off])
    return class_heat_map(found, session.heat_of), _legend(found.segmentation, off), chosen


def _legend(segmentation, off):
    rows = [
        f'<tr><td><i style="background: rgb{tuple(way_color(label).tolist())}"></i>{html.escape(name)}</td>'
        f'<td>{"switched off" if name in off else f"{segmentation.shares[name]:.1%}"}</td>'
        f'<td>{presence(segmentation.absent[name])}</td></tr>'
        for label, name in enumerate(segmentation.classes, 1)
    ]
    head = '<tr><th>class</th><th>of the image</th><th>present?</th></tr>'
    return f'<table class="legend">{head}{"".join(rows)}</table><small>{PRESENCE}</small>'


def _close(session):
    if session is not None:
        session.close()
