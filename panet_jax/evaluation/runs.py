"""The episodes of an evaluation: several runs on the unseen classes, each with its own seed."""

from collections.abc import Sequence

from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.authors import authors_draws, authors_images
from panet_jax.episodes.draws import Draw, Draws, Task, TooFewImages, drawable_images, images_by_class
from panet_jax.errors import InputError
from panet_jax.evaluation.protocols import PROTOCOLS, test_list


def evaluation_runs(config: ConfigDict) -> list[Episodes]:
    """Opens the test data, checks it, and prepares the episodes of each run, on the unseen classes.

    Args:
        config: the experiment.

    Returns:
        The Episodes of each run. They differ in their seeds.

    Raises:
        InputError: the data cannot be opened, or an unseen class has fewer images than an episode needs.
    """
    data, settings = config.data, config.evaluation
    split = test_list(config)
    source = hosts.primary_first(lambda: open_source(data, split))
    hosts.check_same('the test data', source.fingerprint)
    drawable = drawable_images(source, smallest_object=data.smallest_object)
    class_ids = unseen_classes(source, data)
    if settings.skip_small_classes:
        least = config.episode.shots + config.episode.queries
        large_classes = [c for c in class_ids if drawable[:, c - 1].sum() >= least]
        class_ids = large_classes or class_ids  # without large classes `images_by_class` raises the error
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


def evaluation_draws(config: ConfigDict, runs: Sequence[Episodes]) -> list[list[Draw]]:
    """Draws the episodes of each run, as config.evaluation.draw says.

    Args:
        config: the experiment.
        runs: the Episodes of each run, as from `evaluation_runs`.

    Returns:
        A list of config.evaluation.episodes Draws for each run.

    Raises:
        InputError: a class has too few images for the authors' draws.
    """
    number = config.evaluation.episodes
    if config.evaluation.draw == 'panet2019':
        images, _ = authors_images(runs[0].source, runs[0].images, only_these=config.data.smallest_object > 1)
        return [authors_draws(images, Task(**config.episode), seed=run.seed, episodes=number) for run in runs]
    return [[run.draw(index) for index in range(number)] for run in runs]
