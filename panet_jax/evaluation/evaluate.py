"""Evaluation on the unseen classes of a fold: runs x episodes, IoU from summed counts."""

import functools
import time

import jax
import numpy as np

from panet_jax.compute import devices, hosts
from panet_jax.datasets.folds import unseen_classes
from panet_jax.datasets.open import open_source
from panet_jax.disk.paths import absolute, workdir_path
from panet_jax.disk.workdir import check_split, check_untrained, read_config, training_recipe
from panet_jax.episodes.annotations import SupportReader
from panet_jax.episodes.authors import authors_draws, authors_images
from panet_jax.episodes.sampling import Episodes, TooFewImages, drawable_images, episode_label
from panet_jax.errors import InputError
from panet_jax.evaluation.counting import FeatureCache, count_episodes
from panet_jax.evaluation.identity import evaluation_identity
from panet_jax.images.resize import resize
from panet_jax.method.episode import prepare
from panet_jax.method.metrics import binary_iou, class_counts, confusion_matrix, iou
from panet_jax.method.panet import encode_episode
from panet_jax.method.prototypes import class_prototypes, cosine_logits, upsample
from panet_jax.method.vgg16 import encoder_shapes
from panet_jax.networks.trained import check_unseen, history, network_steps, read_network
from panet_jax.networks.weights import initial_params
from panet_jax.results.html_report import save_report
from panet_jax.results.names import picture_name
from panet_jax.results.protocols import PROTOCOLS, test_list
from panet_jax.results.rows import comparable_results, results_table, save_results
from panet_jax.results.sheets import Row, pictured_episodes, save_sheet
from panet_jax.results.tensorboard import save_evaluation_events


@functools.partial(jax.jit, static_argnames='dtype')
def grid_logits(params, episode, *, dtype):
    """Logits of a compact episode's queries on the feature grid: [Q, h, w, 1 + N] float32."""
    episode = prepare(episode)
    support_features, query_features = encode_episode(params, episode, dtype=dtype)
    prototypes = class_prototypes(support_features, episode.support_foreground, episode.support_background)
    return cosine_logits(query_features, prototypes)


def episode_confusions(params, episode, labels, *, dtype):
    """Confusion matrix of each query of one compact episode: [Q, 1+N, 1+N] int32, rows the truth.

    The plain form of what `count_episodes` counts with one pass over the images.

    Args:
        params: encoder parameters.
        episode: a compact Episode.
        labels: Q maps in 0..N or 255, each at the size that it is scored at.
        dtype: of the encoder's computation.
    """
    logits = grid_logits(params, episode, dtype=dtype)
    return np.stack([_count_query(one, label) for one, label in zip(logits, labels, strict=True)])


@jax.jit
def _count_query(logits, label):
    prediction = upsample(logits, label.shape).argmax(-1)
    return confusion_matrix(prediction, label.astype(prediction.dtype), logits.shape[-1])


def query_labels(episodes, draw, own_size):
    """The maps that an episode's queries are scored with: at their own size, or at the network's."""
    samples = [episodes.source[int(index)] for index in draw.queries]
    if not own_size:
        samples = [resize(sample, episodes.size) for sample in samples]
    return [episode_label(sample.label, draw.classes) for sample in samples]


def evaluate(config, workdir):
    """Evaluates config.checkpoint; writes results.json, results.jsonl, a sheet of pictures, report.html
    and events for TensorBoard.

    Several processes share the images; the primary one writes.

    Returns:
        The results, a dictionary as in results.json.
    """
    runs = evaluation_runs(config)
    network = load_params(config, workdir)
    draws = evaluation_draws(config, runs)
    results, confusions = measure(config, runs, draws, *network)
    with hosts.together():
        if hosts.is_primary():
            save_evaluation(config, workdir, results, network[0], runs[0], draws[0], confusions)
    return results


def save_evaluation(config, workdir, results, params, episodes, draws, confusions):
    """Writes results, pictures of the first run, the page and TensorBoard's events; arguments as for `save_pictures`."""
    save_results(workdir, results)  # before the pictures: what took hours is safe first
    pictures = workdir_path(workdir) / 'pictures'
    if config.evaluation.pictures:
        save_pictures(config, pictures / picture_name(results), params, episodes, draws, confusions)
    rows = comparable_results(workdir, results)
    sheets = [(path.stem.replace('-', ' '), path) for row in rows if (path := pictures / picture_name(row)).exists()]
    save_report(
        workdir_path(workdir) / 'report.html',
        f'panet_jax: {config.name}',
        [results_table(rows, workdir)],
        sheets,
        config,
    )
    save_evaluation_events(workdir, rows, pictures)


