"""`panet-jax demo`: a page for drawing annotations on an image and seeing the class found in others."""

import contextlib
import importlib.util
import logging
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path

import panet_jax as pj
from panet_jax.commands.ending import FrontEnd
from panet_jax.commands.option_parser import OptionParser, add_network_options, warn_of_size, whole_number
from panet_jax.errors import InputError

# Limit of an upload; a photograph of 24 megapixels has 5 to 50 MB.
LARGEST_FILE = '64mb'
# Signals that end the page as Ctrl-C does, from process managers and closed terminals (Windows has no SIGHUP).
ENDS = [getattr(signal, name) for name in ('SIGINT', 'SIGTERM', 'SIGHUP') if hasattr(signal, name)]


FRONT_END = FrontEnd(
    options={'segmenter.weights': '--weights', 'segmenter.size': '--size'},
    memory='for the page; type a smaller {segmenter.size=}',
)


def run(arguments: Sequence[str]) -> int:
    """Serves the page until Ctrl-C.

    Args:
        arguments: words after `panet-jax demo`.

    Returns:
        The exit status.

    Raises:
        InputError: a mistake of the user.
    """
    options = make_parser().parse_args(arguments)
    if importlib.util.find_spec('gradio') is None:
        raise InputError("the page needs Gradio; install it with: pip install 'panet-jax[demo]'")
    warn_of_size(options.size)
    _bound_pillow()
    for number in ENDS:
        if signal.getsignal(number) != signal.SIG_IGN:  # nohup has SIGHUP ignored
            signal.signal(number, _end)
    from panet_jax.commands.demo_page.folder import visitors_folder

    with _project(options) as project, visitors_folder(Path(tempfile.gettempdir())) as home:
        # Gradio reads these when imported: no analytics, and uploads go into a folder that is deleted at the end.
        os.environ |= {'GRADIO_ANALYTICS_ENABLED': 'False', 'HF_HUB_OFFLINE': '1', 'GRADIO_TEMP_DIR': f'{home}/uploads'}
        from panet_jax.commands.demo_page.page import build_page
        from panet_jax.segmenter.review.drafting import Drafting

        segmenter = _compiled_segmenter(options, project)
        drafting = Drafting(project, segmenter) if project else None
        _serve(build_page(segmenter, home, drafting), options, project)
    return 0


@contextlib.contextmanager
def _project(options):
    """The project that was named, which no other process opens meanwhile; None if none was."""
    if options.project is None:
        yield None
        return
    from panet_jax.disk.locks import holding
    from panet_jax.disk.paths import local_path
    from panet_jax.segmenter.outputs import RESULTS
    from panet_jax.segmenter.review.open import make_project
    from panet_jax.segmenter.review.project import LOCK, Project

    folder = local_path(options.project, '--project')
    is_new = not (folder / RESULTS).exists()
    make_project(folder)
    if is_new:
        print(f'{folder} is a new project')

    def refuse():
        raise InputError(f'another panet-jax demo has {folder} open; go on there, or end it first.')

    with holding(folder / LOCK, busy=refuse):
        yield Project(folder)


def _compiled_segmenter(options, project):
    """The Segmenter, with the references of the project and its programs compiled: otherwise the first visitor would wait for that."""
    from panet_jax.commands.demo_page.example import example_references
    from panet_jax.compute.compilation_cache import keep_compiled
    from panet_jax.compute.compiler_flags import set_tpu_flags

    keep_compiled()
    set_tpu_flags()
    segmenter = _segmenter(options, project)
    name, image, annotation = example_references()[0]
    pj.Segmenter(segmenter.network).add(name, image, annotation).predict(image).labels  # noqa: B018
    return segmenter


def _segmenter(options, project):
    from panet_jax.segmenter.outputs import REFERENCES

    references = project and project.folder / REFERENCES
    if not (references and references.exists()):
        return pj.Segmenter(options.weights or 'imagenet', size=options.size)
    if options.size is not None:
        raise InputError(f'{project.folder} keeps the size that it was made with; leave --size out.')
    return pj.Segmenter.load(references, weights=options.weights)


def _bound_pillow():
    """Makes Pillow refuse too large images everywhere; the session already refuses them with a message."""
    from PIL import Image

    from panet_jax.commands.demo_page.uploads import MOST_PIXELS

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow warns above this, and refuses above twice this
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)


def _end(*_):
    """Ends the page once: a closed terminal sends its signal twice, and the second would interrupt the cleanup."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _serve(page, options, project):
    """Serves the page until Ctrl-C or an ending signal."""
    from panet_jax.commands.demo_page.review.keys import KEY_SCRIPT
    from panet_jax.commands.demo_page.review.stage import STAGE_SCRIPT, STAGE_STYLE
    from panet_jax.commands.demo_page.style import EDITOR_SCRIPT, STYLE, THEME

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
            css=STYLE + STAGE_STYLE,
            head=EDITOR_SCRIPT + KEY_SCRIPT + STAGE_SCRIPT,
            max_file_size=LARGEST_FILE,
            allowed_paths=[str(project.folder.absolute())] if project else [],
        )
    except OSError as error:
        where = f'{options.host}, port {options.port}' if options.port else options.host
        raise InputError(
            f'the page cannot be served at {where}; name a free --port, or a --host of this machine.'
        ) from error
    logging.getLogger('uvicorn.error').addFilter(_is_relevant)
    print(f'The page is at {address} until Ctrl-C.', flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
    page.close(verbose=False)


def _is_relevant(record):
    """Whether the server should log a record; tracebacks of visitors who leave during an upload are dropped."""
    from starlette.requests import ClientDisconnect

    return not (record.exc_info and isinstance(record.exc_info[1], ClientDisconnect))


def make_parser() -> OptionParser:
    """The parser of the command's options."""
    options = OptionParser(
        prog='panet-jax demo',
        description='Serves a page on which classes are drawn on one image and found in others.',
    )
    add_network_options(options, default=None)
    options.add_argument(
        '--project',
        metavar='FOLDER',
        help='review images in this folder, which keeps every step: one that `panet-jax predict --out FOLDER` wrote, or a '
        'new one',
    )
    options.add_argument(
        '--host',
        default='127.0.0.1',
        help='address to serve at; 0.0.0.0 is all addresses of this machine (%(default)s)',
    )
    options.add_argument('--port', type=whole_number(0), help='port to serve at (the first free one from 7860)')
    options.add_argument('--open', action='store_true', help='open the page in the browser')
    return options
