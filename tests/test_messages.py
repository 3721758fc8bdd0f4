"""The programs print what the libraries log."""

import logging

from panet_jax.commands.messages import show_messages


def test_remarks_go_to_stdout_and_errors_to_stderr(capsys):
    logger, handlers = logging.getLogger('panet_jax'), list(logging.getLogger('panet_jax').handlers)
    try:
        show_messages()
        show_messages()  # changes nothing
        logging.getLogger('panet_jax.disk.locks').warning('no locks in %s', 'here')
        logging.getLogger('panet_jax.compute.job').error('process 1 ended')
    finally:
        logger.handlers = handlers
    assert capsys.readouterr() == ('no locks in here\n', 'panet_jax: process 1 ended\n')
