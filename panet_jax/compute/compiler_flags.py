"""Flags of the compiler for TPUs, which reads them once, when JAX first looks for devices."""

import os
from collections.abc import MutableMapping

VARIABLE = 'LIBTPU_INIT_ARGS'

# With few images the compiler cuts each into strips that it takes as a larger batch. With the two images of an episode the
# strips are copied from layout to layout: a step then moves four times as many bytes. Both flags are needed.
TPU_FLAGS = {'xla_tpu_run_space_to_batch': 'false', 'xla_tpu_run_space_to_batch_on_new_platforms': 'false'}


def set_tpu_flags(environment: MutableMapping[str, str] = os.environ) -> None:
    """Adds our flags for TPUs to those of $LIBTPU_INIT_ARGS; what a user has set there stays as it is.

    Other devices do not read them. It has to be called before JAX first looks for devices.

    Args:
        environment: variables to change, those of this process by default.
    """
    words = environment.get(VARIABLE, '').split()
    given = {word.lstrip('-').partition('=')[0] for word in words}
    words += [f'--{name}={value}' for name, value in TPU_FLAGS.items() if name not in given]
    environment[VARIABLE] = ' '.join(words)
