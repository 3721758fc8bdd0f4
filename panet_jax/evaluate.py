"""Evaluation on the unseen classes of a fold: runs x episodes, IoU from summed counts."""

import functools
import time
from pathlib import Path

import jax
import numpy as np

from panet_jax import devices
from panet_jax.checkpoints import Checkpoints
from panet_jax.counting import count_episodes
from panet_jax.datasets import open_source
from panet_jax.encoder import encoder_width
from panet_jax.episode import prepare
from panet_jax.errors import InputError
from panet_jax.metrics import PROTOCOLS, binary_iou, class_counts, confusion_matrix, iou
from panet_jax.panet import episode_logits
from panet_jax.pictures import save_sheet
from panet_jax.report import save_results
from panet_jax.sampling import Episodes, drawable_images, unseen_classes
from panet_jax.weights import initial_params
from panet_jax.workdir import check_split, check_unseen, check_untrained, read_config


def episode_prediction(params, episode, *, dtype):
    """The class of every query pixel: compact Episode -> [Q, H, W] int32 in 0..N."""
    return episode_logits(params, prepare(episode), dtype=dtype).argmax(-1)


def episode_confusions(params, episode, *, dtype):
    """Confusion matrix of each query of one compact episode: [Q, 1+N, 1+N] int32, rows the truth.

    The plain form of what `count_episodes` counts with one pass over the images.
    """
    predictions = episode_prediction(params, episode, dtype=dtype)
    count = functools.partial(confusion_matrix, num_labels=1 + episode.support_images.shape[0])
    return jax.vmap(count)(predictions, episode.query_labels.astype(predictions.dtype))


def evaluate(config, workdir):
    """Evaluates config.checkpoint and writes results.json, results.jsonl and a sheet of pictures.

    Returns:
        The results, a dictionary as in results.json.
    """
    started = time.perf_counter()
    settings = config.evaluation
    runs = evaluation_runs(config)
    source = runs[0].source
    params, step, checkpoint = load_params(config, workdir)
    if checkpoint and read_config(checkpoint)['data']['name'] == config.data.name:
        check_unseen(checkpoint, [source.classes[c - 1] for c in runs[0].classes])
    used = devices.usable_devices(settings.batch)
    params = devices.replicate(params, used)
    seeds = [episodes.seed for episodes in runs]
    draws = [episodes.draw(index) for episodes in runs for index in range(settings.episodes)]
    classes = runs[0].classes.tolist()
    confusions = count_episodes(
        params,
        draws,
        source,
        classes,
        size=config.data.size,
        batch=settings.batch,
        dtype=config.encoder.dtype,
        cache_gib=settings.cache_gib,
    )
    ways = np.array([draw.classes for draw in draws])
    counts = [
        class_counts(confusions[run], ways[run], len(source.classes), PROTOCOLS[settings.protocol])
        for run in np.split(np.arange(len(draws)), settings.runs)
    ]
    results = {
        'dataset': config.data.name,
        'split': config.data.test_split,
        'fold': config.data.fold,
        'fold_rule': config.data.fold_rule,
        'fold_seed': config.data.fold_seed,
        'unseen': list(config.data.unseen),
        'images': len(source),
        'skipped_images': len(source.skipped),
        'smallest_object': config.data.smallest_object,
        **config.episode.to_dict(),
        'size': config.data.size,
        'runs': settings.runs,
        'episodes': settings.episodes,
        'seeds': seeds,
        'protocol': settings.protocol,
        'weights': config.encoder.weights,
        'width': encoder_width(params),
        'seed': config.seed,
        'checkpoint': checkpoint,
        'checkpoint_step': step,
        **scores(np.array(counts), {source.classes[c - 1]: c for c in classes}),
        'seconds': round(time.perf_counter() - started, 1),
    }
    save_results(workdir, results)  # before the pictures: what took hours is safe first
    if settings.pictures:
        name = f'step-{step}' if step else 'untrained'
        save_pictures(config, Path(workdir) / 'pictures' / f'{name}.png', params, runs[0])
    return results


def evaluation_runs(config):
    """The episodes of each run, on the unseen classes; opening them finds what is wrong with the data.

    Returns:
        List of Episodes, which differ in their seeds.
    """
    data, settings = config.data, config.evaluation
    source = open_source(data, data.test_split)
    return [
        Episodes(
            source,
            unseen_classes(source, data),
            **config.episode,
            seed=settings.seed + run,
            size=data.size,
            drawable=drawable_images(source, smallest_object=data.smallest_object),
            split=data.test_split,
        )
        for run in range(settings.runs)
    ]


def check_checkpoint(config):
    """Checks that another workdir named by config.checkpoint is one, before hours of training."""
    wanted = str(config.checkpoint)
    if wanted not in ('', 'latest') and not wanted.isdigit():
        read_config(Path(wanted).expanduser())


def load_params(config, workdir):
    """The parameters to evaluate, by config.checkpoint.

    Returns:
        (parameters, step, 0 if untrained, and what to call the checkpoint in the results).
    """
    if config.checkpoint == '':
        check_untrained(workdir, config)
        return initial_params(config.encoder.weights, config.encoder.width, config.seed), 0, ''
    wanted = str(config.checkpoint)
    home = Path(workdir) if wanted == 'latest' or wanted.isdigit() else Path(wanted).expanduser()
    if not home.is_dir():
        raise InputError(
            f'there is no workdir {home} to evaluate; train first, or type --config.checkpoint= with latest, a step, '
            "another workdir, or '' for the untrained network."
        )
    check_split(home, config)
    with Checkpoints(home) as checkpoints:
        if not checkpoints.steps():
            raise InputError(
                f"{home} has no checkpoint; train first, or use --config.checkpoint='' for the untrained network."
            )
        step = int(wanted) if wanted.isdigit() else checkpoints.steps()[-1]
        return checkpoints.restore_params(step, read_config(home)['encoder']['width']), step, str(home.resolve())


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
        'mean_iou': _none_if_nan(float(np.mean(mean_iou))),
        'mean_iou_std': _none_if_nan(float(np.std(mean_iou))),
        'binary_iou': float(binary.mean()),
        'binary_iou_std': float(binary.mean(1).std()),
        'background_iou': float(binary[:, 0].mean()),
        'foreground_iou': float(binary[:, 1].mean()),
        'mean_iou_by_run': [_none_if_nan(value) for value in mean_iou],
        'binary_iou_by_run': [float(value) for value in binary.mean(1)],
    }


def _mean(values):
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else float('nan')


def _none_if_nan(value):
    return None if np.isnan(value) else value


def save_pictures(config, path, params, episodes):
    """Draws the first few episodes of a run with their predictions."""
    predict = jax.jit(functools.partial(episode_prediction, dtype=config.encoder.dtype))
    rows = []
    for index in range(min(config.evaluation.pictures, config.evaluation.episodes)):
        draw = episodes.draw(index)
        episode = episodes.assemble(draw)
        names = [episodes.source.classes[c - 1] for c in draw.classes]
        rows.append((names, episode, np.asarray(predict(params, episode))))
    save_sheet(path, rows)
