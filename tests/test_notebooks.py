"""The notebooks as a reader runs them, in small."""

import base64
import copy
import io
import os

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image
from tiny import ROOT

pytestmark = pytest.mark.exhaustive


NAMES = ['quickstart', 'train_on_tpu']
TINY = {
    'data.size': 33,
    'encoder.width': 1 / 32,
    'steps': 4,
    'log_every': 2,
    'checkpoint_every': 2,
    'loader.threads': 2,
    'evaluation.runs': 1,
    'evaluation.episodes': 4,
    'evaluation.pictures': 1,
}


def read(name):
    return nbformat.read(ROOT / 'notebooks' / f'{name}.ipynb', as_version=4)


def executed(name, **parameters):
    """The notebook after all its cells have run in notebooks/, with these parameters after its own, as papermill's."""
    notebook = copy.deepcopy(read(name))
    [place] = [n for n, cell in enumerate(notebook.cells) if 'parameters' in cell.metadata.get('tags', ())]
    assignments = [f'{key} = {value!r}' for key, value in parameters.items()]
    assert all(f'\n{key} = ' in f'\n{notebook.cells[place].source}' for key in parameters)
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell('\n'.join(assignments)))
    return NotebookClient(notebook, timeout=300, resources={'metadata': {'path': ROOT / 'notebooks'}}).execute(
        env=os.environ | {'PYTHONPATH': str(ROOT)}
    )


def printed(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get('outputs', ())]
    return ''.join(output.text for output in outputs if output.output_type == 'stream')


def pictures(notebook):
    data = [output.get('data', {}) for cell in notebook.cells for output in cell.get('outputs', ())]
    return [Image.open(io.BytesIO(base64.b64decode(one['image/png']))) for one in data if 'image/png' in one]


def test_quickstart_segments_trains_and_shows_it(tmp_path):
    notebook = executed('quickstart', WORKDIR=str(tmp_path), SIZE=97, PRESET='lite', SETTINGS=TINY)
    text = printed(notebook)
    assert 'Segmenter(imagenet, 97 x 97, star: 2 reference(s))' in text
    assert_shows_a_run(text)
    assert [picture.width > picture.height > 100 for picture in pictures(notebook)] == [True] * 3


def test_train_on_tpu_trains_on_all_devices(tmp_path):
    notebook = executed(
        'train_on_tpu', WORKDIR=str(tmp_path), PRESET='lite', SETTINGS=TINY | {'batch': 3}, TENSORBOARD=False
    )
    text = printed(notebook)
    assert 'sees 2 cpu device(s)' in text
    assert '4 steps of 4 episode(s), 33 x 33 pixels' in text  # a multiple of the devices
    assert 'on 2 of 2 cpu device(s), 2 episode(s) each a step' in text
    assert_shows_a_run(text)
    assert len(pictures(notebook)) == 1


def assert_shows_a_run(text):
    """A table with numbers, lines of training and nothing that belongs in a terminal."""
    rows = [line.split() for line in text.splitlines() if line.strip().startswith(('untrained', 'step 4 '))]
    assert [row[0] for row in rows] == ['untrained', 'step']
    assert all(0 <= float(row[-7 + column]) <= 100 for row in rows for column in (0, 1))  # mean-IoU, binary-IoU
    assert 'step 4: loss' in text
    assert '\r' not in text
    assert 'Warning' not in text
    assert '%|' not in text


@pytest.mark.parametrize('name', NAMES)
def test_notebooks_are_kept_without_results_and_open_in_colab(name):
    notebook = read(name)
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            assert cell.outputs == []
            assert cell.execution_count is None
    [repository] = [
        line for cell in notebook.cells for line in cell.source.splitlines() if line.startswith('REPOSITORY = ')
    ]
    address = repository.split("'")[1].removeprefix('https://github.com/')
    badge = f'(https://colab.research.google.com/github/{address}/blob/main/notebooks/{name}.ipynb)'
    assert badge in notebook.cells[0].source
    assert sorted(path.stem for path in (ROOT / 'notebooks').glob('*.ipynb')) == NAMES
