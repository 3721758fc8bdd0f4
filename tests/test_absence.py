"""benchmarks/absence.py on a user's folder."""

import absence
import pytest
from folders import make_own

import panet_jax as pj


@pytest.fixture
def script(current_folder, capsys, narrow_params):
    """Runs the script in a folder with narrow weights, and data in own/."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    make_own(current_folder / 'own', count=8)

    def run(*arguments):
        try:
            absence.main(['--weights=narrow.safetensors', '--size=33', *arguments])
            status = 0
        except SystemExit as end:
            status = end.code
        return status, *capsys.readouterr()

    return run


def test_a_users_folder_is_measured(script):
    status, out, _ = script('--root=own', '--draws=1')
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
def test_a_mistake_is_one_sentence_with_the_scripts_own_options(script, arguments, sentence):
    status, _, err = script(*arguments)
    assert status == 2
    (line,) = [line for line in err.splitlines() if line.startswith('absence.py: ')]
    assert sentence in line
    assert '--config' not in err
    assert 'Traceback' not in err
