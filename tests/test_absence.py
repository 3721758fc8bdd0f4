"""benchmarks/absence.py on a user's folder."""

import absence
import pytest


@pytest.mark.exhaustive
def test_a_users_folder_is_measured(run_on_folder):
    status, out, _ = run_on_folder(absence.main, '--root=own', '--draws=1')
    assert status == 0
    assert '8 images, 2 classes, 1-shot' in out
    assert 'absent above 0.55 left out' in out


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--root=nowhere'], "'nowhere' has none of: images/ and masks/"),
        (['--root=own', '--list=none'], 'none'),
        (['--root=own', '--dataset=coco20i'], "wanted COCO's annotations"),
        (['--root=own', '--weights=gone'], 'there is no file gone'),
        (['--root=own', '--shots=5'], 'no class can be scored'),
        (['--rot=own', '--root=x'], 'did you mean --root?'),
        ([], '--root'),
    ],
)
def test_a_mistake_is_one_sentence_with_the_scripts_own_options(run_on_folder, arguments, sentence):
    status, _, err = run_on_folder(absence.main, *arguments)
    assert status == 2
    (line,) = [line for line in err.splitlines() if line.startswith('absence.py: ')]
    assert sentence in line
    assert '--config' not in err
    assert 'Traceback' not in err
