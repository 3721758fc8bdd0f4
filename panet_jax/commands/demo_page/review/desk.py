"""What one person has before them: the list of images, and the one that is shown."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from panet_jax.commands.demo_page.review.pictures import picture_to_draw_on
from panet_jax.commands.demo_page.review.strokes import ADD, REMOVE, Stroke, changed_labels, drawn_region, points_in
from panet_jax.commands.demo_page.uploads import shrunk
from panet_jax.errors import InputError
from panet_jax.images.resize import resize_mask
from panet_jax.segmenter.references import read_photo
from panet_jax.segmenter.review.drafting import Drafting
from panet_jax.segmenter.review.project import ProjectImage

THUMBNAILS = 100  # on a page of the list
TAKEN = 'This project was opened in another tab, which goes on with it. Reload this page to go on here.'

NO_CHANGE = {ADD: 'all of this is {} already', REMOVE: 'there is no {} here'}


class Desk:
    """The list keeps its order while one goes through it; `sort` makes it anew.

    Args:
        drafting: the project with what segments it, which all pages share. The newest desk is the one that works.
        folder: folder for zips.

    Attributes:
        drafting, project, folder: as given.
        decision: only images about which this was decided are in the list; None is all.
        stems: names of the images of the list.
        stem: name of the image that is shown; None if the list is empty.
        labels: [H, W] uint8, its labels as they are shown.
        photo: [h, w, 3] uint8, the photograph, small enough to draw on.
        complaint: why the photograph cannot be read; '' if it can.
        show_labels: whether the labels are drawn on it.
    """

    def __init__(self, drafting: Drafting, folder: Path):
        self.drafting, self.project, self.folder = drafting, drafting.project, folder
        self.project.holder = self
        self.decision, self.show_labels = None, True
        self.stems, self.stem, self.labels, self.photo, self.complaint = [], None, None, None, ''
        self.sort()

    @property
    def page(self) -> slice:
        """The part of the list in which the image that is shown is: more thumbnails at once would be slow."""
        place = self.stems.index(self.stem) if self.stem in self.stems else 0
        first = place // THUMBNAILS * THUMBNAILS
        return slice(first, min(first + THUMBNAILS, len(self.stems)))

    def check(self) -> None:
        """Refuses to go on if another page has opened the project since.

        Raises:
            InputError: it has.
        """
        if self.project.holder is not self:
            raise InputError(TAKEN)

    def sort(self, decision: str | None = None) -> None:
        """Makes the list anew, and shows its first image.

        Args:
            decision: only images about which this was decided; None is all.
        """
        self.decision, self.stems = decision, self.project.ordered(decision)
        self.show(self.stems[0] if self.stems else None)

    def sort_again(self) -> None:
        """Makes the list anew. The image that is shown stays, with its newest labels."""
        self.stems = self.project.ordered(self.decision)
        self.show(self.stem if self.stem in self.project.images else (self.stems or [None])[0])

    def show(self, stem: str | None) -> None:
        """Shows an image.

        Args:
            stem: its name; None shows none.
        """
        if stem is None:
            self.stem, self.labels, self.photo, self.complaint = None, None, None, ''
            return
        if stem != self.stem:
            self.photo, self.complaint = _photo(self.project.images[stem])
        self.stem, self.labels = stem, self.project.labels(stem)

    def go(self, places: int) -> None:
        """Shows the image so many places further in the list; it ends at its ends.

        Args:
            places: 1 for the next one, -1 for the one before.
        """
        if self.stems:
            place = self.stems.index(self.stem) if self.stem in self.stems else -1
            self.show(self.stems[min(max(place + places, 0), len(self.stems) - 1)])

    def go_on(self) -> None:
        """Shows the next image of the list."""
        self.go(1)

    def go_back(self) -> None:
        """Shows the image before, in the list."""
        self.go(-1)

    def accept(self) -> None:
        """Accepts the image that is shown, and shows the next one that is to do."""
        self.project.accept(self._shown(), self.labels)
        self._go_to_do()

    def reject(self) -> None:
        """Rejects the image that is shown, and shows the next one that is to do."""
        self.project.reject(self._shown())
        self._go_to_do()

    def use_as_reference(self) -> None:
        """Uses the image that is shown as a reference, and shows the next one that is to do; or uses it no longer."""
        stem = self._shown()
        self.project.use_as_reference(stem, self.labels)
        if self.project.reviews[stem].now.reference is not None:
            self._go_to_do()

    def undo(self) -> bool:
        """Takes the last step back, and shows its image.

        Returns:
            Whether there was a step.
        """
        self.check()
        stem = self.project.undo()
        if stem is not None:
            self.show(stem)
        return stem is not None

    def correct(self, stroke: Stroke, name: str | None) -> None:
        """Corrects the labels of an image with what was drawn on it.

        Args:
            stroke: the stroke. Its image is that which is shown, or was when it was drawn.
            name: name of the class.

        Raises:
            InputError: nothing changes, or no class is chosen.
        """
        self._shown()
        if name not in self.project.classes:
            raise InputError('Choose a class first.')
        if stroke.stem not in self.project.images:
            raise InputError(f'There is no image {stroke.stem}.')
        is_shown = stroke.stem == self.stem
        labels = self.labels if is_shown else self.project.labels(stroke.stem)
        region = drawn_region(stroke, labels.shape, lambda points: self._understood(stroke.stem, points))
        changed = changed_labels(labels, region, 1 + self.project.classes.index(name), stroke.mode)
        if (changed == labels).all():
            raise InputError(f'Nothing has changed: {NO_CHANGE[stroke.mode].format(name)}.')
        self.project.correct(stroke.stem, changed)
        if is_shown:
            self.labels = changed

    def clear(self, name: str | None) -> None:
        """Takes a class away from all of the image that is shown.

        Args:
            name: name of the class.

        Raises:
            InputError: the image has nothing of it, or no class is chosen.
        """
        self._shown()
        if name not in self.project.classes:
            raise InputError('Choose a class first.')
        number = 1 + self.project.classes.index(name)
        if not (self.labels == number).any():
            raise InputError(f'Nothing has changed: there is no {name}.')
        self.labels = np.where(self.labels == number, 0, self.labels).astype(self.labels.dtype)
        self.project.correct(self.stem, self.labels)

    def _understood(self, stem, points):
        """The region of an image that looks like some of its places, [H, W] bool."""
        image = self.project.images[stem]
        photo = self.photo if stem == self.stem else _photo(image)[0]
        region = self.drafting.segmenter.understood(photo, points_in(photo.shape[:2], points))
        return resize_mask(region, image.shape)

    def segment(self) -> Iterator[tuple[str, InputError | None]]:
        """Segments what is to be segmented anew. The image that is shown gets its new draft.

        Yields:
            As `Drafting.segment`.
        """
        for stem, error in self.drafting.segment():
            if stem == self.stem:
                self.show(stem)
            yield stem, error

    def picture(self) -> bytes:
        """The image that is shown, as a JPEG with its labels."""
        size = self.photo.shape[1::-1]
        return picture_to_draw_on(
            self.photo, np.asarray(Image.fromarray(self.labels).resize(size, 0)), self.show_labels
        )

    def _shown(self) -> str:
        self.check()
        if self.stem is None:
            raise InputError('There is no image here; choose another list.')
        return self.stem

    def _go_to_do(self):
        """Shows the next image of the list that is to do, from the beginning again at its end; else the next one."""
        place = self.stems.index(self.stem) + 1 if self.stem in self.stems else 0
        later = [*self.stems[place:], *self.stems[:place]]
        to_do = [stem for stem in later if self.project.reviews[stem].now.decision == 'to do']
        self.show(to_do[0] if to_do else self.stem)


def _photo(image: ProjectImage) -> tuple[np.ndarray, str]:
    """A photograph, small enough to draw on; gray, and a sentence that says why, if it cannot be read."""
    try:
        return shrunk(read_photo(image.path, str(image.path))), ''
    except InputError as error:
        return shrunk(np.full((*image.shape, 3), 128, np.uint8)), str(error)
