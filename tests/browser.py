"""The page as the command serves it, and a browser that visits it."""

import contextlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
MISSING = [name for name in ('gradio', 'playwright') if importlib.util.find_spec(name) is None]
MISSING += [] if CHROMIUM else ['chromium']
# Root has no sandbox; the others keep the browser from asking for anything outside of this machine.
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
FLAGS += ['--disable-component-update', '--disable-sync']
PROGRAM = 'from panet_jax.commands.cli import run; run()'
SECONDS = 60  # for what takes a few, on a busy machine


@contextlib.contextmanager
def serving(folder, *words):
    """The command with these words, in a process whose temporary files go to a folder: the process and its address."""
    with subprocess.Popen(
        [sys.executable, '-c', PROGRAM, 'demo', *words],
        env=os.environ | {'TMPDIR': str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            lines = []
            for line in server.stdout:  # a new project is told before
                lines.append(line)
                if address := re.fullmatch(r'The page is at (http://127.0.0.1:\d+/) until Ctrl-C.\n', line):
                    break
            else:
                raise AssertionError(''.join(lines))
            yield server, address[1]
        finally:
            server.kill()


@contextlib.contextmanager
def visiting(address, width=1300, height=1250):
    """The page, open in a browser that reaches nothing else."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(viewport={'width': width, 'height': height}).new_page()
        page.set_default_timeout(1000 * SECONDS)
        elsewhere = []
        page.on('request', lambda request: elsewhere.append(request.url))
        page.goto(address)
        page.wait_for_timeout(3000)  # until the page listens to its buttons
        yield page
        browser.close()
    assert [url for url in elsewhere if not url.startswith((address, 'data:', 'blob:'))] == []


def awaited(see, seconds=SECONDS):
    """What `see` returns, once that is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (seen := see()) is not None:
            return seen
        time.sleep(0.1)
    raise AssertionError('it did not appear')
