"""Values of the page's result part: what was found, or why nothing is shown."""

import dataclasses
import html

import gradio as gr
import numpy as np
from PIL import Image

from panet_jax.commands.demo_page.session import Result, Session
from panet_jax.commands.demo_page.uploads import fitting
from panet_jax.images.overlays import heat_map, way_color
from panet_jax.method.answers import FOLDER_ABOVE
from panet_jax.networks.encoders import DEFAULT
from panet_jax.segmenter.references import read_photo

HEAT_SIDE = 1000  # pixels of the longer side of a heat map
# The largest `absent` of a class that is likely in an image, and of one where that is unsure; see docs/limits.md.
LIKELY, UNSURE = 0.45, 0.55
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
PROBABILITY = (
    'Present? says how probable it is that this picture shows the class, compared with the others; '
    f'below {100 * FOLDER_ABOVE:.0f} % the class is off until you switch it on.'
)
OTHER_ENCODER = 'Expected IoU was fitted with VGG-16; with {} its values mean little.'
OTHERS = 8  # values of the result part besides its status


def busy(session: Session) -> tuple:
    """Values of the result part while the images are searched: the earlier results stay.

    Args:
        session: the visitor's session.

    Returns:
        Values in the order of `page.ResultPart`.
    """
    number = len(session.queries)
    return f'Searching {number} image{"s" if number > 1 else ""} …', *[gr.skip()] * OTHERS


def results(session: Session, status: str) -> tuple:
    """Values of the result part once the images are searched; the image that was chosen stays so.

    Args:
        session: the visitor's session.
        status: text above the results, in Markdown.

    Returns:
        Values in the order of `page.ResultPart`.
    """
    if not session.results:
        return nothing(status)
    session.chosen = min(session.chosen, len(session.results) - 1)
    if session.heat_class not in session.classes:
        session.heat_class = session.classes[0]
    return (
        status,
        gr.update(visible=True),
        gr.update(visible=session.choices.can_decide),
        overlays(session),
        gr.update(choices=list(session.classes), value=session.heat_class),
        *view(session),
        files(session),
    )


def overlays(session: Session) -> dict:
    """The overlays; the chosen one is shown large.

    Args:
        session: the visitor's session.

    Returns:
        An update of the gallery.
    """
    pictures = [(str(result.overlay), result.path.name) for result in session.results]
    return gr.update(value=pictures, selected_index=session.chosen)


def files(session: Session) -> list[str]:
    """Paths of all label maps and overlays, to download.

    Args:
        session: the visitor's session.

    Returns:
        The label map and the overlay of each result, in order.
    """
    return [str(path) for result in session.results for path in (result.labels, result.overlay)]


def nothing(status: str) -> tuple:
    """Values of the result part if there is no result.

    Args:
        status: text that says why, in Markdown.

    Returns:
        Values in the order of `page.ResultPart`.
    """
    no_choice = gr.update(choices=[], value=None)
    hidden = gr.update(visible=False)
    return status, hidden, hidden, [], no_choice, None, '', gr.update(choices=[], value=[]), None


def left_out(session: Session) -> list[str]:
    """What is left out because it probably is not there.

    Args:
        session: the visitor's session.

    Returns:
        A sentence, or none if nothing is left out.
    """
    if not session.left_out:
        return []
    (name, count), *others = session.left_out.items()
    more = ''.join(f', {other} of {number}' for other, number in others)
    return [
        f'{name} was left out of {count} of {len(session.results)} pictures{more}: {"they are" if others else "it is"} probably not there.'
    ]


def view(session: Session) -> tuple:
    """The heat map, the legend and the classes of the image that was chosen.

    Args:
        session: the visitor's session.

    Returns:
        Values of the heat map, the legend, and the switches of the classes; Gradio's values for no change if there is no
            such result.
    """
    result = chosen_result(session, session.heat_class)
    if result is None:
        return gr.skip(), gr.skip(), gr.skip()
    names_off = session.choices.names_off(result.path, result.full.classes)
    probabilities = session.choices.probabilities(result.path)
    choices = [(f'{name}: {word}', name) for name, word in _presence(result, probabilities).items()]
    names_on = [name for name in result.full.classes if name not in names_off]
    return (
        class_heat_map(result, session.heat_class),
        _legend(result, names_off, session.encoder, probabilities),
        gr.update(choices=choices, value=names_on),
    )


def chosen_result(session: Session, name: str) -> Result | None:
    """The result that was chosen, unless it or its class is gone because the images are being searched again.

    Args:
        session: the visitor's session.
        name: name of the class.

    Returns:
        The Result, or None if it or its class is gone.
    """
    result = session.results[session.chosen] if session.chosen < len(session.results) else None
    return result if result and name in result.full.classes else None


def class_heat_map(result: Result, name: str) -> np.ndarray:
    """How probable a class is in each pixel of an image, as a picture of at most HEAT_SIDE pixels a side.

    Args:
        result: what was found in the image.
        name: name of the class.

    Returns:
        [h, w, 3] uint8, from dark (0) to bright (1).
    """
    columns, rows = fitting(result.segmentation.shape, HEAT_SIDE)
    resized = dataclasses.replace(result.segmentation, shape=(rows, columns))
    photo = Image.fromarray(read_photo(result.path, result.path.name)).resize((columns, rows))
    probability = resized.probabilities[1 + resized.classes.index(name)]
    return heat_map(np.asarray(photo), 1 - probability[..., None])


def presence_word(absent: float) -> str:
    """A word for how likely a class is in an image: a ranking, no probability.

    Args:
        absent: the class's `absent`, in [0, 1].

    Returns:
        'likely', 'unsure' or 'unlikely'.
    """
    return 'likely' if absent <= LIKELY else 'unsure' if absent <= UNSURE else 'unlikely'


def _presence(result, probabilities):
    """{class: its probability, or a word where that is unknown}."""
    return {
        name: f'{100 * probabilities[name]:.0f} %' if name in probabilities else presence_word(absent)
        for name, absent in result.full.absent.items()
    }


def _legend(result, names_off, encoder, probabilities=()):
    segmentation, words = result.segmentation, _presence(result, probabilities)
    rows = [
        f'<tr><td><i style="background: rgb{tuple(way_color(label).tolist())}"></i>{html.escape(name)}</td>'
        f'<td>{"switched off" if name in names_off else f"{segmentation.shares[name]:.1%}"}</td>'
        f'<td>{words[name]}</td><td>{segmentation.expected_iou[name]:.2f}</td></tr>'
        for label, name in enumerate(segmentation.classes, 1)
    ]
    head = '<tr><th>class</th><th>of the image</th><th>present?</th><th>expected IoU</th></tr>'
    remarks = PROBABILITY if probabilities else PRESENCE
    remarks += '' if encoder == DEFAULT else f' {OTHER_ENCODER.format(encoder)}'
    return f'<table class="legend">{head}{"".join(rows)}</table><small>{remarks}</small>'
