"""How well the absence of a class is recognized: by `Segmentation.absent`, and by other measures.

    python benchmarks/absence.py --root=FOLDER [--dataset custom] [--list all] [--shots 1] [--draws 2] [--size 417]
        [--weights imagenet]

FOLDER has images/ with masks/, or a json in COCO's format, as for `panet-jax data check`; with --dataset=pascal5i or coco20i
it has the layout of that benchmark.

For each class that covers 1 % of enough images, `--shots` of these are drawn `--draws` times as supports, with dense masks,
and all other images of the list are scored. The area under the ROC curve (AUC) is the probability that an image with the
class scores higher than one without it: 0.5 for random scores, 1 for a perfect ranking. Prints the mean over the classes
with its standard error; then, for thresholds on `absent`, the fractions of images with the class that are kept and of images
without it that are left out.
"""

import sys
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from photo_folder import OPTIONS, folder_parser, parse_folder
from scipy.stats import mannwhitneyu
from tqdm import tqdm

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.images.resize import resize
from panet_jax.segmenter.segmentation import absence

LEAST_SHARE = 0.01  # share of a support image that the class covers
ABSENT = 'Segmentation.absent'  # the measure that the Segmenter uses
THRESHOLDS = 0.45, 0.5, 0.55, 0.6, 0.65


def measures(features, prototypes):
    """Scores of the presence of a class, {measure: score}, from [h, w, C] features and [2, C] prototypes."""
    logits = pj.cosine_logits(features, prototypes)
    probabilities = jax.nn.softmax(logits, axis=-1)[..., 1].ravel()
    cosines = logits[..., 1].ravel()
    largest = jnp.sort(probabilities)[-probabilities.size // 100 :]
    return {
        'largest probability': (logits[..., 1] - logits[..., 0]).max(),
        'mean of the largest 1 % of probabilities': largest.mean(),
        'mean probability': probabilities.mean(),
        'largest cosine': cosines.max(),
        'largest product of probability and cosine': (probabilities * cosines).max(),
        ABSENT: 1 - absence(features, logits, prototypes)[0],
    }


def parse(words):
    return parse_folder(folder_parser('absence.py', __doc__, shots=(1, 1), draws=(2, 1)), words)


def encode_all(source, params, arguments):
    """Features [images, h, w, C] float16 and labels [images, size, size]."""
    encode = jax.jit(lambda image: pj.encode(params, pj.normalize(image)).astype(jnp.float16))
    samples = (resize(source[index], arguments.size) for index in tqdm(range(len(source)), 'encoding', disable=None))
    features, labels = zip(*((encode(sample.image), sample.label) for sample in samples), strict=True)
    return jnp.stack(features), np.stack(labels)


@jax.jit
def prototypes_of(features, masks):
    return pj.class_prototypes(features[None].astype(jnp.float32), masks[None], 1 - masks[None])


@jax.jit
def scores_of(features, prototypes):
    return jax.lax.map(lambda image: measures(image.astype(jnp.float32), prototypes), features)


def main(words):
    """Prints the table. A mistake of the user is one sentence, with exit status 2."""
    with exiting(FrontEnd('absence.py', OPTIONS)):
        measure(parse(words))


def measure(arguments):
    """Draws supports of each class, scores all other images, and prints how well the measures separate them."""
    params = pj.load_encoder_params(arguments.weights)
    with tempfile.TemporaryDirectory() as folder:
        source = Prepared(prepare_list(arguments.dataset, arguments.list, arguments.root, folder))
        features, labels = encode_all(source, params, arguments)
    shares = np.stack([(labels == number).mean((1, 2)) for number in range(1, 1 + len(source.classes))], 1)
    rng, aucs, kept = np.random.default_rng(0), {}, []
    for column in tqdm(range(len(source.classes)), 'scoring', disable=None):
        large, present = np.flatnonzero(shares[:, column] > LEAST_SHARE), shares[:, column] > 0
        if len(large) < arguments.shots or present.sum() <= arguments.shots or present.all():
            continue
        for _ in range(arguments.draws):
            supports = rng.choice(large, arguments.shots, replace=False)
            prototypes = prototypes_of(features[supports], (labels[supports] == column + 1).astype(np.float32))
            others = np.setdiff1d(np.arange(len(source)), supports)
            for name, scores in scores_of(features, prototypes).items():
                of_others = np.asarray(scores)[others]
                positive, negative = (of_others[present[others] == value] for value in (True, False))
                auc = mannwhitneyu(positive, negative).statistic / (len(positive) * len(negative))
                aucs.setdefault(name, {}).setdefault(column, []).append(auc)
                if name == ABSENT:
                    groups = positive, negative
                    kept.append([[(1 - group <= most).mean() for group in groups] for most in THRESHOLDS])
    if not aucs:
        raise pj.InputError(
            f'no class can be scored: wanted one that covers {LEAST_SHARE:.0%} of {arguments.shots} image(s), is in further '
            'images, and is missing in others; add images, or choose fewer --shots.'
        )
    print(f'{len(source)} images, {len(next(iter(aucs.values())))} classes, {arguments.shots}-shot')
    for name, of_class in aucs.items():
        means = [np.mean(values) for values in of_class.values()]
        print(f'{name:48} AUC {np.mean(means):.3f} +- {np.std(means) / np.sqrt(len(means)):.3f}')
    for most, (positive, negative) in zip(THRESHOLDS, np.mean(kept, 0), strict=True):
        print(
            f'absent above {most} left out: {positive:.0%} of images with the class kept, {1 - negative:.0%} of others gone'
        )


if __name__ == '__main__':
    main(sys.argv[1:])
