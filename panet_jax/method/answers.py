"""What a few answers of a user say about a class: a threshold of `presence` for it, and which question decides most.

`presence` ranks photographs well within a class, but its scale differs between classes. Answers set it right: the log-odds
of a class are shifted by what makes the answers most probable, with a normal prior around no shift. A shift of the log-odds
is the same as another threshold.

Axes: M photographs, N classes.
"""

import numpy as np
from scipy import special

from panet_jax.method.axes import check_axes

# The default probability, after the answers, above which a class counts as present, and the variance of the prior. Both
# were chosen on half of the classes of 160 of COCO's photographs; benchmarks/answers.py --classes=report has the other half.
ANSWERED_ABOVE = 0.3
VARIANCE = 4.0
ROUNDS = 50  # of Newton's method; its steps are at most 1
LEAST = 1e-6  # probabilities are kept this far from 0 and 1
UNKNOWN = -1


def thresholds_of(presence: np.ndarray, answers: np.ndarray, above: float = ANSWERED_ABOVE) -> np.ndarray:
    """The threshold of each class above which it counts as present.

    Args:
        presence: [M, N] float in [0, 1], as from `presence`.
        answers: [M, N] int, 1 where the user says that the photograph shows the class, 0 where not, -1 where that is
            unknown.
        above: threshold in [0, 1] of a class without answers, of the probability after the answers.

    Returns:
        [N] float64 in [0, 1]: thresholds of `presence`.
    """
    check_axes('thresholds_of', presence=(presence, 'M N'), answers=(answers, 'M N', int))
    odds, known = _log_odds(presence), answers != UNKNOWN
    shift = np.zeros(odds.shape[1])
    for _ in range(ROUNDS):
        likely = special.expit(odds + shift)
        slope = np.where(known, answers - likely, 0).sum(0) - shift / VARIANCE
        curvature = np.where(known, likely * (1 - likely), 0).sum(0) + 1 / VARIANCE
        shift += np.clip(slope / curvature, -1, 1)
    return special.expit(special.logit(above) - shift)


def next_question(presence: np.ndarray, open_: np.ndarray, threshold: float) -> int:
    """The photograph of which it is least certain whether it shows a class.

    Args:
        presence: [M] float in [0, 1], of one class.
        open_: [M] bool, photographs that may be asked about; one at least.
        threshold: the class's threshold in [0, 1], as from `thresholds_of`.

    Returns:
        Its place in 0..M-1: an open one whose log-odds are nearest to those of the threshold.
    """
    check_axes('next_question', presence=(presence, 'M'), open_=(open_, 'M', None))
    far = np.abs(_log_odds(presence) - _log_odds(np.float64(threshold)))
    return int(np.argmin(np.where(open_, far, np.inf)))


def _log_odds(probabilities):
    return special.logit(np.clip(np.asarray(probabilities, np.float64), LEAST, 1 - LEAST))
