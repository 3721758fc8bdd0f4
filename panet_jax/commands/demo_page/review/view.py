"""Values of the review's components."""

import base64
import html
from collections.abc import Sequence

import gradio as gr

from panet_jax.commands.demo_page.review.desk import THUMBNAILS, Desk
from panet_jax.commands.demo_page.review.pictures import thumbnail
from panet_jax.images.overlays import way_color
from panet_jax.segmenter.review.steps import Step, least_iou

FILTERS = ('all', 'to do', 'accepted', 'rejected')
REJECTING = 'A rejected image is not exported: neither the photograph nor its labels.'
NOTHING_HERE = {
    False: 'There are no images yet. Mark something and upload images in the first view; then take them into the review here.',
    True: 'No image is in this list.',
}


def listed(desk: Desk) -> tuple:
    """The count and the thumbnails.

    Args:
        desk: what the person has before them.

    Returns:
        Values of the status and the gallery.
    """
    stems = desk.stems[desk.page]
    pictures = [(str(thumbnail(desk.project, stem)), _caption(desk, stem)) for stem in stems]
    return status(desk), gr.update(
        value=pictures, selected_index=stems.index(desk.stem) if desk.stem in stems else None
    )


def status(desk: Desk) -> str:
    """How many images are reviewed, in Markdown.

    Args:
        desk: what the person has before them.

    Returns:
        A sentence.
    """
    project = desk.project
    rejected, number = project.count('rejected'), len(project.images)
    reviewed = project.count('accepted') + rejected
    words = [f'**{reviewed} of {number} reviewed**', *([f'{rejected} of them rejected'] if rejected else [])]
    if len(desk.stems) > THUMBNAILS:
        words.append(f'below are {desk.page.start + 1} to {desk.page.stop} of {len(desk.stems)}')
    return ', '.join(words)


def shown(desk: Desk, number: int = 0) -> tuple:
    """The image that is shown.

    Args:
        desk: what the person has before them.
        number: number of the latest stroke in its picture.

    Returns:
        Values of the name, the heading, the picture, and the button of the references.
    """
    if desk.stem is None:
        return None, NOTHING_HERE[bool(desk.project.images)], picture(desk, 0), gr.skip()
    now = desk.project.reviews[desk.stem].now
    used = now.reference is not None and now.reference == now.labels
    label = 'No reference any more (F)' if used else 'Use as reference (F)'
    return desk.stem, _heading(desk, now), picture(desk, number), gr.update(value=label)


def picture(desk: Desk, number: int) -> str:
    """The image that is shown, for the script of the stage.

    Args:
        desk: what the person has before them.
        number: number of the latest stroke in it.

    Returns:
        HTML of an element that holds the picture.
    """
    source = f'data:image/jpeg;base64,{base64.b64encode(desk.picture()).decode()}' if desk.stem else ''
    return f'<i data-stem="{html.escape(desk.stem or "")}" data-number="{number}" data-source="{source}"></i>'


def _heading(desk: Desk, now: Step) -> str:
    iou = least_iou(desk.project.images[desk.stem].entry)
    words = [now.decision, *(['corrected'] if now.corrected else []), *(['a reference'] if now.reference else [])]
    if iou is not None and now.labels is None:
        words.append(f'expected IoU {iou:.2f}')
    place = f'{desk.stems.index(desk.stem) + 1} of {len(desk.stems)}: ' if desk.stem in desk.stems else ''
    complaint = f'\n\n{html.escape(desk.complaint)}' if desk.complaint else ''
    name = html.escape(desk.project.images[desk.stem].path.name)
    return f'{place}**{name}**, {", ".join(words)}{_legend(desk.project.classes)}{complaint}'


def _legend(names: Sequence[str]) -> str:
    """The color of each class; nothing if there is only one."""
    colors = [
        f'<span style="color: rgb{tuple(way_color(label).tolist())}">■</span>' for label in range(1, 1 + len(names))
    ]
    entries = (f'{color} {html.escape(name)}' for color, name in zip(colors, names, strict=True))
    return f' ({", ".join(entries)})' if len(names) > 1 else ''


def _caption(desk: Desk, stem: str) -> str:
    """The state of an image in a word, or its expected IoU while it is to do."""
    now, iou = desk.project.reviews[stem].now, least_iou(desk.project.images[stem].entry)
    if now.reference is not None:
        return 'reference'
    if now.decision == 'to do':
        return 'corrected' if now.corrected else '' if iou is None else f'{iou:.2f}'
    return now.decision
