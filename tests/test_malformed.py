"""A few hundred of the thousands of random inputs of the programs in robustness/."""

import malformed_inputs
import mask_readings
from cases import run_cases


def test_malformed_inputs_are_read_correctly_or_refused_in_one_sentence():
    counts, failures = run_cases(malformed_inputs.one_case, 300, seed=1)
    assert not failures
    assert counts.total() == 300
    assert len({kind for kind, _ in counts}) > 25
    assert {'read', 'refused'} == {outcome for _, outcome in counts}


def test_masks_of_all_kinds_are_neither_inverted_nor_hollow():
    counts, failures = run_cases(mask_readings.one_case, 200, seed=1)
    assert not failures
    assert counts.total() == 200
    assert len({kind for kind, _ in counts}) > 25
    assert sum(count for (_, outcome), count in counts.items() if outcome == 'refused') < 20
