"""A few hundred of the malformed inputs that robustness/malformed_inputs.py makes by the thousand."""

import importlib.util

import pytest
from tiny import ROOT


@pytest.mark.filterwarnings('ignore')  # Pillow on what it could mend
def test_malformed_inputs_are_read_rightly_or_refused_in_one_sentence():
    spec = importlib.util.spec_from_file_location('malformed_inputs', ROOT / 'robustness' / 'malformed_inputs.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    counts, failures = module.run(300, seed=1)
    assert not failures
    assert counts.total() == 300
    assert len({kind for kind, _ in counts}) > 25
    assert {'read', 'refused'} == {outcome for _, outcome in counts}
