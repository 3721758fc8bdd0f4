"""A Segmenter as one pure function of an image, to compile for other runtimes: network and references are constants."""

from collections.abc import Callable

import jax
import jax.export
import numpy as np

from panet_jax.method.adapt import adaptation_of, adapted_logits
from panet_jax.method.episode import normalize
from panet_jax.method.prototypes import upsample
from panet_jax.segmenter.segmenter import Segmenter

PLATFORMS = ('cpu', 'cuda', 'rocm', 'tpu')


def program_of(segmenter: Segmenter, dtype: str | None = None) -> Callable[[jax.Array], jax.Array]:
    """The function that `predict` computes of an image, at the size of the network, but with masks on the grid.

    Masks that follow edges are left to the Segmenter: its results are these with `edges=False`.

    Args:
        segmenter: a Segmenter with references.
        dtype: how the encoder computes, as in `Encoder.encode`; by default as the Segmenter's.

    Returns:
        A pure function, [1, S, S, 3] uint8 -> [1, S, S, 1 + N] float32: probabilities, background first. S is
        `segmenter.size`, and a photograph is resized to it without keeping its shape.

    Raises:
        InputError: there are no references, or they show no background.
    """
    references, network = segmenter.references, segmenter.network
    prototypes = np.asarray(references.prototypes())
    adaptation = adaptation_of(segmenter.head, references.most_shots)

    def program(image: jax.Array) -> jax.Array:
        features = network.encode(normalize(image), dtype=dtype or segmenter.dtype)
        logits = adapted_logits(features[0], prototypes, adaptation)
        return jax.nn.softmax(upsample(logits, image.shape[1:3]), axis=-1)[None]

    return program


def exported_program(segmenter: Segmenter) -> bytes:
    """`program_of` as StableHLO, which runs without this package.

    Args:
        segmenter: a Segmenter with references.

    Returns:
        What `jax.export.deserialize` reads; its `mlir_module()` is the StableHLO for other compilers. It runs on a CPU, a
        GPU or a TPU.

    Raises:
        InputError: there are no references, or they show no background.
    """
    image = jax.ShapeDtypeStruct((1, segmenter.size, segmenter.size, 3), np.uint8)
    return jax.export.export(jax.jit(program_of(segmenter)), platforms=PLATFORMS)(image).serialize()
