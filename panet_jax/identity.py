"""What was evaluated on what: two evaluations of one identity have the same scores."""

import hashlib
import json

import jax
import numpy as np

from panet_jax.encoder import encoder_width
from panet_jax.protocols import test_list

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
        'authors_order': settings.draw == 'panet2019' and all(c in source.class_lists for c in runs[0].images),
        'episodes_hash': episodes_hash(source, draws),
        'protocol': settings.protocol,
        'weights': config.encoder.weights,
        'width': encoder_width(params),
        'dtype': config.encoder.dtype,
        'seed': config.seed,
        'checkpoint': checkpoint,
        'checkpoint_step': step,
        'network_hash': network_hash(params),
    }


def picture_name(row):
    """The file name of the pictures of one row of results."""
    network = f'step-{row["checkpoint_step"]}' if row['checkpoint_step'] else 'untrained'
    return f'{network}-{setting_name(row)}.png'


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
