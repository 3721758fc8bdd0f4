"""Evaluation on the unseen classes of a fold: runs x episodes, scored, written and drawn."""

import time

import jax
import numpy as np

from panet_jax.compute import hosts
from panet_jax.disk.paths import workdir_path
from panet_jax.disk.workdir import training_recipe
from panet_jax.evaluation.batches import AnnotatedImages
from panet_jax.evaluation.checkpoint import network_to_evaluate
from panet_jax.evaluation.counting import Evaluator
from panet_jax.evaluation.identity import evaluation_identity
from panet_jax.evaluation.plain import grid_logits
from panet_jax.evaluation.runs import evaluation_draws, evaluation_runs
from panet_jax.evaluation.scores import scores
from panet_jax.method.adapt import HEADS
from panet_jax.method.metrics import class_counts
from panet_jax.method.prototypes import upsample
from panet_jax.networks.encoders import encoder_of
from panet_jax.networks.trained import check_unseen, history
from panet_jax.results.html_report import save_report
from panet_jax.results.names import picture_name
from panet_jax.results.protocols import PROTOCOLS
from panet_jax.results.result import NetworkRecord, Result, Scores
from panet_jax.results.rows import comparable_results, results_table, save_results
from panet_jax.results.sheets import Row, pictured_episodes, save_sheet
from panet_jax.results.tensorboard import save_evaluation_events


def evaluate(config, workdir, evaluator=None):
    """Evaluates config.checkpoint; writes results.json, results.jsonl, a sheet of pictures, report.html
    and events for TensorBoard.

    Several processes share the images; the primary one writes.

    Args:
        config: the experiment.
        workdir: folder to write to.
        evaluator: an Evaluator that has served before, as from `evaluator_of`; by default a new one.

    Returns:
        The results, a dictionary as in results.json.
    """
    network = network_to_evaluate(config, workdir)
    network.encoder.check_size(config.data.size, config.data.size)
    runs = evaluation_runs(config)
    draws = evaluation_draws(config, runs)
    result, confusions = measure(config, runs, draws, network, evaluator)
    row = result.row()
    with hosts.together():
        if hosts.is_primary():
            save_results(workdir, row)  # before the pictures: what took hours is safe first
            if config.evaluation.pictures:
                path = workdir_path(workdir) / 'pictures' / picture_name(row)
                save_pictures(config, path, network, runs[0], draws[0], confusions)
            _save_report(config, workdir, row)
    return row


def evaluator_of(config, encoder=None):
    """An Evaluator as the settings have it, of the experiment's encoder or of another one."""
    settings = config.evaluation
    encoder = encoder or encoder_of(config.encoder)
    return Evaluator(
        encoder, dtype=config.encoder.dtype, batch=settings.batch, cache_gib=settings.cache_gib, head=settings.head
    )


def measure(config, runs, draws, network, evaluator=None):
    """Scores a network on drawn episodes.

    Args:
        config: the experiment.
        runs: list of Episodes, one a run.
        draws: their Draws, a list for each run.
        network: the Network.
        evaluator: an Evaluator that has served before; a new one is made if it is None, or of another encoder, dtype, batch or head.

    Returns:
        The Result, and the first run's confusion matrices, [E, Q, 1 + N, 1 + N].
    """
    started = time.perf_counter()
    source, protocol = runs[0].source, PROTOCOLS[config.evaluation.protocol]
    class_ids = runs[0].classes.tolist()
    unseen = {source.classes[c - 1]: c for c in class_ids}
    identity = evaluation_identity(config, runs, draws, network)
    hosts.check_same('the drawn episodes', identity.episodes_hash)
    record = hosts.value_from_primary(lambda: vars(network_record(network, identity.weights, unseen)))
    wanted = network.encoder, config.encoder.dtype, config.evaluation.batch, config.evaluation.head
    if evaluator is None or (evaluator.encoder, evaluator.dtype, evaluator.batch, evaluator.head) != wanted:
        evaluator = evaluator_of(config, network.encoder)
    counted = evaluator.count(
        network.params,
        [draw for run in draws for draw in run],
        AnnotatedImages(source, class_ids, runs[0].reader, config.data.size, protocol.own_size),
        key=(network.hash, source.fingerprint, identity.split),
    )
    confusions = np.split(counted.confusions, len(runs))
    counts = [
        class_counts(
            of_run,
            np.array([draw.classes for draw in run]),
            len(source.classes),
            absent_false_positives=protocol.absent_false_positives,
        )
        for of_run, run in zip(confusions, draws, strict=True)
    ]
    measured = Scores(
        **scores(np.array(counts), unseen),
        empty_supports=int(counted.empty_supports.sum()),
        seconds=round(time.perf_counter() - started, 1),
    )
    return Result(identity, NetworkRecord(**record), measured), confusions[0]


def network_record(network, weights, unseen):
    """What a result says of its network; checks that it was trained on none of the classes.

    Args:
        network: the Network.
        weights: 'imagenet', 'random', a workdir or a file that training began with or, without one, that is evaluated.
        unseen: names of the classes that it is evaluated on.
    """
    checkpoint = network.origin or ''
    known = history(checkpoint or weights)
    check_unseen(checkpoint or weights, known, unseen)
    recipe = training_recipe(checkpoint)
    return NetworkRecord(checkpoint, network.step, network.hash, known.dataset, known.unknown, recipe)


def _save_report(config, workdir, row):
    """Writes report.html and TensorBoard's events of all evaluations that compare with this one."""
    pictures = workdir_path(workdir) / 'pictures'
    rows = comparable_results(workdir, row)
    sheets = [(path.stem.replace('-', ' '), path) for row in rows if (path := pictures / picture_name(row)).exists()]
    tables = [results_table(rows, workdir)]
    save_report(workdir_path(workdir) / 'report.html', f'panet_jax: {config.name}', tables, sheets, config)
    save_evaluation_events(workdir, rows, pictures)


def save_pictures(config, path, network, episodes, draws, confusions):
    """Draws some episodes of a run with their predictions.

    Args:
        config: the experiment.
        path: PNG file to write.
        network: the Network.
        episodes, draws, confusions: of the run; the last are [E, Q, 1 + N, 1 + N].

    Returns:
        The path.
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
            adaptation=HEADS[config.evaluation.head],
        )
        logits = upsample(logits, episode.query_labels.shape[-2:])
        names = [episodes.source.classes[c - 1] for c in draw.classes]
        caption = f'episode {index}'
        rows.append(Row(caption, names, episode, np.asarray(jax.nn.softmax(logits[0])), confusions[index, 0]))
    save_sheet(path, rows, config.evaluation.annotation)
    return path
