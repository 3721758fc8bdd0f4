"""`panet-jax predict --review`: asks whether photographs show a class, and keeps the answers with the results."""

import itertools
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from panet_jax.disk.workdir import write_json
from panet_jax.errors import InputError

FILE = 'answers.json'
EXAMPLE = '{"photo7": {"cat": true, "dog": false}}'
WORDS = {'y': True, 'yes': True, 'n': False, 'no': False, 's': None, '': None}

AllAnswers = dict[str, dict[str, bool]]  # {name of a photograph's results: {class: whether it shows it}}
Entries = Mapping[str, Mapping[str, Any]]  # {name of a photograph's results: its entry in predictions.json}


def check_terminal(out: Path) -> None:
    """Checks that there is someone to ask.

    Args:
        out: folder of the results.

    Raises:
        InputError: the program does not run on a terminal.
    """
    if not sys.stdin.isatty():
        raise InputError(
            f'--review asks on a terminal, and this is none; write answers such as {EXAMPLE} to {out / FILE}, and type the '
            'command without --review.'
        )


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


def thresholds(entries: Entries, answers: AllAnswers, classes: Sequence[str], above: float) -> dict[str, float]:
    """The threshold of `presence` of each class, after the answers.

    Args:
        entries: those of the photographs, with their 'presence'.
        answers: what is known.
        classes: names of the classes.
        above: threshold of a class without answers.

    Returns:
        {class: threshold in [0, 1]}.
    """
    from panet_jax.method.answers import thresholds_of

    values = thresholds_of(*_tables(entries, answers, classes), above)
    return dict(zip(classes, values.tolist(), strict=True))


def ask(
    entries: Entries,
    answers: AllAnswers,
    classes: Sequence[str],
    *,
    most: int,
    above: float,
    out: Path,
    read: Callable[[str], str] = input,
) -> None:
    """Asks about each class, again and again where it is least certain, and writes each answer at once.

    Args:
        entries: those of the photographs, with their 'presence'.
        answers: what is known; it is added to.
        classes: names of the classes.
        most: number of questions for a class.
        above: threshold of a class without answers.
        out: folder of the results.
        read: prints a question and returns what is typed.
    """
    print('y: it shows the class, n: it does not, s: skip, q: enough. Each answer is kept.', flush=True)
    for name in classes:
        skipped = set()
        for _ in range(most):
            photo = _most_uncertain(entries, answers, classes, name, above, skipped)
            if photo is None:
                break
            entry = entries[photo]
            likely = entry['presence'][name]
            answer = _answer(f'{name} in {entry["image"]} (presence {likely:.2f}, {out / photo}-overlay.jpg)? ', read)
            if answer == 'q':
                return
            if answer is None:
                skipped.add(photo)
            else:
                answers.setdefault(photo, {})[name] = answer
                write_json(out / FILE, answers)


def _most_uncertain(entries, answers, classes, name, above, skipped):
    """The name of the photograph to ask about; None if all are answered or skipped."""
    from panet_jax.method.answers import UNKNOWN, next_question

    presence, known = _tables(entries, answers, classes)
    column = classes.index(name)
    open_ = (known[:, column] == UNKNOWN) & [photo not in skipped for photo in entries]
    if not open_.any():
        return None
    limit = thresholds(entries, answers, classes, above)[name]
    return list(entries)[next_question(presence[:, column], open_, limit)]


def _answer(question, read):
    """True, False, None to skip, or 'q'; it asks until it understands."""
    for remark in itertools.chain([''], itertools.repeat('y, n, s or q: ')):
        try:
            word = read(remark or question).strip().lower()
        except EOFError:
            return 'q'
        if word in ('q', 'quit'):
            return 'q'
        if word in WORDS:
            return WORDS[word]


def _tables(entries, answers, classes):
    """[M, N] float64 and int: presence, and the answers."""
    import numpy as np

    from panet_jax.method.answers import UNKNOWN

    shape = len(entries), len(classes)
    presence = [[entry['presence'][name] for name in classes] for entry in entries.values()]
    known = [[answers.get(photo, {}).get(name, UNKNOWN) for name in classes] for photo in entries]
    return np.array(presence, np.float64).reshape(shape), np.array(known, int).reshape(shape)
