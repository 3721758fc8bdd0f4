"""Evaluation on the unseen classes of a fold: scores the episodes of several runs, writes and draws the results."""

import os
import time
from collections.abc import Iterable, Sequence

import jax
import numpy as np
from ml_collections import ConfigDict

from panet_jax.compute import hosts
from panet_jax.disk.experiment import training_recipe
from panet_jax.disk.paths import AnyPath, workdir_path
from panet_jax.episodes.assembly import Episodes
from panet_jax.episodes.draws import Draw
from panet_jax.evaluation.batches import AnnotatedImages
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.counting import Evaluator
from panet_jax.evaluation.identity import evaluation_identity
from panet_jax.evaluation.plain import grid_logits
from panet_jax.evaluation.protocols import PROTOCOLS
from panet_jax.evaluation.runs import evaluation_draws, evaluation_runs
from panet_jax.evaluation.scores import scores
from panet_jax.method.adapt import adaptation_of
from panet_jax.method.encoder import Encoder
from panet_jax.method.metrics import class_counts
from panet_jax.method.prototypes import upsample
from panet_jax.networks.debias import debiased
from panet_jax.networks.encoders import encoder_of
from panet_jax.networks.history import checked_history
from panet_jax.networks.network import Network
from panet_jax.results.html_report import save_report
from panet_jax.results.names import picture_name
from panet_jax.results.result import NetworkRecord, Result, Scores
from panet_jax.results.sheets import Row, pictured_episodes, save_sheet
from panet_jax.results.tables import Row as ResultRow
from panet_jax.results.tables import comparable_results, results_table, save_results
from panet_jax.results.tensorboard import save_evaluation_events


def evaluate(config: ConfigDict, workdir: str | os.PathLike, evaluator: Evaluator | None = None) -> ResultRow:
    """Evaluates the network of config.checkpoint, and writes the results.

    Writes results.json, results.jsonl, a sheet of pictures, report.html, and events for TensorBoard. Several processes
    share the images; the primary one writes.

    Args:
        config: the experiment.
        workdir: folder to write to.
        evaluator: an Evaluator of an earlier evaluation, as from `evaluator_of`; by default a new one.

    Returns:
        The results, as in results.json.

    Raises:
        InputError: the size, the data, the checkpoint or another setting is wrong.
    """
    workdir = workdir_path(workdir)
    network = network_to_evaluate(config, workdir)
    network.encoder.check_size(config.data.size, config.data.size)
    network = debiased(network, config.evaluation.debias)
    runs = evaluation_runs(config)
    draws = evaluation_draws(config, runs)
    result, confusions = measure(config, runs, draws, network, evaluator)
    row = result.row()
    with hosts.together():
        if hosts.is_primary():
            save_results(workdir, row)  # before the pictures: an error there cannot lose hours of work
            if config.evaluation.pictures:
                path = workdir / 'pictures' / picture_name(row)
                save_pictures(config, path, network, runs[0], draws[0], confusions)
            _save_report(config, workdir, row)
    return row


def evaluator_of(config: ConfigDict, encoder: Encoder | None = None) -> Evaluator:
    """An Evaluator with the settings of an experiment.

    Args:
        config: the experiment.
        encoder: the Encoder; by default that of the experiment.

    Returns:
        A new Evaluator.
    """
    settings = config.evaluation
    encoder = encoder or encoder_of(config.encoder)
    return Evaluator(
        encoder, dtype=config.encoder.dtype, batch=settings.batch, cache_gib=settings.cache_gib, head=settings.head
    )


def measure(
    config: ConfigDict,
    runs: Sequence[Episodes],
    draws: Sequence[Sequence[Draw]],
    network: Network,
    evaluator: Evaluator | None = None,
) -> tuple[Result, np.ndarray]:
    """Scores a network on the episodes of all runs.

    Args:
        config: the experiment.
        runs: the Episodes of each run, as from `evaluation_runs`.
        draws: the Draws of each run, the same number for all runs, as from `evaluation_draws`.
        network: the Network.
        evaluator: an Evaluator of an earlier evaluation. It is not used if its encoder, dtype, batch or head differs from
            the network's or the experiment's. By default a new one.

    Returns:
        The Result, and the confusion matrices of the first run, [E, Q, 1 + N, 1 + N] int64.

    Raises:
        InputError: the network was trained on a class of the evaluation, an image cannot be read, or the processes of a
            job have different episodes.
    """
    start = time.perf_counter()
    source, protocol = runs[0].source, PROTOCOLS[config.evaluation.protocol]
    class_ids = runs[0].classes.tolist()
    unseen = {source.classes[c - 1]: c for c in class_ids}
    identity = evaluation_identity(config, runs, draws, network)
    hosts.check_same('the drawn episodes', identity.episodes_hash)
    record = hosts.value_from_primary(lambda: vars(network_record(network, identity.weights, unseen)))
    totals = _fitting(evaluator, config, network.encoder).count(
        network.params,
        [draw for run in draws for draw in run],
        AnnotatedImages(source, class_ids, runs[0].reader, config.data.size, protocol.own_size),
        key=(network.hash, source.fingerprint, identity.split),
    )
    confusions = np.split(totals.confusions, len(runs))
    all_scores = Scores(
        **scores(_counts_of_runs(confusions, draws, len(source.classes), protocol), unseen),
        empty_supports=int(totals.empty_supports.sum()),
        seconds=round(time.perf_counter() - start, 1),
    )
    return Result(identity, NetworkRecord(**record), all_scores), confusions[0]


