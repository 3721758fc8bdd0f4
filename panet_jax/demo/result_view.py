"""Values of the page's result part: what was found, or why nothing is shown."""

import html

import gradio as gr

from panet_jax.demo.session import class_heat_map, presence
from panet_jax.images.overlays import way_color

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
OTHERS = 7  # values of the result part besides its status


def busy(session):
    """Values of the result part while the images are searched: what was found before stays."""
    number = len(session.queries)
    return f'Searching {number} image{"s" if number > 1 else ""} …', *[gr.skip()] * OTHERS


def found(session, told):
    """Values of the result part, of which the image that was chosen is shown again."""
    if not session.found:
        return nothing(told)
    session.chosen = min(session.chosen, len(session.found) - 1)
    session.heat_of = session.heat_of if session.heat_of in session.classes else session.classes[0]
    return (
        told,
        gr.update(visible=True),
        overlays(session),
        gr.update(choices=list(session.classes), value=session.heat_of),
        *view(session),
        files(session),
    )


def overlays(session):
    """The overlays, of which the chosen one is shown large."""
    pictures = [(str(each.overlay), each.path.name) for each in session.found]
    return gr.update(value=pictures, selected_index=session.chosen)


def files(session):
    """Paths of all label maps and overlays, to download."""
    return [str(path) for each in session.found for path in (each.labels, each.overlay)]


def nothing(told):
    """Values of the result part where there is no result."""
    nowhere = gr.update(choices=[], value=None)
    return told, gr.update(visible=False), [], nowhere, None, '', gr.update(choices=[], value=[]), None


def view(session):
    """The heat map, the legend and the classes of the image that was chosen."""
    image = session.found[session.chosen] if session.chosen < len(session.found) else None
    if image is None or session.heat_of not in image.whole.classes:  # they are being searched anew
        return gr.skip(), gr.skip(), gr.skip()
    off = session.off.get(image.path, ())
    labels = [(f'{name}: {presence(absent)}', name) for name, absent in image.whole.absent.items()]
    chosen = gr.update(choices=labels, value=[name for name in image.whole.classes if name not in off])
    return class_heat_map(image, session.heat_of), _legend(image.segmentation, off), chosen


def _legend(segmentation, off):
    rows = [
        f'<tr><td><i style="background: rgb{tuple(way_color(label).tolist())}"></i>{html.escape(name)}</td>'
        f'<td>{"switched off" if name in off else f"{segmentation.shares[name]:.1%}"}</td>'
        f'<td>{presence(segmentation.absent[name])}</td></tr>'
        for label, name in enumerate(segmentation.classes, 1)
    ]
    head = '<tr><th>class</th><th>of the image</th><th>present?</th></tr>'
    return f'<table class="legend">{head}{"".join(rows)}</table><small>{PRESENCE}</small>'
