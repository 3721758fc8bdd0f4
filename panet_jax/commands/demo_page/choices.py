"""Which classes are in each image of a visitor: what the visitor says, and what is decided of the rest."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from panet_jax.errors import InputError
from panet_jax.method.answers import FOLDER_ABOVE
from panet_jax.segmenter.presence import Seen, presence_in_folder, taken_classes
from panet_jax.segmenter.reference_set import ReferenceSet
from panet_jax.segmenter.segmentation import Segmentation

NONE = 'none of these'  # what a picture without any class is called


class Choices:
    """The switches of classes in images. What the visitor says counts before what is decided.

    Attributes:
        switched: {image: {class: whether the visitor switched it on there, or off}}.
        without: images that show no class, as the visitor says.
        presence: {image: {class: probability in [0, 1] that it shows it}}; {} if nothing is decided.
        every_class: whether every image is taken to show every class in spite of these probabilities.
    """

    def __init__(self):
        self.switched: dict[Path, dict[str, bool]] = {}
        self.without: set[Path] = set()
        self.presence: dict[Path, Mapping[str, float]] = {}
        self.every_class = False

    @property
    def can_decide(self) -> bool:
        """Whether it is known of images which classes they probably show."""
        return bool(self.presence)

    def known(self, image: Path, classes: Collection[str]) -> dict[str, bool]:
        """What the visitor says of an image.

        Args:
            image: path of the image.
            classes: names of the classes.

        Returns:
            {class: whether the image shows it}, of those for which it is said.
        """
        if image in self.without:
            return dict.fromkeys(classes, False)
        return {name: on for name, on in self.switched.get(image, {}).items() if name in classes}

    def probabilities(self, image: Path) -> Mapping[str, float]:
        """How probable it is that an image shows each class.

        Args:
            image: path of the image.

        Returns:
            {class: probability in [0, 1]}; {} if nothing is decided.
        """
        return {} if self.every_class else self.presence.get(image, {})

    def names_off(self, image: Path, classes: Collection[str]) -> set[str]:
        """The classes that are switched off in an image.

        Args:
            image: path of the image.
            classes: names of the classes.

        Returns:
            Their names: those that the visitor switched off, and those that the image probably does not show and that the
            visitor did not switch on.
        """
        probabilities = dict.fromkeys(classes, 1.0) | self.probabilities(image)
        taken = taken_classes(probabilities, self.known(image, classes), FOLDER_ABOVE)
        return {name for name in classes if not taken[name]}

    def left_out(self, image: Path, classes: Collection[str]) -> set[str]:
        """The classes that are switched off in an image because it probably does not show them.

        Args:
            image: path of the image.
            classes: names of the classes.

        Returns:
            Their names.
        """
        return self.names_off(image, classes).difference(self.known(image, classes))

    def switch(self, image: Path, name: str, on: bool) -> None:
        """Switches a class on or off in an image.

        Args:
            image: path of the image.
            name: name of the class.
            on: whether the class is to be there.

        Raises:
            InputError: the image is one without any class.
        """
        if image in self.without:
            raise InputError(f'{image.name} is {NONE!r} among the references; remove that first.')
        self.switched.setdefault(image, {})[name] = on

    def decide(self, images: Sequence[Path], found: Sequence[Segmentation | Seen], references: ReferenceSet) -> None:
        """Compares images with each other, which says better what each one shows than it does alone.

        Args:
            images: paths of the images.
            found: what was found in each, with `presence` and `descriptor`.
            references: the set that found it.
        """
        known = [self.known(image, references.classes) for image in images]
        self.presence = dict(zip(images, presence_in_folder(found, references, known), strict=True))
