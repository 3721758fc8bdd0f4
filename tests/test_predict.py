"""`panet-jax predict`, as typed."""

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_disc
from PIL import Image

import panet_jax as pj
from panet_jax import cli, predict
from panet_jax.pictures import way_colour
from panet_jax.prediction_files import output_stems


@pytest.fixture
def command(monkeypatch, tmp_path, capsys, narrow_params):
    """Runs the command in a folder with weights, two annotated images and three others."""
    monkeypatch.chdir(tmp_path)
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    for name, colour in (('cat', (220, 40, 30)), ('dog', (20, 60, 240))):
        image, mask = draw_disc(0, colour=colour)
        Image.fromarray(image).save(f'{name}.jpg', quality=95)
        Image.fromarray(mask).save(f'{name}.png')
    (tmp_path / 'photos/more').mkdir(parents=True)
    for seed, name in enumerate(('a.jpg', 'b.png', 'more/a.jpg')):
        Image.fromarray(draw_disc(seed, shape=(50, 30 + seed))[0]).save(tmp_path / 'photos' / name)
    (tmp_path / 'photos/notes.txt').write_text('no image')

    def run(*arguments):
        monkeypatch.setattr('sys.argv', ['panet-jax', 'predict', *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.run()
        out, err = capsys.readouterr()
        assert 'Traceback' not in err
        return ended.value.code, out, err

    return run


NETWORK = ('--weights=narrow.safetensors', '--size=33', '--batch=2')
CAT = ('--support', 'cat=cat.jpg:cat.png')


def test_photographs_are_segmented_and_drawn(command, tmp_path):
    dog = ('--support', 'dog=dog.jpg:box=20,10,40,30')
    status, out, _ = command(*NETWORK, *CAT, *dog, '--query', 'photos/**/*', '--out', 'found', '--probabilities')
    assert status == 0
    assert 'label 1 is cat, label 2 is dog' in out
    results = json.loads((tmp_path / 'found/predictions.json').read_text())
    assert [(entry['image'], entry['labels']) for entry in results['images']] == [
        ('photos/a.jpg', 'a.png'),
        ('photos/b.png', 'b.png'),
        ('photos/more/a.jpg', 'a-2.png'),
    ]
    assert (results['classes'], results['failed']) == (['cat', 'dog'], [])
    names = {path.name for path in (tmp_path / 'found').iterdir()}
    assert names == {'predictions.json'} | {
        f'{stem}{end}' for stem in ('a', 'b', 'a-2') for end in ('.png', '-overlay.jpg', '.npz')
    }
    expected = pj.Segmenter('narrow.safetensors', size=33, batch=2)
    expected.fit({'cat': [('cat.jpg', 'cat.png')], 'dog': [('dog.jpg', pj.Box(20, 10, 40, 30))]})
    for entry in results['images']:
        found = expected.predict(entry['image'])
        with Image.open(tmp_path / 'found' / entry['labels']) as labels:
            assert labels.mode == 'P'
            assert labels.getpalette()[:6] == [0, 0, 0, *way_colour(1)]
            np.testing.assert_array_equal(np.asarray(labels), found.labels)
        assert entry['absent'] == pytest.approx(found.absent, abs=1e-4)
        assert entry['shares'] == pytest.approx(found.shares, abs=1e-4)
    with np.load(tmp_path / 'found/b.npz') as file:
        np.testing.assert_allclose(file['probabilities'], expected.predict('photos/b.png').probabilities, atol=1e-2)


def test_one_image_that_fails_is_told_at_the_end_and_the_others_are_kept(command, tmp_path):
    (tmp_path / 'photos/broken.jpg').write_bytes(b'no image')
    status, out, _ = command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')
    assert status == 1
    assert '2 image(s) in found' in out
    assert '1 image(s) could not be segmented:\n  photos/broken.jpg is no image' in out
    results = json.loads((tmp_path / 'found/predictions.json').read_text())
    assert [entry['image'] for entry in results['failed']] == ['photos/broken.jpg']
    assert not (tmp_path / 'found/broken.png').exists()
    # Again, over the earlier results:
    (tmp_path / 'photos/broken.jpg').unlink()
    assert command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')[0] == 0


def test_references_are_saved_and_used_again(command, tmp_path):
    status, out, _ = command(*NETWORK, *CAT, '--save-segmenter', 'pets.npz')
    assert status == 0
    assert 'the references are in pets.npz' in out
    assert not (tmp_path / 'predictions').exists()
    points = ('--support', 'dog=dog.jpg:points=30,20,33,22/2,2,55,35')
    status, out, _ = command('--segmenter=pets.npz', *points, '--query', 'photos/b.png')
    assert status == 0
    assert 'label 2 is dog' in out
    assert (tmp_path / 'predictions/b-overlay.jpg').exists()
    assert 'there is no file no.npz' in command('--segmenter=no.npz', '--query', 'photos/b.png')[2]
    status, _, err = command('--segmenter=pets.npz', '--size=65', '--query', 'photos/b.png')
    assert (status, 'keeps the size it was made with' in err) == (2, True)


def test_paths_may_have_colons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('C:cat.jpg', 'C:cat.png', 'cat.jpg'):
        (tmp_path / name).touch()
    assert predict._support('a=C:cat.jpg:C:cat.png')[1:] == (Path('C:cat.jpg'), Path('C:cat.png'))
    assert predict._support('a=cat.jpg:scribble=C:cat.png')[2] == pj.Scribble(Path('C:cat.png'))
    assert predict._support('a=cat.jpg:points=1,2,3,4.5/6,7')[2] == pj.Points([(1, 2), (3, 4.5)], [(6, 7)])


def test_results_of_one_name_get_numbers():
    paths = [Path(path) for path in ('a/x.jpg', 'b/X.jpg', 'x.png', 'x-2.jpg', 'y.jpg')]
    assert output_stems(paths) == ['x', 'X-3', 'x-4', 'x-2', 'y']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'show what to look for with --support'),
        ((*CAT,), 'say where to look with --query'),
        (('--support', 'cat', '--query', 'photos'), 'wants NAME=IMAGE:ANNOTATION'),
        (('--support', 'cat=no.jpg:cat.png', '--query', 'photos'), 'there is no image no.jpg'),
        (('--support', 'cat=cat.jpg:no.png', '--query', 'photos'), 'there is no annotation no.png'),
        (('--support', 'cat=cat.jpg:photos/b.png', '--query', 'photos'), 'is painted in colours'),
        (('--support', 'cat=cat.jpg:box=1,2,3', '--query', 'photos'), 'got 3 number(s)'),
        (('--support', 'cat=cat.jpg:points=1,2,x', '--query', 'photos'), 'wanted numbers with commas'),
        (('--support', 'cat=cat.jpg:points=1,2,3', '--query', 'photos'), 'points are X,Y,X,Y'),
        (('--support', 'cat=cat.jpg:box=1,2,300,4', '--query', 'photos'), 'must lie in the image of (60, 40) pixels'),
        (('--support', 'cat=photos/a.jpg:cat.png', '--query', 'photos'), 'must be as large as its image, (30, 50)'),
        ((*CAT, '--query', 'photos/*.gif'), 'names no image: there is no such file'),
        ((*CAT, '--query', 'photos/notes.txt'), 'none of the 1 file(s) has one of the endings'),
        ((*CAT, '--query', 'photos', '--out', '/proc/x/y'), '--out /proc/x/y cannot be'),
        ((*CAT, '--query', 'photos', '--out', 'cat.jpg/x'), 'cat.jpg is a file; name another folder'),
        ((*CAT, '--query', 'photos', '--absent-above', '2'), 'wants a number from 0 to 1, got 2'),
        ((*CAT, '--query', 'photos', '--out', 'photos'), 'the results would replace photos/b.png'),
        ((*CAT, '--query', 'cat.jpg', '--out', '.'), 'the results would replace cat.png'),
        ((*CAT, '--save-segmenter', 'pets.pkl'), 'saved as NAME.npz'),
        ((*CAT, '--query', 'photos', '--weights', 'nowhere'), 'there is no file nowhere'),
    ],
)
def test_mistakes_are_one_sentence_before_any_work(command, tmp_path, arguments, message):
    before = sorted(tmp_path.rglob('*'))
    status, _, err = command(*NETWORK, *arguments)
    assert status == 2
    assert message in err
    assert sorted(tmp_path.rglob('*')) == before


