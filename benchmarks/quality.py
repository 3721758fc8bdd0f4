"""How good masks are, and whether absent classes are found: the tables by which the head and the decision are judged.

    python benchmarks/quality.py --root=FOLDER [--dataset custom] [--list all] [--classes all|tune|report]
        [--annotations dense box points click scribble] [--shots 1 3] [--draws 3] [--folder-draws 3] [--together 8]
        [--size 417] [--weights imagenet] [--features FILE.npy]

FOLDER is one as `panet-jax data check` reads it: images/ with masks/, or a json in COCO's format; with
--dataset=pascal5i or coco20i it has the layout of that benchmark. Constants are chosen
with --classes=tune, one half of the classes, and reported with --classes=report, the other. With --features the features
are kept in a file and read from it the next time.

The first table is the easy case. Each class is searched alone, on up to five photographs that it covers 5 % of, with
references that it covers 3 % of, at the network's size: the mean over the classes of IoU, the share of masks above 0.5,
the boundary F-score, and the milliseconds a query without the encoder's. `points` are three clicks on the largest object
and three on the background, `click` is one on the object alone. `panet` is the paper's head, `adapted` has prototypes adapted
to the query, `edges` also follows the edges of the image, and `understood` takes points and boxes as the region that they
stand for: the Segmenter's defaults are the last row. Below it stands how well `expected_iou` sorts the masks of these rows: its
rank correlation with IoU, the probability that a mask above 0.5 ranks before one below (AUC), and the mean IoU of the better
and the worse half.

The second is a folder in which most photographs do not show what is sought: --together classes at once, three references
each, all other photographs. IoU is over the pixels of the folder, and its mean over the classes; precision and recall are
of the pairs of a photograph and a class. `all` takes every class to be in every photograph, `presence` decides, `known`
is told; medians over the draws. A photograph is decided alone, as the Segmenter does. Below it stands what the probabilities are worth, and the SLOPE and OFFSET of
presence.py that would suit these pairs best: those there came from --classes=tune.
"""

import functools
import itertools
import sys
import tempfile
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from annotators import points
from photo_folder import OPTIONS, SHOWN, add_class_options, folder_parser, half, parse_folder, read
from scipy import ndimage, optimize, special, stats

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd, exiting
from panet_jax.commands.option_parser import whole_number
from panet_jax.episodes.annotations import KINDS, SupportReader
from panet_jax.images.resize import resize_map
from panet_jax.method.adapt import adaptation_of, adapted_logits
from panet_jax.method.edges import edge_logits
from panet_jax.method.episode import IGNORE
from panet_jax.method.expected_iou import expected_iou
from panet_jax.method.presence import OFFSET, SLOPE, find, presence, statistics_of, views_of_references
from panet_jax.method.prototypes import Pooled, cosine_logits, pool, transposed_upsample, upsample
from panet_jax.segmenter.reference_set import background
from panet_jax.segmenter.references import Marks, read_marks
from panet_jax.segmenter.understanding import KINDS as UNDERSTOOD
from panet_jax.segmenter.understanding import understood

SOUGHT = 0.05  # share of the photograph that a class covers on queries
MOST_QUERIES = 5
FOLDER_SHOTS = 3
TOLERANCE = 0.008  # of the diagonal, by which a boundary may be off: DAVIS's
COVERED = 0.02  # of a position, from which it is taken for a part of the object
BINS = 0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.01
CLICKS = {'click': (1, 0), 'points': (3, 3)}  # on the object and on the background
HEADS = 'panet', 'adapted', 'edges'


class Shown(NamedTuple):
    """References of N classes: what the images give, I of them.

    Attributes:
        images: indices.
        foreground, background: Pooled, [I, N, C] and [I, C] with their counts.
        covered: [I, h, w], of each position the part that is annotated.
    """

    images: list[int]
    foreground: Pooled
    background: Pooled
    covered: np.ndarray

    def prototypes(self):
        """[1 + N, C] float32, background first."""
        taken = self.foreground.count > 0
        of_classes = (self.foreground.mean() * taken[..., None]).sum(0) / taken.sum(0)[:, None]
        return np.concatenate([self.background.mean().mean(0)[None], of_classes]).astype(np.float32)


