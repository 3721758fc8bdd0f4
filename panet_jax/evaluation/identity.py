"""What was evaluated on what: two evaluations of one identity have the same scores."""

import hashlib
import json
import re

import jax
import numpy as np

from panet_jax.episodes.sampling import unseen_classes
from panet_jax.evaluation.protocols import test_list
from panet_jax.method.vgg16 import encoder_width
from panet_jax.networks.trained import UNTRAINED, origin

SCORING_VERSION = 1  # another number if the same network gets other scores on the same episodes


def evaluation_identity(config, runs, draws, params, step, checkpoint):
    """What is evaluated on what: two evaluations of which all this is equal give the same scores."""
    data, settings, source = config.data, config.evaluation, runs[0].source
    return {
        'scoring_version': SCORING_VERSION,
        'dataset': data.name,
        'split': test_list(config),
        'fold': data.fold,
        'fold_rule': data.fold_rule,
        'fold_seed': data.fold_seed,
        'unseen': list(data.unseen),
        'data_fingerprint': source.fingerprint,
        'images': len(source),
        'skipped_images': len(source.skipped),
        'smallest_object': data.smallest_object,
        **config.episode.to_dict(),
        'annotation': settings.annotation,
        'annotation_seed': data.annotation_seed,
        'size': data.size,
        'runs': settings.runs,
        'episodes': settings.episodes,
        'seeds': [episodes.seed for episodes in runs],
        'draw': settings.draw,
        'authors_order': authors_order(config, runs[0]),
        'episodes_hash': episodes_hash(source, draws),
        'protocol': settings.protocol,
        'weights': origin(config, params, checkpoint),
        'width': encoder_width(params),
        'dtype': config.encoder.dtype,
        'seed': config.seed,
        'checkpoint': checkpoint,
        'checkpoint_step': step,
        'network_hash': network_hash(params),
    }


def authors_order(config, episodes):
    """Whether the episodes of a run are the very ones of the authors' code: from their classes' whole lists."""
    source = episodes.source
    return (
        config.evaluation.draw == 'panet2019'
        and config.data.smallest_object <= 1
        and sorted(episodes.images) == unseen_classes(source, config.data)
        and all(c in source.class_lists and c not in source.shortened for c in episodes.images)
    )


def network_name(row):
    """What the network of one row of results is called: by its step, as given, or as untrained."""
    if row['checkpoint_step']:
        return f'step {row["checkpoint_step"]}'
    weights = row['weights']
    return 'untrained' if weights in UNTRAINED else f'given: {weights.rstrip("/").rpartition("/")[2]}'


def picture_name(row):
    """The file name of the pictures of one row of results."""
    return f'{file_name(network_name(row))}-{setting_name(row)}.png'


def file_name(text):
    """A name for people as a file's: of 'given: 30000.pth', 'given-30000.pth'."""
    return re.sub(r'[^\w.=+]+', '-', text)


def setting_name(row):
    """What one row of results was measured on, for the name of a file."""
    draw = '-authors-draw' if row['draw'] == 'panet2019' else ''
    return f'{row["ways"]}way-{row["shots"]}shot-{row["annotation"]}-protocol-{row["protocol"]}{draw}'


def episodes_hash(source, draws):
    """Twelve hexadecimal digits that differ if an episode does: its classes, supports or queries, by name."""
    digest = hashlib.sha256()
    for draw in (draw for run in draws for draw in run):
        images = [[source.name(i) for i in group.flat] for group in (draw.supports, draw.queries)]
        digest.update(json.dumps([[source.classes[c - 1] for c in draw.classes], *images]).encode())
    return digest.hexdigest()[:12]


def network_hash(params):
    """Twelve hexadecimal digits that differ if a parameter does."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(params):
        digest.update(jax.tree_util.keystr(path).encode() + np.asarray(leaf).tobytes())
    return digest.hexdigest()[:12]