def measure(config, runs, draws, params, step, checkpoint, cache=None):
    """Scores a network on drawn episodes.

    Args:
        config: the experiment.
        runs: list of Episodes, one a run.
        draws: their Draws, a list for each run.
        params, step, checkpoint: as from `load_params`.
        cache: a FeatureCache that goes from one evaluation to the next; by default one for this alone.

    Returns:
        The results, a dictionary as in results.json; and the first run's confusion matrices, [E, Q, 1 + N, 1 + N].
    """
    started = time.perf_counter()
    settings, source = config.evaluation, runs[0].source
    protocol = PROTOCOLS[settings.protocol]
    classes = runs[0].classes.tolist()
    unseen = {source.classes[c - 1]: c for c in classes}
    identity = evaluation_identity(config, runs, draws, params, step, checkpoint)
    hosts.check_same('the drawn episodes', identity['episodes_hash'])
    training = hosts.value_from_primary(lambda: _training(checkpoint or identity['weights'], unseen))
    counted = count_episodes(
        devices.replicate(params, devices.usable_devices(settings.batch)),
        [draw for run in draws for draw in run],
        source,
        classes,
        runs[0].reader,
        cache or FeatureCache(settings.cache_gib),
        size=config.data.size,
        own_size=protocol.own_size,
        batch=settings.batch,
        dtype=config.encoder.dtype,
        network=(identity['network_hash'], identity['data_fingerprint']),
    )
    confusions = np.split(counted.confusions, len(runs))
    counts = [
        class_counts(
            found,
            np.array([draw.classes for draw in run]),
            len(source.classes),
            absent_false_positives=protocol.absent_false_positives,
        )
        for found, run in zip(confusions, draws, strict=True)
    ]
    return {
        **identity,
        **training,
        'training': hosts.value_from_primary(lambda: training_recipe(checkpoint)),
        'left_out_classes': [source.classes[c - 1] for c in unseen_classes(source, config.data) if c not in classes],
        'empty_supports': int(counted.empty_supports.sum()),
        **scores(np.array(counts), unseen),
        'seconds': round(time.perf_counter() - started, 1),
    }, confusions[0]


def _training(weights, unseen):
    """What a row of results says of how a network was trained; checks that it saw none of the classes.

    Args:
        weights: 'imagenet', 'random', the workdir of its training, or its file.
        unseen: names of the classes it is evaluated on.
    """
    known = history(weights)
    check_unseen(weights, known, unseen)
    return {'trained_on': known.dataset, 'unknown_training': known.unknown}


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
    classes = unseen_classes(source, data)
    if settings.skip_small_classes:
        needed = config.episode.shots + config.episode.queries
        enough = [c for c in classes if drawable[:, c - 1].sum() >= needed]
        classes = enough or classes  # none at all is an error that Episodes words
    void_is_background = PROTOCOLS[settings.protocol].void_is_background
    make = functools.partial(
        Episodes,
        source,
        classes,
        **config.episode,
        size=data.size,
        drawable=drawable,
        split=split,
        reader=SupportReader(settings.annotation, void_is_background, data.annotation_seed),
    )
    try:
        return [make(seed=settings.seed + run) for run in range(settings.runs)]
    except TooFewImages as error:
        if settings.skip_small_classes:
            raise InputError(f'no class is large enough: {error}') from error
        raise InputError(f'{error} --config.evaluation.skip_small_classes=True leaves such classes out.') from error


def evaluation_draws(config, runs):
    """The Draws of each run, by config.evaluation.draw: a list of lists."""
    number = config.evaluation.episodes
    if config.evaluation.draw == 'panet2019':
        images, _ = authors_images(runs[0].source, runs[0].images, only_these=config.data.smallest_object > 1)
        return [authors_draws(images, **config.episode, seed=run.seed, episodes=number) for run in runs]
    return [[run.draw(index) for index in range(number)] for run in runs]


def check_checkpoint(config):
    """Checks that another workdir named by config.checkpoint is one, before hours of training."""
    wanted = str(config.checkpoint)
    if wanted not in ('', 'latest') and not wanted.isdigit():
        read_config(wanted)


