"""The episodes of a training, on the seen classes and mirrored at random."""

from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draws, Task, drawable_images, images_by_class


def training_episodes(config: ConfigDict) -> Episodes:
    """The training episodes of a configuration: seen classes only, mirrored at random.

    Args:
        config: the experiment.

    Returns:
        The sequence of Episodes.

    Raises:
        InputError: the data are missing or damaged, or have too few images.
    """
    data, task = config.data, Task(**config.episode)
    source = hosts.primary_first(lambda: open_source(data, data.train_split, resized=True))
    hosts.check_same('the training data', source.fingerprint)
    unseen = unseen_classes(source, data)
    seen = [number for number in range(1, len(source.classes) + 1) if number not in unseen]
    without = unseen if data.unseen_images == 'drop' else ()
    drawable = drawable_images(source, smallest_object=data.smallest_object, without=without)
    images = images_by_class(source, seen, task, drawable=drawable, split=data.train_split)
    reader = SupportReader(config.annotation, seed=data.annotation_seed)
    return Episodes(source, Draws(images, task, config.seed, data.flip), size=data.size, reader=reader)
