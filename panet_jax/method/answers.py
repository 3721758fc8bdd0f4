"""What a folder and a few answers of a user say about all its photographs: which show a class, and what to ask next.

Two things are learned. A ridge regression on a descriptor of the whole photograph takes the photographs that were answered yes,
and the references of the class, for 1 and all others for 0; those without an answer count little. What it predicts
is added to the log-odds of `presence`. These rank photographs well within a class, but their scale differs between classes. So
the log-odds of a class are shifted by what makes its answers most probable, with a normal prior around no shift. Without an
answer the regression alone helps: it tells the photographs that look like the references' from the rest of the folder. And
where the probabilities of a class are all small, as with one class and few references, they are raised until a share of
the folder is expected to show it.

Axes: M photographs, I images of references, N classes, h w feature grid, C channels.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize, special

from panet_jax.method.axes import check_axes
from panet_jax.method.presence import WITH, WITHOUT

# The constants were chosen on half of the classes of 160 of COCO's photographs; benchmarks/answers.py has the other half.
FOLDER_ABOVE = 0.15  # the default probability from which a class counts as present
FOLDER_IMAGES = 10  # so many photographs are a folder: some probably do not show a class
GAIN = 5.0  # log-odds of what the regression predicts as 1
WITHOUT_ANSWER, OTHER_REFERENCE = 0.1, 0.3  # weights; those of an answer and of a reference of the class are 1
VARIANCE = 4.0  # of the shift's prior
LEAST_SHARE = WITH / (WITH + WITHOUT)  # of the photographs that is expected to show a class
MOST_RAISED = 40.0  # log-odds
POWER = 3  # of the generalized mean
ROUNDS = 50  # of Newton's method; its steps are at most 1
LEAST = 1e-6  # probabilities are kept this far from 0 and 1
UNKNOWN = -1


def descriptor(features: jax.Array) -> jax.Array:
    """The generalized mean of an image's features: a vector for the whole image.

    Args:
        features: [h, w, C] float32; what is negative counts as 0.

    Returns:
        [C] float32, at least 0.
    """
    check_axes('descriptor', features=(features, 'h w C'))
    return (jnp.maximum(features, 0) ** POWER).mean((0, 1)) ** (1 / POWER)


def presence_after(
    presence: np.ndarray, answers: np.ndarray, descriptors: np.ndarray, references: np.ndarray, shown: np.ndarray
) -> np.ndarray:
    """Probability that each photograph of a folder shows each class, after the answers for some of them or none.

    Args:
        presence: [M, N] float in [0, 1], as from `presence`.
        answers: [M, N] int, 1 where the user says that the photograph shows the class, 0 where not, -1 where that is
            unknown.
        descriptors: [M, C] float, as from `descriptor`.
        references: [I, C] float, those of the references' images.
        shown: [I, N] bool, the classes that these are references of.

    Returns:
        [M, N] float64 in [0, 1]. Answers pull their own photographs too, but do not decide them.
    """
    check_axes('presence_after', presence=(presence, 'M N'), answers=(answers, 'M N', int), shown=(shown, 'I N', None))
    check_axes(
        'presence_after', presence=(presence, 'M N'), descriptors=(descriptors, 'M C'), references=(references, 'I C')
    )
    vectors = _vectors(descriptors, references)
    weights = np.r_[np.where(answers == UNKNOWN, WITHOUT_ANSWER, 1.0), np.where(shown, 1.0, OTHER_REFERENCE)]
    targets = np.r_[answers == 1, shown].astype(np.float64)
    predicted = [
        vectors[: len(presence)] @ _ridge(vectors, weight, target)
        for weight, target in zip(weights.T, targets.T, strict=True)
    ]
    odds = _raised(_log_odds(presence) + GAIN * np.stack(predicted, 1))
    return special.expit(odds + _shift(odds, answers))


def next_question(presence: np.ndarray, open_: np.ndarray, above: float = FOLDER_ABOVE) -> int:
    """The photograph of which it is least certain whether it shows a class.

    Args:
        presence: [M] float in [0, 1], of one class, as from `presence_after`.
        open_: [M] bool, photographs that may be asked about; one at least.
        above: probability in [0, 1] from which the class counts as present.

    Returns:
        Its place in 0..M-1: an open one whose log-odds are nearest to those of `above`.
    """
    check_axes('next_question', presence=(presence, 'M'), open_=(open_, 'M', None))
    far = np.abs(_log_odds(presence) - _log_odds(above))
    return int(np.argmin(np.where(open_, far, np.inf)))


def _vectors(descriptors, references):
    """[M + I, C]: directions around the mean of those of the photographs, of length 1 on the average."""
    vectors = np.concatenate([descriptors, references]).astype(np.float64)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), LEAST)
    vectors -= vectors[: len(descriptors)].mean(0)
    return vectors / max(np.sqrt((vectors**2).sum(1).mean()), LEAST)


def _ridge(vectors, weights, targets):
    """[C]: the regression of targets on vectors, with weights and a penalty of 1."""
    weighted = vectors * weights[:, None]
    return np.linalg.solve(vectors.T @ weighted + np.eye(vectors.shape[1]), weighted.T @ targets)


def _raised(odds):
    """[M, N]: log-odds; those of a class whose mean probability is below LEAST_SHARE are raised until it is that."""

    def excess(shift, of_class):
        return special.expit(of_class + shift).mean() - LEAST_SHARE

    shifts = [optimize.brentq(excess, 0, MOST_RAISED, (one,)) if excess(0, one) < 0 else 0 for one in odds.T]
    return odds + np.array(shifts)


def _shift(odds, answers):
    """[N]: what is added to the log-odds of each class, [M, N], to make its answers most probable."""
    known, shift = answers != UNKNOWN, np.zeros(odds.shape[1])
    for _ in range(ROUNDS):
        likely = special.expit(odds + shift)
        slope = np.where(known, answers - likely, 0).sum(0) - shift / VARIANCE
        curvature = np.where(known, likely * (1 - likely), 0).sum(0) + 1 / VARIANCE
        shift += np.clip(slope / curvature, -1, 1)
    return shift


def _log_odds(probabilities):
    return special.logit(np.clip(np.asarray(probabilities, np.float64), LEAST, 1 - LEAST))
