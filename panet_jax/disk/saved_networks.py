"""The networks that a workdir holds: checkpoints and the trained one, their steps, and which is the newest (`newest_network`).

All functions take paths as from `paths.workdir_path`, which converts what a user typed.
"""

import json

from panet_jax.disk.paths import AnyPath, in_bucket
from panet_jax.disk.workdir import read_config, read_json_lines
from panet_jax.errors import InputError

TRAINED = 'encoder.safetensors'
LONGEST_HEADER = 100_000_000  # bytes, by the definition of .safetensors


def checkpoint_steps(workdir: AnyPath) -> list[int]:
    """The steps of the complete checkpoints in a workdir.

    Args:
        workdir: the folder; it need not exist.

    Returns:
        The steps, in ascending order.
    """
    folder = workdir / 'checkpoints'
    if in_bucket(folder):  # Orbax cannot rename there, so it writes a file when a checkpoint is complete
        names = [path.parent.name for path in folder.glob('*/commit_success.txt')]
    else:
        names = [path.name for path in folder.glob('[0-9]*')]
    return sorted(int(name) for name in names if name.isdigit())


def network_steps(workdir: AnyPath) -> list[int]:
    """The steps of the networks in a workdir.

    Args:
        workdir: workdir of the training.

    Returns:
        The steps, in ascending order.

    Raises:
        InputError: the step of the only network is unknown.
    """
    final, checkpoints = _final_step(workdir), checkpoint_steps(workdir)
    path = workdir / TRAINED
    if not checkpoints and final is None and path.is_file():
        raise InputError(
            f'{path} does not say its step, and there is no complete checkpoint; evaluate it with '
            f"{{encoder.weights=}}{path} {{checkpoint=''}} in another --workdir."
        )
    return sorted({*checkpoints, *([] if final is None else [final])})


def saved_network(workdir: AnyPath, step: int) -> AnyPath:
    """The path of the network of a step.

    Args:
        workdir: workdir of the training.
        step: the step.

    Returns:
        encoder.safetensors, or the folder of a checkpoint.

    Raises:
        InputError: there is no network of this step.
    """
    final, checkpoints = _final_step(workdir), checkpoint_steps(workdir)
    if step == final:
        return workdir / TRAINED
    if step not in checkpoints:
        steps = ', '.join(map(str, network_steps(workdir))) or 'none'
        raise InputError(f'no checkpoint of step {step} in {workdir}; steps there: {steps}.')
    return workdir / 'checkpoints' / str(step)


def newest_network(path: AnyPath) -> tuple[AnyPath, int]:
    """The path and the step of the newest network of a workdir.

    Args:
        path: workdir of the training; a file is its own network.

    Returns:
        The path, as from `saved_network`, and the step; 0 if it is unknown.

    Raises:
        InputError: there is no network.
    """
    if not path.is_dir():
        return path, 0
    final, checkpoints = _final_step(path), checkpoint_steps(path)
    if checkpoints and (final is None or final < checkpoints[-1]):
        return path / 'checkpoints' / str(checkpoints[-1]), checkpoints[-1]
    if not (path / TRAINED).is_file():
        raise InputError(f'{path} has neither {TRAINED} nor a complete checkpoint; train first.')
    return path / TRAINED, final or 0


def _final_step(workdir):
    """The step of encoder.safetensors; None without the file, or if it is unknown."""
    path = workdir / TRAINED
    if not path.is_file():
        return None
    if 'step' in (about := read_about(path)):
        return int(about['step'])
    # In earlier versions the file did not say its step. It is the last one of a training, and so of the log, unless training
    # was resumed since then and stopped.
    logged = [line['step'] for line in read_json_lines(workdir / 'metrics.jsonl')]
    ended = logged and (workdir / 'config.json').is_file() and logged[-1] == read_config(workdir)['steps']
    return logged[-1] if ended and not checkpoint_steps(workdir) else None


def read_about(path: AnyPath) -> dict[str, str]:
    """Reads the metadata of a `.safetensors` file, which stand at its beginning.

    Args:
        path: the file.

    Returns:
        Texts by name; {} for a file of another kind.

    Raises:
        InputError: the file is damaged.
    """
    if path.suffix != '.safetensors' or not path.is_file():
        return {}
    try:
        with path.open('rb') as file:  # not the rest, which may be large and in a bucket
            length = min(int.from_bytes(file.read(8), 'little'), LONGEST_HEADER)
            about = json.loads(file.read(length)).get('__metadata__', {})
            return {name: str(value) for name, value in about.items()}
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f'{path} is not a weights file that can be read ({error}).') from error
