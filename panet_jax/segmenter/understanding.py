"""What points and boxes stand for: the region of the reference itself that looks like what they mark.

A point marks a few pixels of an object, and a box holds more than the object. So the reference is segmented first, by the
prototypes of what is marked, adapted to the reference as they are to a query: its own region becomes the prototype.
The constants were chosen on one half of the classes of benchmarks/quality.py. A random walker on the features and the
colors, and GrabCut, made no better masks of the queries there.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from panet_jax.method.adapt import ADAPTED, adapted_logits
from panet_jax.method.prototypes import masked_mean, upsample
from panet_jax.segmenter.references import Marks, farthest

KINDS = 'points', 'box'  # kinds of marks that become regions; masks say where the object is, and strokes say enough
SURE = 0.6  # probability above which a pixel belongs to the region
LEAST_OF_BOX = 0.1  # share of a box; where less of it is found, the box stays as it is


def understood(features: np.ndarray, marks: Marks) -> Marks:
    """Marks whose foreground is the region that they stand for.

    Points become the region that looks like them and is connected to them. It contains all points on the class and none
    on the background. A box becomes what in it does not look like its surroundings. Other marks stay as they are.

    Args:
        features: [h, w, C] float32, of the image.
        marks: the annotation.

    Returns:
        Marks of the same kind.
    """
    if marks.kind not in KINDS:
        return marks
    if marks.kind == 'box':
        probability = np.asarray(_probability(features, jnp.stack([marks.background, marks.foreground])))
        region = (probability > SURE) & marks.foreground
        too_small = region.sum() < LEAST_OF_BOX * marks.foreground.sum()
        return marks if too_small else marks._replace(foreground=region)
    far = farthest(marks.foreground)
    groups = [far, marks.foreground, marks.background] if marks.drawn else [far, marks.foreground]
    sure = np.asarray(_probability(features, jnp.stack(groups))) > SURE
    denied = marks.background & marks.drawn
    region = _connected((sure & ~denied) | marks.foreground, marks.foreground)
    return marks._replace(foreground=region, background=(far | denied) & ~region)


@jax.jit
def _probability(features, groups):
    """[S, S] probability of the second of the groups, [L, S, S] bool, of which the first is the background."""
    prototypes = jax.vmap(masked_mean, (None, 0))(features, groups.astype(jnp.float32))
    logits = adapted_logits(features, prototypes, ADAPTED)
    return upsample(jax.nn.softmax(logits, axis=-1), groups.shape[1:])[..., 1]


def _connected(mask, marked):
    """The connected parts of a mask that hold a marked pixel."""
    parts, _ = ndimage.label(mask)
    return np.isin(parts, np.unique(parts[marked]))
