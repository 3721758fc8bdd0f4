"""A few hundred of the inputs that the programs in robustness/ make by the thousand."""

import importlib.util

import pytest
from tiny import ROOT


def program(name):
    """A program of robustness/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / 'robustness' / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings('ignore')  # Pillow on what it could mend
def test_malformed_inputs_are_read_rightly_or_refused_in_one_sentence():
    counts, failures = program('malformed_inputs').run(300, seed=1)
    assert not failures
    assert counts.total() == 300
    assert len({kind for kind, _ in counts}) > 25
    assert {'read', 'refused'} == {outcome for _, outcome in counts}


def test_masks_of_all_kinds_are_neither_inverted_nor_hollow():
    counts, failures = program('mask_readings').run(200, seed=1)
    assert not failures
    assert counts.total() == 200
    assert len({kind for kind, _ in counts}) > 25
    assert sum(count for (_, outcome), count in counts.items() if outcome == 'refused') < 20