def test_absent_classes_are_left_out(command, tmp_path):
    dog = ('--support', 'dog=dog.jpg:dog.png')
    assert 'cat is found in 2, dog is found in 2' in command(*NETWORK, *CAT, *dog, '--query', 'photos')[1]
    entries = json.loads((tmp_path / 'predictions/predictions.json').read_text())['images']
    cat, other = sorted(entry['absent']['cat'] for entry in entries)
    threshold = (cat + other) / 2
    _, out, _ = command(*NETWORK, *CAT, *dog, '--query', 'photos', '--absent-above', threshold)
    again = json.loads((tmp_path / 'predictions/predictions.json').read_text())['images']
    for before, after in zip(entries, again, strict=True):
        assert after['absent'] == before['absent']
        for name in ('cat', 'dog'):
            assert (after['shares'][name] > 0) == (before['absent'][name] <= threshold)
    assert 'cat is found in 1' in out


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_is_done_told(command, tmp_path, monkeypatch, number):
    write = predict.write_prediction

    def write_and_signal(found, path, *rest):
        if path.name == 'b.png':
            time.sleep(1)  # the threads have begun
            os.kill(os.getpid(), number)
            time.sleep(0.3)
        return write(found, path, *rest)

    monkeypatch.setattr(predict, 'write_prediction', write_and_signal)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    status, out, err = command(*NETWORK, *CAT, '--query', 'photos/**/*', '--out', 'found')
    assert status == 128 + number
    assert f'stopped by {"Ctrl-C" if number == signal.SIGINT else number.name}' in err
    results = json.loads((tmp_path / 'found/predictions.json').read_text())
    done = [entry['labels'] for entry in results['images']]
    assert 'b.png' in done
    assert f'{len(done)} image(s) in found' in out
    assert set(done) == {path.name for path in (tmp_path / 'found').glob('*.png')}


def test_results_replace_no_file_of_others(command, tmp_path):
    (tmp_path / 'found').mkdir()
    (tmp_path / 'found/b.png').write_bytes(b'mine')
    status, _, err = command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')
    assert (status, 'the results would replace found/b.png' in err) == (2, True)
