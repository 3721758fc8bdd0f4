"""Flags of the compiler for TPUs, which reads them once, when JAX first looks for devices."""

import os
from collections.abc import MutableMapping

VARIABLE = 'LIBTPU_INIT_ARGS'

# The compiler cuts the images of a small batch into strips, to make a larger batch of them. For the two images of an episode
# it then copies the strips from layout to layout, and a step moves four times as many bytes. Both flags are needed.
TPU_FLAGS = {'xla_tpu_run_space_to_batch': 'false', 'xla_tpu_run_space_to_batch_on_new_platforms': 'false'}


def set_tpu_flags(environment: MutableMapping[str, str] = os.environ) -> None:
    """Adds our flags for TPUs to $LIBTPU_INIT_ARGS; flags that a user has set there are kept.

    Other devices ignore them. Call it before JAX first looks for devices.

    Args:
        environment: environment variables to change; by default those of this process.
    """
    words = environment.get(VARIABLE, '').split()
    given = {word.lstrip('-').partition('=')[0] for word in words}
    words += [f'--{name}={value}' for name, value in TPU_FLAGS.items() if name not in given]
    environment[VARIABLE] = ' '.join(words)
