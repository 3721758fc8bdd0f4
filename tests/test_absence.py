"""benchmarks/absence.py on a folder of one's own."""

import runpy
import sys

import pytest
from folders import make_own
from tiny import ROOT

import panet_jax as pj


@pytest.fixture
def script(monkeypatch, tmp_path, capsys, narrow_params):
    """Runs the script in a folder with narrow weights, and data in own/."""
    monkeypatch.chdir(tmp_path)
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    make_own(tmp_path / 'own', count=8)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['absence.py', '--weights=narrow.safetensors', '--size=33', *arguments])
        try:
            runpy.run_path(str(ROOT / 'benchmarks/absence.py'), run_name='__main__')
            status = 0
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


def test_a_folder_of_ones_own_is_measured(script):
    status, out, _ = script('--root=own', '--draws=1')
    assert status == 0
    assert '8 images, 2 classes, 1-shot' in out
    assert 'absent above 0.55 left out' in out


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (['--root=nowhere'], "'nowhere' has neither; name yours with --root=FOLDER"),
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