def parse(words):
    numbers = {'draws': (3, 1), 'folder_draws': (3, 0), 'together': (8, 1)}
    parser = folder_parser('quality.py', __doc__, **numbers)
    add_class_options(parser)
    parser.add_argument('--shots', nargs='*', type=whole_number(1), default=[1, 3])
    parser.add_argument(
        '--annotations', nargs='*', default=['dense', 'box', 'points', 'click'], choices=(*KINDS, *CLICKS)
    )
    parser.add_argument('--names', nargs='*', help='of the classes of the second table, in place of drawn ones')
    return parse_folder(parser, words)


def main(words):
    """Prints both tables; a user's mistake is one sentence, and exit status 2."""
    with exiting(FrontEnd('quality.py', OPTIONS)):
        arguments = parse(words)
        with tempfile.TemporaryDirectory() as folder:
            photographs = read(arguments, folder)
            classes = half(photographs.shares, arguments.classes)
            if arguments.annotations:
                easy_case(photographs, classes, arguments)
            if arguments.folder_draws:
                whole_folder(photographs, classes, arguments)


def show(photographs, drawn, kind, understand=False):
    """Shown of {column of a class: indices of its references}."""
    images = sorted({index for some in drawn.values() for index in some})
    foreground, outside, covered = [], [], []
    for index in images:
        features = np.asarray(photographs.features[index], np.float32)
        marks = {c: read_annotation(photographs, index, c, kind) for c, some in drawn.items() if index in some}
        if understand:
            marks = {column: understood(features, one) for column, one in marks.items()}
        own = {column: one.foreground.astype(np.float32) for column, one in marks.items()}
        pools = {column: _pool(features, mask) for column, mask in own.items()}
        none = Pooled(np.zeros(features.shape[-1], np.float32), np.float32(0))
        foreground.append(_stacked([pools.get(column, none) for column in drawn]))
        outside.append(_pool(features, background(list(marks.values())).astype(np.float32)))
        union = np.max(list(own.values()), 0)
        parts, whole = (
            np.asarray(transposed_upsample(mask, features.shape[:2])) for mask in (union, np.ones_like(union))
        )
        covered.append(np.where(parts > COVERED * whole, parts / whole, 0))
    return Shown(images, _stacked(foreground), _stacked(outside), np.stack(covered))


def read_annotation(photographs, index, column, kind) -> Marks:
    """Marks of one class on one photograph, of the kind that --annotations names."""
    label, source = photographs.labels[index], photographs.source
    if kind in CLICKS:
        instances = resize_map(source.instances(index), label.shape[0])
        clicked = points(label, instances, column + 1, CLICKS[kind], (index, column))
        return read_marks(clicked, label.shape, label.shape[0], 'the clicks')
    masks = SupportReader(kind).classes(source, index, label, [column + 1])
    name = 'mask' if kind == 'dense' else kind
    return Marks(*(np.asarray(mask[0]) for mask in masks), drawn=kind == 'scribble', kind=name)


@jax.jit
def _pool(features, mask):
    return pool(features, mask)


def _stacked(pools):
    return Pooled(*(np.stack([np.asarray(each) for each in part]) for part in zip(*pools, strict=True)))


@functools.cache
def segment_by(head, shots, size):
    """A function (photographs, index, prototypes) -> labels [S, S] of one head, for so many references of a class."""
    adaptation = adaptation_of('panet' if head == 'panet' else 'adapted', shots)

    @jax.jit
    def segment(features, image, prototypes):
        logits = adapted_logits(features.astype(jnp.float32), prototypes, adaptation)
        logits = edge_logits(logits, image) if head == 'edges' else logits
        return upsample(logits, (size, size)).argmax(-1)

    return lambda photographs, index, prototypes: np.asarray(
        segment(photographs.features[index], photographs.images[index], prototypes)
    )


@functools.partial(jax.jit, static_argnames='adaptation')
def _expected(features, prototypes, adaptation):
    features = features.astype(jnp.float32)
    return expected_iou(cosine_logits(features, prototypes), adapted_logits(features, prototypes, adaptation))


def easy_case(photographs, classes, arguments):
    """Prints the first table."""
    print(f'\n{"the class is there":24} {"head":20} {"IoU":>6} {"> 0.5":>6} {"edge F":>6} {"ms":>6} classes, queries')
    pairs = []
    for kind, shots in itertools.product(arguments.annotations, arguments.shots):
        rows = [(head, False) for head in HEADS]
        if kind in (*UNDERSTOOD, *CLICKS):
            rows += [(head, True) for head in HEADS[1:]]
        for head, understand in rows:
            segment = segment_by(head, shots, arguments.size)
            scores = {}
            for column, drawn, queries in episodes(photographs, classes, shots, arguments.draws):
                prototypes = show(photographs, {column: drawn}, kind, understand).prototypes()
                found = [score_query(photographs, index, prototypes, column, segment) for index in queries]
                scores.setdefault(column, []).extend(found)
                if (head, understand) == rows[-1]:
                    expected = (
                        _expected(photographs.features[i], prototypes, adaptation_of('adapted', shots))[0]
                        for i in queries
                    )
                    pairs.extend((one, of_query[0]) for one, of_query in zip(expected, found, strict=True))
            print_row(kind, shots, head + ', understood' * understand, scores)
    print_sorting(*np.array(pairs).T)