def load_params(config, workdir):
    """The parameters to evaluate, by config.checkpoint.

    Returns:
        (parameters, step, 0 if untrained, and what to call the checkpoint in the results).
    """
    if config.checkpoint == '':
        hosts.value_from_primary(lambda: check_untrained(workdir, config))
        encoder = config.encoder
        return hosts.primary_first(lambda: initial_params(encoder.weights, encoder.width, config.seed)), 0, ''
    home, step, width = hosts.value_from_primary(lambda: _checkpoint(config, workdir))

    return hosts.from_primary(lambda: read_network(home, step, width), encoder_shapes(width)), step, home


def _checkpoint(config, workdir):
    """Folder, step and width of config.checkpoint."""
    home, step = find_checkpoint(config, workdir)
    return str(absolute(home)), step, read_config(home)['encoder']['width']


def find_checkpoint(config, workdir):
    """Where config.checkpoint is: (workdir of its training, step); an InputError if there is none."""
    wanted = str(config.checkpoint)
    home = (
        workdir_path(workdir) if wanted == 'latest' or wanted.isdigit() else workdir_path(wanted, '--config.checkpoint')
    )
    if not home.is_dir():
        raise InputError(
            f'there is no workdir {home} to evaluate; train first, or type --config.checkpoint= with latest, a step, '
            "another workdir, or '' for the untrained network."
        )
    check_split(home, config)
    steps = network_steps(home)
    if not steps:
        raise InputError(
            f"{home} has no checkpoint; train first, or use --config.checkpoint='' for the untrained network."
        )
    return home, int(wanted) if wanted.isdigit() else steps[-1]


def scores(counts, unseen):
    """Means and population standard deviations over runs of IoUs that are fractions in [0, 1].

    Args:
        counts: [R, 3, 1 + classes] int64.
        unseen: {class name: column}.

    Returns:
        A dictionary as in results.json; a class that no query showed is None and left out of means.
    """
    class_iou = np.array([iou(run) for run in counts])[:, list(unseen.values())]  # [R, classes]
    mean_iou = [_mean(run) for run in class_iou]
    binary = np.array([binary_iou(run) for run in counts])  # [R, 2]
    return {
        'class_iou': {name: _none_if_nan(_mean(column)) for name, column in zip(unseen, class_iou.T, strict=True)},
        'class_iou_std': {name: _none_if_nan(_std(column)) for name, column in zip(unseen, class_iou.T, strict=True)},
        'mean_iou': _none_if_nan(float(np.mean(mean_iou))),
        'mean_iou_std': _none_if_nan(float(np.std(mean_iou))),
        'binary_iou': _none_if_nan(float(binary.mean())),
        'binary_iou_std': _none_if_nan(float(binary.mean(1).std())),
        'background_iou': _none_if_nan(float(binary[:, 0].mean())),
        'foreground_iou': _none_if_nan(float(binary[:, 1].mean())),
        'mean_iou_by_run': [_none_if_nan(value) for value in mean_iou],
        'binary_iou_by_run': [_none_if_nan(float(value)) for value in binary.mean(1)],
    }


def _mean(values):
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')


def _std(values):
    known = values[~np.isnan(values)]
    return float(known.std()) if known.size else float('nan')


def _none_if_nan(value):
    return None if np.isnan(value) else value


def save_pictures(config, path, params, episodes, draws, confusions):
    """Draws some episodes of a run with their predictions.

    Args:
        config: the experiment.
        path: of the PNG.
        params: encoder parameters.
        episodes, draws, confusions: of the run; the last are [E, Q, 1 + N, 1 + N].

    Returns:
        The path.
    """
    rows = []
    for index in pictured_episodes(confusions, config.evaluation.pictures, config.evaluation.pictured, episodes.seed):
        draw = draws[index]
        episode = episodes.assemble(draw)
        logits = upsample(grid_logits(params, episode, dtype=config.encoder.dtype), episode.query_labels.shape[-2:])
        names = [episodes.source.classes[c - 1] for c in draw.classes]
        caption = f'episode {index}'
        rows.append(Row(caption, names, episode, np.asarray(jax.nn.softmax(logits[0])), confusions[index, 0]))
    save_sheet(path, rows, config.evaluation.annotation)
    return path
