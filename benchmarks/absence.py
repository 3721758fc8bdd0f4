"""How well one sees that a class is not in an image: what `Segmentation.absent` is, beside other measures.

    python benchmarks/absence.py --root=FOLDER [--dataset custom] [--list all] [--shots 1] [--draws 2] [--size 417]
        [--weights imagenet]

FOLDER is one as `panet-jax data check` reads it: images/ with masks/, or a json in COCO's format; with
--dataset=pascal5i or coco20i that benchmark's own layout.

Each class that covers 1 % of enough images is shown on `--shots` of them, drawn `--draws` times, with
dense masks; all other images of the list are scored. The area under the ROC curve (AUC) is the chance
that an image with the class scores higher than one without it: 0.5 is guessing, 1 without fault. The
mean over the classes is printed, and its standard error over them; then what a threshold on `absent`
keeps of images with the class, and leaves out of those without.
"""

import argparse
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import mannwhitneyu
from tqdm import tqdm

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.option_parser import OptionParser, whole_number
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepared import Prepared
from panet_jax.images.resize import resize
from panet_jax.segmenter.segmentation import absence

LEAST_SHARE = 0.01  # of an image, that a class covers on those it is shown on
TAKEN = 'what was found beside what was shown (taken)'
LISTS = {'custom': 'all', 'pascal5i': 'trainval', 'coco20i': 'instances'}  # what --list is by default
OPTIONS = {'data.root': '--root', 'data.train_split': '--list', 'data.test_split': '--list'}
THRESHOLDS = 0.45, 0.5, 0.55, 0.6, 0.65


def measures(features, prototypes):
    """Confidences that the class is there: {measure: score}, of [h, w, C] features and [2, C] prototypes."""
    logits = pj.cosine_logits(features, prototypes)
    probabilities = jax.nn.softmax(logits, axis=-1)[..., 1].ravel()
    cosines = logits[..., 1].ravel()
    best = jnp.sort(probabilities)[-probabilities.size // 100 :]
    return {
        'largest probability': (logits[..., 1] - logits[..., 0]).max(),
        'mean of the largest 1 % of probabilities': best.mean(),
        'mean probability': probabilities.mean(),
        'largest cosine': cosines.max(),
        'largest product of probability and cosine': (probabilities * cosines).max(),
        TAKEN: 1 - absence(features, logits, prototypes)[0],
    }


def parse():
    parser = OptionParser(prog='absence.py', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--root', required=True, help='the folder of images and masks')
    parser.add_argument('--dataset', default='custom', choices=tuple(LISTS), help='its layout (%(default)s)')
    parser.add_argument('--list', help=f'of images ({", ".join(f"{name}: {of}" for name, of in LISTS.items())})')
    parser.add_argument('--weights', default='imagenet')
    for name, default, least in (('shots', 1, 1), ('draws', 2, 1), ('size', 417, 8)):
        parser.add_argument(f'--{name}', type=whole_number(least), default=default)
    arguments = parser.parse_args()
    arguments.list = arguments.list or LISTS[arguments.dataset]
    return arguments


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
    return jax.lax.map(lambda one: measures(one.astype(jnp.float32), prototypes), features)


def main():
    """Prints the table; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('absence.py', OPTIONS)):
        measure(parse())


def measure(arguments):
    """Shows each class, scores all other images, and prints how well the measures tell those with it."""
    params = pj.load_encoder_params(arguments.weights)
    with tempfile.TemporaryDirectory() as folder:
        source = Prepared(prepare_list(arguments.dataset, arguments.list, arguments.root, folder))
        features, labels = encode_all(source, params, arguments)
    shares = np.stack([(labels == number).mean((1, 2)) for number in range(1, 1 + len(source.classes))], 1)
    rng, aucs, kept = np.random.default_rng(0), {}, []
    for column in tqdm(range(len(source.classes)), 'scoring', disable=None):
        large, there = np.flatnonzero(shares[:, column] > LEAST_SHARE), shares[:, column] > 0
        if len(large) < arguments.shots or there.sum() <= arguments.shots or there.all():
            continue
        for _ in range(arguments.draws):
            shown = rng.choice(large, arguments.shots, replace=False)
            prototypes = prototypes_of(features[shown], (labels[shown] == column + 1).astype(np.float32))
            others = np.setdiff1d(np.arange(len(source)), shown)
            for name, scores in scores_of(features, prototypes).items():
                of_others = np.asarray(scores)[others]
                with_it, without = (of_others[there[others] == present] for present in (True, False))
                auc = mannwhitneyu(with_it, without).statistic / (len(with_it) * len(without))
                aucs.setdefault(name, {}).setdefault(column, []).append(auc)
                if name == TAKEN:
                    kept.append([[(1 - some <= most).mean() for some in (with_it, without)] for most in THRESHOLDS])
    if not aucs:
        raise pj.InputError(
            f'no class can be scored: wanted one that covers {LEAST_SHARE:.0%} of {arguments.shots} image(s), is on more than '
            'those, and is missing on some; add images, or choose fewer --shots.'
        )
    print(f'{len(source)} images, {len(next(iter(aucs.values())))} classes, {arguments.shots}-shot')
    for name, of_class in aucs.items():
        means = [np.mean(some) for some in of_class.values()]
        print(f'{name:48} AUC {np.mean(means):.3f} +- {np.std(means) / np.sqrt(len(means)):.3f}')
    for most, (with_it, without) in zip(THRESHOLDS, np.mean(kept, 0), strict=True):
        print(
            f'absent above {most} left out: {with_it:.0%} of images with the class kept, {1 - without:.0%} of others gone'
        )


if __name__ == '__main__':
    main()
