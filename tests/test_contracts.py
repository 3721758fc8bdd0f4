"""The rules of .importlinter: which folder may import which."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import ROOT


def test_folders_import_only_lower_floors():
    linter = Path(sys.executable).with_name('lint-imports')
    done = subprocess.run([linter, '--no-cache'], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert '3 kept, 0 broken' in done.stdout


def test_the_package_is_a_listing_that_one_can_read():
    package = ROOT / 'panet_jax'
    entries = [path for path in package.iterdir() if path.name != '__pycache__']
    assert len(entries) <= 20
    for folder in (path for path in entries if path.is_dir()):
        tree = ast.parse((folder / '__init__.py').read_text())
        assert ast.get_docstring(tree), folder
        assert len(tree.body) == 1, folder


SCRIPTS = sorted(path for folder in ('benchmarks', 'robustness') for path in (ROOT / folder).glob('*.py'))


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.stem)
def test_scripts_import_names_that_exist(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith('panet_jax'):
            module = importlib.import_module(node.module)
            for name in node.names:
                assert hasattr(module, name.name) or importlib.import_module(f'{node.module}.{name.name}')
