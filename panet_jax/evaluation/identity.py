"""The Identity of an evaluation, and the hash of its episodes."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from panet_jax.compute import hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.source import Source
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import read_config
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draw
from panet_jax.evaluation.protocols import test_list
from panet_jax.networks.initial import InitialNetwork
from panet_jax.networks.network import Network
from panet_jax.results.result import Identity

if TYPE_CHECKING:
    from ml_collections import ConfigDict

SCORING_VERSION = 1  # changes when the same network would get other scores on the same episodes


def evaluation_identity(
    config: 'ConfigDict', runs: Sequence[Episodes], draws: Sequence[Sequence[Draw]], network: Network
) -> Identity:
    """The Identity of an evaluation.

    Args:
        config: the experiment.
        runs: the Episodes of each run.
        draws: the Draws of each run.
        network: the Network to evaluate.

    Returns:
        The Identity.
    """
    data, settings, source = config.data, config.evaluation, runs[0].source
    class_ids = runs[0].classes.tolist()
    return Identity(
        scoring_version=SCORING_VERSION,
        dataset=data.name,
        split=test_list(config),
        fold=data.fold,
        fold_rule=data.fold_rule,
        fold_seed=data.fold_seed,
        unseen=list(data.unseen),
        data_fingerprint=source.fingerprint,
        images=len(source),
        skipped_images=len(source.skipped),
        smallest_object=data.smallest_object,
        **config.episode.to_dict(),
        annotation=settings.annotation,
        annotation_seed=data.annotation_seed,
        size=data.size,
        runs=settings.runs,
        episodes=settings.episodes,
        seeds=[episodes.seed for episodes in runs],
        draw=settings.draw,
        authors_order=authors_order(config, runs[0]),
        episodes_hash=episodes_hash(source, draws),
        protocol=settings.protocol,
        head=settings.head,
        debias=network.debias,
        encoder=network.encoder.name,
        weights=weights_before_training(config, network),
        width=network.encoder.width,
        dtype=config.encoder.dtype,
        seed=config.seed,
        left_out_classes=[source.classes[c - 1] for c in unseen_classes(source, data) if c not in class_ids],
    )


def weights_before_training(config: 'ConfigDict', network: Network) -> str:
    """The name of the weights that a network had before its training.

    Args:
        config: the experiment, whose weights are those of an untrained network.
        network: the Network to evaluate.

    Returns:
        The name, as from `InitialNetwork.origin`.
    """
    if network.origin is None:
        return InitialNetwork.of(config.encoder).origin(network.params)
    settings = hosts.value_from_primary(lambda: read_config(workdir_path(network.origin))['encoder'])
    return InitialNetwork.of(settings).origin()


def authors_order(config: 'ConfigDict', episodes: Episodes) -> bool:
    """Whether the episodes of a run are exactly those of the authors' code, drawn from complete lists of each class.

    Args:
        config: the experiment.
        episodes: the Episodes of the run.

    Returns:
        True if the setting has the authors' draws, all unseen classes with complete lists, and objects of any size.
    """
    source = episodes.source
    return (
        config.evaluation.draw == 'panet2019'
        and config.data.smallest_object <= 1
        and sorted(episodes.images) == unseen_classes(source, config.data)
        and all(c in source.class_lists and c not in source.shortened for c in episodes.images)
    )


def episodes_hash(source: Source, draws: Sequence[Sequence[Draw]]) -> str:
    """A hash of the names of the classes, supports and queries of all episodes.

    Args:
        source: the images, with their names and those of the classes.
        draws: the Draws of each run.

    Returns:
        Twelve hexadecimal digits.
    """
    digest = hashlib.sha256()
    for draw in (draw for run in draws for draw in run):
        images = [[source.name(i) for i in group.flat] for group in (draw.supports, draw.queries)]
        digest.update(json.dumps([[source.classes[c - 1] for c in draw.classes], *images]).encode())
    return digest.hexdigest()[:12]