def score_query(photographs, index, prototypes, column, segment):
    """Scores of the mask of one query, as `mask_scores`, and the milliseconds."""
    label = photographs.labels[index]
    segment(photographs, index, prototypes)  # compiled, and in the cache, as the next
    start = time.perf_counter()
    found = segment(photographs, index, prototypes) == 1
    taken = 1000 * (time.perf_counter() - start)
    return *mask_scores(found, label == column + 1, label != IGNORE), taken


def print_row(kind, shots, way, scores):
    """Prints the mean over the classes, {column: scores of its queries}."""
    if not scores:
        raise pj.InputError(f'no class covers {SHOWN:.0%} of {shots} photograph(s) and {SOUGHT:.0%} of more.')
    means = np.mean([np.mean(some, 0) for some in scores.values()], 0)
    numbers = ' '.join(f'{value:6.3f}' for value in means[:3])
    count = sum(map(len, scores.values()))
    annotation = f'{kind}, {shots} reference(s)'
    print(f'{annotation:24} {way:20} {numbers} {means[3]:6.1f} {len(scores)}, {count}', flush=True)


def print_sorting(expected, ious):
    """Prints how well the expected IoU sorts masks."""
    better, worse = np.array_split(ious[np.argsort(-expected, kind='stable')], 2)
    good = ious > 0.5
    wins = (expected[good][:, None] > expected[~good]).mean() if good.any() and not good.all() else np.nan
    print(
        f'expected IoU of {len(ious)} masks: {expected.mean():.2f}, true {ious.mean():.2f}; rank correlation '
        f'{stats.spearmanr(expected, ious).statistic:.2f}, AUC {wins:.2f}; IoU of the better half {better.mean():.2f}, of the '
        f'worse {worse.mean():.2f}'
    )


def episodes(photographs, classes, shots, draws):
    """Yields (class, references, queries) of each draw."""
    for column in classes:
        large = np.flatnonzero(photographs.shares[:, column] >= SHOWN)
        for draw in range(draws if len(large) > shots else 0):
            rng = np.random.default_rng([column, draw, shots])
            shown = rng.choice(large, shots, replace=False)
            queries = np.setdiff1d(np.flatnonzero(photographs.shares[:, column] >= SOUGHT), shown)
            queries = rng.choice(queries, min(len(queries), MOST_QUERIES), replace=False)
            if len(queries):
                yield column, shown.tolist(), queries.tolist()


def mask_scores(found, truth, counted):
    """IoU, whether it is above 0.5, and the boundary F-score of one mask."""
    found, truth = found & counted, truth & counted
    iou = (found & truth).sum() / max((found | truth).sum(), 1)
    edges = [mask & ~ndimage.binary_erosion(mask) for mask in (found, truth)]
    if not all(edge.any() for edge in edges):
        return iou, iou > 0.5, 0.0
    far = [ndimage.distance_transform_edt(~edge) for edge in edges]
    reach = TOLERANCE * np.hypot(*found.shape)
    precision, recall = (far[1][edges[0]] <= reach).mean(), (far[0][edges[1]] <= reach).mean()
    return iou, iou > 0.5, 2 * precision * recall / max(precision + recall, 1e-9)


def whole_folder(photographs, classes, arguments):
    """Prints the second table."""
    rows, pairs = {}, []
    for draw in range(arguments.folder_draws):
        shown, columns, prototypes, others, truth = draw_folder(photographs, classes, draw, arguments)
        likely = decide(photographs, shown, prototypes, others)
        pairs.append((likely.ravel(), truth.ravel()))
        decisions = {'all': np.ones_like(truth), 'known': truth}
        decisions |= {f'presence > {share}': likely > share for share in (0.1, 0.15)}
        for (way, taken), head in ((item, head) for item in decisions.items() for head in HEADS):
            rows.setdefault((way, head), []).append(
                folder_scores(
                    photographs,
                    others,
                    columns,
                    prototypes,
                    taken,
                    truth,
                    segment_by(head, FOLDER_SHOTS, arguments.size),
                )
            )
    print(
        f'\n{"a folder of " + str(len(others)):24} {"head":8} {"IoU":>6} {"precis":>6} {"recall":>6} of {truth.mean():.1%} that show it'
    )
    for (way, head), scores in rows.items():
        numbers = ' '.join(f'{value:6.3f}' for value in np.median(scores, 0))
        print(f'{way:24} {head:8} {numbers}', flush=True)
    print_calibration(*(np.concatenate(part) for part in zip(*pairs, strict=True)))


