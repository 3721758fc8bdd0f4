"""`panet-jax predict --review`: asks whether photographs show a class, and keeps the answers with the results."""

import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from panet_jax.errors import InputError
from panet_jax.segmenter.kept_answers import EXAMPLE, FILE, write_answers

if TYPE_CHECKING:
    from panet_jax.commands.decision import Decision, Outcomes

WORDS = {'y': True, 'yes': True, 'n': False, 'no': False, 's': None, '': None}


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


def ask(decision: 'Decision', outcomes: 'Outcomes', *, most: int, read: Callable[[str], str] = input) -> None:
    """Asks about each class, again and again where it is least certain, and writes each answer at once.

    Args:
        decision: what is known; its answers are added to.
        outcomes: what is done.
        most: number of questions for a class.
        read: prints a question and returns what is typed.
    """
    print('y: it shows the class, n: it does not, s: skip, q: enough. Each answer is kept.', flush=True)
    for name in decision.references.classes:
        skipped = set()
        for _ in range(most):
            path, likely = _least_certain(decision, outcomes, name, skipped)
            if path is None:
                break
            stem = decision.stems[path]
            answer = _answer(f'{name} in {path} (probability {likely:.2f}, {decision.out / stem}-overlay.jpg)? ', read)
            if answer == 'q':
                return
            if answer is None:
                skipped.add(path)
            else:
                decision.answers.setdefault(stem, {})[name] = answer
                write_answers(decision.out, decision.answers)


def _least_certain(decision, outcomes, name, skipped):
    """The photograph to ask about, and the probability that it shows the class; None if none is left."""
    import numpy as np

    from panet_jax.method.answers import next_question

    rows = decision.probabilities(outcomes)
    answered = {path for path in rows if name in decision.answers.get(decision.stems[path], {})}
    open_ = np.array([path not in answered | skipped for path in rows], bool)
    if not open_.any():
        return None, 0.0
    presence = np.array([row[name] for row in rows.values()])
    place = next_question(presence, open_, decision.above)
    return list(rows)[place], presence[place]


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
