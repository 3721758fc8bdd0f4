"""Shows what the libraries log: remarks on stdout, errors on stderr."""

import logging
import sys


class _Handler(logging.Handler):
    """Prints records. It looks up the streams each time, because tests and notebooks replace them."""

    def emit(self, record: logging.LogRecord) -> None:
        is_error = record.levelno >= logging.ERROR
        stream = sys.stderr if is_error else sys.stdout
        print(f'{"panet_jax: " * is_error}{self.format(record)}', file=stream, flush=True)


def show_messages() -> None:
    """Makes a program print what the libraries log; a second call changes nothing."""
    logger = logging.getLogger('panet_jax')
    if not any(isinstance(handler, _Handler) for handler in logger.handlers):
        logger.addHandler(_Handler())
        logger.setLevel(logging.INFO)
