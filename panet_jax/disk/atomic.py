"""Files that appear whole or not at all."""

import contextlib
import uuid
from pathlib import Path


@contextlib.contextmanager
def replacing(path):
    """Gives a temporary path to write to, which becomes `path` at the end, and is removed if that fails."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
