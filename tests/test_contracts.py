"""The rules of .importlinter: which folder may import which."""

import ast
import subprocess
import sys
from pathlib import Path

from tiny import ROOT


def test_folders_import_only_lower_floors():
    linter = Path(sys.executable).with_name('lint-imports')
    done = subprocess.run([linter, '--no-cache'], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert '2 kept, 0 broken' in done.stdout


def test_the_package_is_a_listing_that_one_can_read():
    package = ROOT / 'panet_jax'
    entries = [path for path in package.iterdir() if path.name != '__pycache__']
    assert len(entries) <= 20
    for folder in (path for path in entries if path.is_dir()):
        tree = ast.parse((folder / '__init__.py').read_text())
        assert ast.get_docstring(tree), folder
        assert len(tree.body) == 1, folder
