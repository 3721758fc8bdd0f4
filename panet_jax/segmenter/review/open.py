"""A folder is made a project, and opened."""

from pathlib import Path

from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError
from panet_jax.segmenter.outputs import RESULTS
from panet_jax.segmenter.review.project import REVIEW, Project


def open_project(folder: Path) -> Project:
    """Opens a project, or makes one.

    Args:
        folder: folder as for `make_project`.

    Returns:
        The Project.

    Raises:
        InputError: it holds something else, cannot be made, or is damaged.
    """
    make_project(folder)
    return Project(folder)


def make_project(folder: Path) -> None:
    """Makes a folder a project, unless it is one.

    Args:
        folder: a folder that `panet-jax predict` or this function made; or one that is new or empty.

    Raises:
        InputError: it holds something else, or cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f'{folder} is a file, and no folder that can be opened as a project; name a folder.')
    try:
        folder.mkdir(parents=True, exist_ok=True)
        strangers = [path.name for path in folder.iterdir() if path.name != REVIEW]
        if strangers and not (folder / RESULTS).exists():
            raise InputError(
                f'{folder} holds {strangers[0]}, but no results of panet-jax predict; name a folder that `panet-jax predict '
                '--out` wrote, or a new one.'
            )
        (folder / REVIEW).mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f'{folder} cannot be opened as a project ({error.strerror}); name another folder.') from error
    if not strangers:
        write_json(folder / RESULTS, {'images': [], 'failed': []})
