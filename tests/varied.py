"""Shapes whose images have sizes of their own, as photographs have."""

from panet_jax.datasets.shapes import Shapes
from panet_jax.datasets.source import Sample
from panet_jax.images.scribbles import draw_scribbles


class Varied(Shapes):
    """Shapes of 47 pixels, each cropped by a number of rows or columns that its index gives."""

    def __init__(self):
        super().__init__('test', 47)

    def _crop(self, array, index):
        return array[: 47 - index % 7] if index % 2 else array[:, : 47 - index % 11]

    def __getitem__(self, index):
        image, label = super().__getitem__(index)
        return Sample(self._crop(image, index), self._crop(label, index))

    def instances(self, index):
        return self._crop(super().instances(index), index)

    def scribbles(self, index, seed=0):
        return draw_scribbles(self[index].label, self.instances(index), seed)
