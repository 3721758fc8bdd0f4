"""The episodes of an evaluation: so many runs on the unseen classes, each with a seed of its own."""

from panet_jax.compute import hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.authors import authors_draws, authors_images
from panet_jax.episodes.draws import Draws, Task, TooFewImages, drawable_images, images_by_class
from panet_jax.episodes.sampling import Episodes
from panet_jax.errors import InputError
from panet_jax.results.protocols import PROTOCOLS, test_list


def evaluation_runs(config):
    """The episodes of each run, on the unseen classes; opening them finds what is wrong with the data.

    Returns:
        List of Episodes, which differ in their seeds.
    """
    data, settings = config.data, config.evaluation
    split = test_list(config)
    source = hosts.primary_first(lambda: open_source(data, split))
    hosts.check_same('the test data', source.fingerprint)
    drawable = drawable_images(source, smallest_object=data.smallest_object)
    class_ids = unseen_classes(source, data)
    if settings.skip_small_classes:
        needed = config.episode.shots + config.episode.queries
        enough = [c for c in class_ids if drawable[:, c - 1].sum() >= needed]
        class_ids = enough or class_ids  # none at all is an error that images_by_class words
    void_is_background = PROTOCOLS[settings.protocol].void_is_background
    reader, task = SupportReader(settings.annotation, void_is_background, data.annotation_seed), Task(**config.episode)
    try:
        images = images_by_class(source, class_ids, task, drawable=drawable, split=split)
    except TooFewImages as error:
        if settings.skip_small_classes:
            raise InputError(f'no class is large enough: {error}') from error
        raise InputError(f'{error} {{evaluation.skip_small_classes=True}} leaves such classes out.') from error
    draws = [Draws(images, task, settings.seed + run) for run in range(settings.runs)]
    return [Episodes(source, run, size=data.size, reader=reader) for run in draws]


def evaluation_draws(config, runs):
    """The Draws of each run, by config.evaluation.draw: a list of lists."""
    number = config.evaluation.episodes
    if config.evaluation.draw == 'panet2019':
        images, _ = authors_images(runs[0].source, runs[0].images, only_these=config.data.smallest_object > 1)
        return [authors_draws(images, Task(**config.episode), seed=run.seed, episodes=number) for run in runs]
    return [[run.draw(index) for index in range(number)] for run in runs]