def _fitting(evaluator, config, encoder) -> Evaluator:
    """The evaluator if it has the settings of the experiment and the encoder, else a new one."""
    settings = encoder, config.encoder.dtype, config.evaluation.batch, config.evaluation.head
    if evaluator and (evaluator.encoder, evaluator.dtype, evaluator.batch, evaluator.head) == settings:
        return evaluator
    return evaluator_of(config, encoder)


def _counts_of_runs(confusions, draws, num_classes, protocol):
    """[R, 3, 1 + num_classes] int: the pixels of each class, in each of R runs."""
    counts = [
        class_counts(
            matrices,
            np.array([draw.classes for draw in run]),
            num_classes,
            absent_false_positives=protocol.absent_false_positives,
        )
        for matrices, run in zip(confusions, draws, strict=True)
    ]
    return np.array(counts)


def network_record(network: Network, weights: str, unseen: Iterable[str]) -> NetworkRecord:
    """The record of a network in a result; checks that it was trained on none of the unseen classes.

    Args:
        network: the Network.
        weights: 'imagenet', 'random', a workdir or a file: the initial weights of the training, or those of an untrained
            network.
        unseen: names of the unseen classes.

    Returns:
        The NetworkRecord.

    Raises:
        InputError: the network was trained on some of the classes, or a file of its workdir is damaged.
    """
    checkpoint = network.origin or ''
    past = checked_history(checkpoint or weights, unseen)
    recipe = training_recipe(workdir_path(checkpoint)) if checkpoint else {}
    return NetworkRecord(checkpoint, network.step, network.hash, past.dataset, past.unknown, recipe)


def _save_report(config, workdir, row):
    """Writes report.html and the events for TensorBoard of all evaluations that are comparable with this one."""
    pictures = workdir / 'pictures'
    rows = comparable_results(workdir, row)
    sheets = [(path.stem.replace('-', ' '), path) for row in rows if (path := pictures / picture_name(row)).exists()]
    tables = [results_table(rows, workdir)]
    save_report(workdir / 'report.html', f'panet_jax: {config.name}', tables, sheets, config)
    save_evaluation_events(workdir, rows, pictures)


def save_pictures(
    config: ConfigDict,
    path: AnyPath,
    network: Network,
    episodes: Episodes,
    draws: Sequence[Draw],
    confusions: np.ndarray,
) -> AnyPath:
    """Draws some episodes of a run with their predictions.

    Args:
        config: the experiment.
        path: PNG file to write.
        network: the Network.
        episodes: the Episodes of the run.
        draws: E Draws, those of the run.
        confusions: [E, Q, 1 + N, 1 + N] int, confusion matrices of the run, as from `measure`.

    Returns:
        The path.

    Raises:
        InputError: an image cannot be read.
    """
    rows = []
    for index in pictured_episodes(confusions, config.evaluation.pictures, config.evaluation.pictured, episodes.seed):
        draw = draws[index]
        episode = episodes.assemble(draw)
        logits = grid_logits(
            network.params,
            episode,
            encoder=network.encoder,
            dtype=config.encoder.dtype,
            adaptation=adaptation_of(config.evaluation.head, config.episode.shots),
        )
        logits = upsample(logits, episode.query_labels.shape[-2:])
        names = [episodes.source.classes[c - 1] for c in draw.classes]
        caption = f'episode {index}'
        rows.append(Row(caption, names, episode, np.asarray(jax.nn.softmax(logits[0])), confusions[index, 0]))
    save_sheet(path, rows, config.evaluation.annotation)
    return path
