"""`panet-jax demo`: a page on which one draws on an image what to look for, and sees it found in others."""

import contextlib
import importlib.util
import logging
import os
import signal
import threading
import warnings
from collections.abc import Sequence

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser, add_network_options, warn_of_size, whole_number
from panet_jax.errors import InputError

# Of one upload; a photograph of 24 megapixels has 5 to 50 MB.
LARGEST_FILE = '64mb'
# What ends the page as Ctrl-C does: a process manager, and a terminal that is closed (not there on Windows).
ENDS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]


FRONT_END = FrontEnd(
    options={'segmenter.weights': '--weights', 'segmenter.size': '--size'},
    memory='for the page; type a smaller {segmenter.size=}',
)


def run(arguments: Sequence[str]) -> int:
    """Serves the page until Ctrl-C.

    Args:
        arguments: the words after `panet-jax demo`.

    Returns:
        The exit status.

    Raises:
        InputError: the user can put it right.
    """
    options = parser().parse_args(arguments)
    if importlib.util.find_spec('gradio') is None:
        raise InputError("the page needs Gradio; install it with: pip install 'panet-jax[demo]'")
    warn_of_size(options.size)
    segmenter = _compiled_segmenter(options)
    _bound_pillow()
    for number in ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup has SIGHUP
            signal.signal(number, _end)
    from panet_jax.demo.folder import visitors_folder

    with visitors_folder() as home:
        # Gradio reads them when it is imported: it reports nothing to anybody, and what visitors upload goes with us.
        os.environ |= {'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_OFFLINE': '1', 'GRADIO_TEMP_DIR': f'{home}/uploads'}
        from panet_jax.demo.page import build_page

        _serve(build_page(segmenter, home), options)
    return 0


def _compiled_segmenter(options):
    """The Segmenter, which has compiled what the page needs: the first visitor would wait for that otherwise."""
    from panet_jax.compute.compilation_cache import keep_compiled
    from panet_jax.demo.example import example_references

    keep_compiled()
    segmenter = pj.Segmenter(options.weights, size=options.size)
    name, image, annotation = example_references()[0]
    pj.Segmenter(segmenter.network).add(name, image, annotation).predict(image).labels  # noqa: B018
    return segmenter


def _bound_pillow():
    """Has Pillow refuse too large an image wherever it is opened; the session tells visitors of it before that."""
    from PIL import Image

    from panet_jax.demo.session import MOST_PIXELS

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # it warns above that, and refuses above the double
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)


def _end(*_):
    """Ends the page once: a terminal that is closed sends its signal twice, which would interrupt the tidying up."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _serve(page, options):
    """Serves until Ctrl-C, or until the process is asked to end."""
    from panet_jax.demo.style import EDITOR_SCRIPT, STYLE, THEME

    try:
        _, address, _ = page.launch(
            server_name=options.host,
            server_port=options.port,
            inbrowser=options.open,
            prevent_thread_lock=True,
            quiet=True,
            share=False,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            theme=THEME,
            css=STYLE,
            head=EDITOR_SCRIPT,
            max_file_size=LARGEST_FILE,
        )
    except OSError as error:
        where = f'{options.host}, port {options.port}' if options.port else options.host
        raise InputError(
            f'the page cannot be served at {where}; name a free --port, or a --host of this machine.'
        ) from error
    logging.getLogger('uvicorn.error').addFilter(_worth_telling)
    print(f'The page is at {address} until Ctrl-C.', flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    page.close(verbose=False)


def _worth_telling(record):
    """Whether the server should log something; not the traceback of each visitor who leaves during an upload."""
    from starlette.requests import ClientDisconnect

    return not (record.exc_info and isinstance(record.exc_info[1], ClientDisconnect))


def parser() -> OptionParser:
    """The command's options."""
    options = OptionParser(
        prog='panet-jax demo',
        description='Serves a page on which classes are drawn on one image and found in others.',
    )
    add_network_options(options, default='imagenet')
    options.add_argument('--host', default='127.0.0.1', help='address to serve at; 0.0.0.0 is every one (%(default)s)')
    options.add_argument('--port', type=whole_number(0), help='(the first from 7860 that is free)')
    options.add_argument('--open', action='store_true', help='open the page in the browser')
    return options
