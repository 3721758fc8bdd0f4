"""The rules of .importlinter: which folder may import which."""

import subprocess
import sys
from pathlib import Path

from tiny import ROOT


def test_folders_import_only_lower_floors():
    linter = Path(sys.executable).with_name('lint-imports')
    done = subprocess.run([linter, '--no-cache'], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert '2 kept, 0 broken' in done.stdout
