"""What a user said of photographs, kept in the folder of their results: which classes they show."""

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError

FILE = 'answers.json'
EXAMPLE = '{"photo7": {"cat": true, "dog": false}}'
# What decides which classes are left out, as predictions.json says it: a comparison of all photographs, with answers if there
# are some, or each photograph alone.
FOLDER, PHOTOGRAPH = 'folder', 'photograph'

AllAnswers = dict[str, dict[str, bool]]  # {name of a photograph's results: {class: whether it shows it}}


def read_answers(out: Path, classes: Sequence[str], names: Collection[str]) -> AllAnswers:
    """The answers that are kept in a folder of results.

    Args:
        out: the folder.
        classes: names of the classes.
        names: names of all results in the folder, and of those to come.

    Returns:
        {name of the results: {class: answer}}; {} if there is no such file.

    Raises:
        InputError: the file cannot be read, or names another class or photograph.
    """
    path = out / FILE
    if not path.exists():
        return {}
    try:
        answers = json.loads(path.read_text(encoding='utf-8'))
        pairs = [(photo, name, answer) for photo, of_photo in answers.items() for name, answer in of_photo.items()]
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f'{path} cannot be read ({error}); wanted answers such as {EXAMPLE}.') from error
    for photo, name, answer in pairs:
        if photo not in names:
            raise InputError(f'{path} answers for {photo!r}, but no results have that name; leave that line out.')
        if name not in classes:
            raise InputError(f'{path} answers for the class {name!r}, but there are {", ".join(classes)}.')
        if not isinstance(answer, bool):
            raise InputError(f'{path} must have true or false for {name!r} in {photo!r}, got {answer!r}.')
    return answers


def write_answers(out: Path, answers: Mapping[str, Mapping[str, bool]]) -> None:
    """Keeps answers in a folder of results, in place of those that were there.

    Args:
        out: the folder.
        answers: {name of the results: {class: answer}}.
    """
    write_json(out / FILE, answers)