def print_calibration(likely, truth):
    """Prints how many of the pairs show the class, by probability, and the constants that suit them best."""
    for low, high in itertools.pairwise(BINS):
        inside = (likely >= low) & (likely < high)
        if inside.any():
            print(f'probability {likely[inside].mean():.2f}: {truth[inside].mean():.2f} of {inside.sum()} show it')
    odds = (special.logit(np.clip(likely, 1e-9, 1 - 1e-9)) - OFFSET) / SLOPE
    signs = np.where(truth, 1, -1)
    fitted = optimize.minimize(lambda c: np.logaddexp(0, -signs * (c[0] * odds + c[1])).mean(), (SLOPE, OFFSET))
    print(f'SLOPE, OFFSET = {SLOPE}, {OFFSET}; of these pairs {fitted.x[0]:.2f}, {fitted.x[1]:.2f}')


def draw_folder(photographs, classes, draw, arguments):
    """References of some classes, the columns of these, prototypes, all other photographs, and what these show, [M, N]."""
    drawn = folder_references(photographs, classes, draw, arguments)
    shown = show(photographs, drawn, 'dense')
    others = np.setdiff1d(np.arange(len(photographs.labels)), shown.images)
    truth = photographs.shares[np.ix_(others, list(drawn))] > 0
    return shown, list(drawn), shown.prototypes(), others, truth


def folder_references(photographs, classes, draw, arguments):
    """{class: references} of some classes that are on more photographs than those; no image shows two."""
    rng, drawn, taken = np.random.default_rng([7, draw]), {}, set()
    names = photographs.source.classes
    for name in arguments.names or ():
        if name not in names:
            raise pj.InputError(f'there is no class {name!r} in {arguments.root}.')
    order = [names.index(name) for name in arguments.names] if arguments.names else rng.permutation(classes).tolist()
    for column in order:
        large = [i for i in np.flatnonzero(photographs.shares[:, column] >= SHOWN).tolist() if i not in taken]
        if len(large) < FOLDER_SHOTS or (photographs.shares[:, column] > 0).sum() <= FOLDER_SHOTS:
            continue
        drawn[column] = rng.choice(large, FOLDER_SHOTS, replace=False).tolist()
        taken |= set(drawn[column])
        if len(drawn) == arguments.together:
            break
    if not drawn:
        raise pj.InputError(f'no class covers {SHOWN:.0%} of {FOLDER_SHOTS} photographs and is on others too.')
    return drawn


def decide(photographs, shown, prototypes, others):
    """[M, N] probabilities that the photographs show the classes, of each photograph alone, as the Segmenter has them."""
    features = photographs.features[shown.images]
    statistics = statistics_of(views_of_references(features, shown.covered, shown.foreground, shown.background))
    seen = jax.jit(find)
    found = (np.asarray(seen(photographs.features[index].astype(np.float32), prototypes)) for index in others)
    return np.stack([presence(of_photograph, prototypes[1:], statistics) for of_photograph in found])


def folder_scores(photographs, others, columns, prototypes, taken, truth, segment):
    """IoU over the folder, precision and recall of the pairs, of the classes that are taken to be there."""
    counts, reported = np.zeros((2, len(columns))), np.zeros_like(truth)
    for row, index in enumerate(others):
        label, present = photographs.labels[index], np.flatnonzero(taken[row])
        found = segment(photographs, index, prototypes[np.r_[0, 1 + present]])
        found = np.r_[0, 1 + present][found]
        for place, column in enumerate(columns):
            own, right = (found == place + 1) & (label != IGNORE), label == column + 1
            counts[:, place] += (own & right).sum(), (own | right).sum()
            reported[row, place] = own.any()
    hits = (reported & truth).sum()
    return (counts[0] / np.maximum(counts[1], 1)).mean(), hits / max(reported.sum(), 1), hits / truth.sum()


if __name__ == '__main__':
    main(sys.argv[1:])
