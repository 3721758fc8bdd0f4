"""A visitor's mistakes, shown on the page in a sentence."""

import contextlib
import functools
import html
import inspect
from collections.abc import Callable

import gradio as gr

from panet_jax.errors import InputError

GONE = 'This page was idle for too long, or its server was restarted: your marks are lost. Reload the page.'


@contextlib.contextmanager
def _mistakes_shown(session):
    """Shows the visitor a mistake, and that the session is over (None) if its page is still open."""
    if session is None:
        raise gr.Error(GONE, duration=None, print_exception=False)
    try:
        yield
    except InputError as error:
        raise gr.Error(html.escape(str(error)), print_exception=False) from error


def shows_mistakes(action: Callable) -> Callable:
    """Decorates an action, so that its InputErrors are shown on the page.

    Args:
        action: function or generator whose first argument is a session.

    Returns:
        A function or generator with the same arguments; the session may be None.
    """

    @functools.wraps(action)
    def function(session, *arguments, **options):
        with _mistakes_shown(session):
            return action(session, *arguments, **options)

    @functools.wraps(action)
    def generator(session, *arguments, **options):
        with _mistakes_shown(session):
            yield from action(session, *arguments, **options)

    return generator if inspect.isgeneratorfunction(action) else function
