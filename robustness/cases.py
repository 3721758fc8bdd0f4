"""The loop and the command line that the programs of random cases share."""

import argparse
import collections
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

# (random generator, empty folder) -> (kind of the case, 'read' or 'refused', what is wrong or '')
Case = Callable[[np.random.Generator, Path], tuple[str, str, str]]


def run_cases(case: Case, count: int, seed: int) -> tuple[collections.Counter, list[str]]:
    """Runs a number of random cases: {(kind, outcome): number of cases}, and sentences on failures."""
    counts, failures = collections.Counter(), []
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # Pillow warns of defects that it can repair
        for number in range(count):
            with tempfile.TemporaryDirectory() as folder:
                kind, outcome, problem = case(np.random.default_rng((seed, number)), Path(folder))
            counts[kind, outcome] += 1
            if problem:
                failures.append(f'case {number}, {kind}: {outcome}, {problem}')
    return counts, failures


def main(case: Case, description: str, noun: str) -> None:
    """Runs the cases that the command line asks for, prints the counts, and exits with 1 after a failure."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--count', type=int, default=2000, help='number of cases (%(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='seed of the cases (%(default)s)')
    options = parser.parse_args()
    counts, failures = run_cases(case, options.count, options.seed)
    for kind in sorted({kind for kind, _ in counts}):
        print(f'{kind:40} read {counts[kind, "read"]:4}  refused {counts[kind, "refused"]:4}')
    print(f'{options.count} {noun}, {len(failures)} failures')
    print('\n'.join(failures[:30]))
    sys.exit(bool(failures))
