"""`panet-jax predict`, as typed."""

import json
import os
import signal
import time
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest
from drawn import draw_disc
from earlier import without_evidence
from PIL import ExifTags, Image

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.progress import progress
from panet_jax.commands.queries import find_queries
from panet_jax.commands.supports import parse_support
from panet_jax.images.overlays import outlined, overlay, way_color
from panet_jax.segmenter import draft_files, references
from panet_jax.segmenter.outputs import images_with, legend_rows, output_stems, write_prediction
from panet_jax.segmenter.references import photo_shape, read_photo
from panet_jax.segmenter.segmentation import Segmentation
from panet_jax.segmenter.stream import THREADS


@pytest.fixture
def command(current_folder, capsys, narrow_params):
    """Runs the command in a folder with weights, two annotated images and three others."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    for name, color in (('cat', (220, 40, 30)), ('dog', (20, 60, 240))):
        image, mask = draw_disc(0, color=color)
        Image.fromarray(image).save(f'{name}.jpg', quality=95)
        Image.fromarray(mask).save(f'{name}.png')
    (current_folder / 'photos/more').mkdir(parents=True)
    for seed, name in enumerate(('a.jpg', 'b.png', 'more/a.jpg')):
        Image.fromarray(draw_disc(seed, shape=(50, 30 + seed))[0]).save(current_folder / 'photos' / name)
    (current_folder / 'photos/notes.txt').write_text('no image')

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(['predict', *map(str, arguments)])
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
    assert names == {'predictions.json', 'objects', 'references', 'references.safetensors'} | {
        f'{stem}{end}' for stem in ('a', 'b', 'a-2') for end in ('.png', '-overlay.jpg', '.npz')
    }
    # Of the box alone: a mask is taken as it is.
    assert [path.name for path in (tmp_path / 'found/references').iterdir()] == ['2-overlay.jpg']
    segmenter_ = pj.Segmenter('narrow.safetensors', size=33, batch=2)
    segmenter_.fit({'cat': [('cat.jpg', 'cat.png')], 'dog': [('dog.jpg', pj.Box(20, 10, 40, 30))]})
    for entry in results['images']:
        result = segmenter_.predict(entry['image'])
        with Image.open(tmp_path / 'found' / entry['labels']) as labels:
            assert labels.mode == 'P'
            assert labels.getpalette()[:6] == [0, 0, 0, *way_color(1)]
            np.testing.assert_array_equal(np.asarray(labels), result.labels)
        assert entry['absent'] == pytest.approx(result.absent, abs=1e-4)
        assert entry['shares'] == pytest.approx(result.shares, abs=1e-4)
    with np.load(tmp_path / 'found/b.npz') as file:
        np.testing.assert_allclose(file['probabilities'], segmenter_.predict('photos/b.png').probabilities, atol=1e-2)


def test_pictures_of_earlier_references_are_removed_and_no_other_file(command, tmp_path):
    three = ('cat=cat.jpg:box=20,10,40,30', 'cat=cat.jpg:cat.png', 'dog=dog.jpg:points=30,20')
    ask = (*NETWORK, '--query', 'photos', '--out', 'found')
    pictures = tmp_path / 'found/references'
    assert command(*ask, *(f'--support={text}' for text in three))[0] == 0
    assert sorted(path.name for path in pictures.iterdir()) == ['1-overlay.jpg', '3-overlay.jpg']
    (pictures / '2-overlay.jpg').write_text('mine')
    (pictures / 'notes.txt').write_text('mine')
    assert command(*ask, *(f'--support={text}' for text in three[::-1][:1]))[0] == 0
    assert sorted(path.name for path in pictures.iterdir()) == ['1-overlay.jpg', '2-overlay.jpg', 'notes.txt']
    for name in ('2-overlay.jpg', 'notes.txt'):
        assert (pictures / name).read_text() == 'mine'
        (pictures / name).unlink()
    assert command(*ask, *CAT)[0] == 0
    assert not pictures.exists()


def test_a_picture_that_was_removed_once_is_no_longer_ours(command, tmp_path):
    command(
        *NETWORK,
        '--support=cat=cat.jpg:box=20,10,40,30',
        '--support=cat=cat.jpg:box=20,9,40,30',
        '--query=photos/a.jpg',
    )
    one = (*NETWORK, '--support=cat=cat.jpg:box=21,10,40,30')
    assert command(*one, '--query=photos/b.png')[0] == 0
    mine = tmp_path / 'predictions/references/2-overlay.jpg'
    assert not mine.exists()
    mine.write_text('mine')
    assert command(*one, '--query', 'photos')[0] == 0
    assert mine.read_text() == 'mine'


def test_a_list_of_pictures_that_names_other_files_removes_none(command, tmp_path):
    assert command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')[0] == 0
    results = results_in(tmp_path / 'found')
    results['runs'][0]['pictures'] = ['../cat.jpg', 'references/../../cat.png', 'references/notes.txt', 'mine.png']
    (tmp_path / 'found/predictions.json').write_text(json.dumps(results))
    (tmp_path / 'found/references').mkdir(exist_ok=True)
    for name in ('references/notes.txt', 'mine.png'):
        (tmp_path / 'found' / name).write_text('mine')
    assert command(*NETWORK, '--support=cat=cat.jpg:box=20,10,40,30', '--query', 'photos', '--out', 'found')[0] == 0
    assert all(
        (tmp_path / name).exists() for name in ('cat.jpg', 'cat.png', 'found/references/notes.txt', 'found/mine.png')
    )


def test_each_photograph_is_decoded_once(command, monkeypatch):
    decoded, decode = [], references.open_image
    monkeypatch.setattr(
        references, 'open_image', lambda data, source_name: decoded.append(source_name) or decode(data, source_name)
    )
    assert command(*NETWORK, *CAT, '--query', 'photos/**/*')[0] == 0
    assert sorted(decoded) == sorted(['cat.jpg', 'cat.png', 'photos/a.jpg', 'photos/b.png', 'photos/more/a.jpg'])


def test_however_many_photographs_there_are_few_are_in_memory(narrow_params, tmp_path):
    Image.fromarray(np.zeros((1000, 1000, 3), np.uint8)).save(tmp_path / 'large.png')
    segmenter_ = pj.Segmenter(narrow_params, size=33, batch=2).fit({'disc': [draw_disc(0)]})
    photos, most = [], 0
    for _, photo in segmenter_.stream_photos([tmp_path / 'large.png'] * 60):
        photos.append(weakref.ref(photo))
        most = max(most, sum(reference() is not None for reference in photos))
    assert most <= 2 + 2
    tracemalloc.start()
    try:
        for _ in segmenter_.stream_photos([tmp_path / 'large.png'] * 60):
            pass
        assert (
            tracemalloc.get_traced_memory()[1] < (2 * (2 + 2 + THREADS) + 2) * 3e6
        )  # Pillow has a copy while it reads
    finally:
        tracemalloc.stop()


def test_the_legend_stands_below_the_photograph(tmp_path):
    photo, names = draw_disc(0, shape=(90, 100))[0], ('cat', 'a dog with a rather long name', 'cow', 'nowhere')
    logits = np.zeros((3, 3, 5), np.float32)
    logits[range(3), :, [1, 2, 3]] = 9  # a row of each of three classes
    result = Segmentation(logits, (90, 100), names, dict.fromkeys(names, 0.5))
    write_prediction(result, photo, tmp_path, 'found')
    drawn = outlined(overlay(photo, result.labels, rest=1), result.labels)
    Image.fromarray(drawn).save(tmp_path / 'without.jpg', quality=90)
    with Image.open(tmp_path / 'found-overlay.jpg') as file:
        assert file.width == 160  # a margin beside the photograph, for the letters
        picture = np.asarray(file).astype(int)
    # But for the blocks of the JPEG that lie across the edge:
    np.testing.assert_array_equal(picture[:72, :80], np.asarray(Image.open(tmp_path / 'without.jpg'))[:72, :80])
    legend = picture[96:]
    in_legend = [(np.abs(legend - way_color(way)).max(-1) < 40).any() for way in (1, 2, 3, 4)]
    assert in_legend == [True, True, True, False]
    assert (legend[:, -1] < 60).all(), 'a text is cut off'


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


def test_references_without_background_are_told_before_anything_is_written_or_summed_up(command, tmp_path):
    shape = draw_disc(0)[1].shape
    Image.fromarray(np.ones(shape, bool)).save(tmp_path / 'all.png')
    for more in ((), ('--save-segmenter', 'pets.safetensors')):
        status, out, err = command(
            *NETWORK, '--support=cat=cat.jpg:all.png', '--query', 'photos', '--out', 'found', *more
        )
        assert (status, 'show no background' in err) == (2, True)
        assert 'found' not in out
        assert 'label' not in out
    pj.Segmenter('narrow.safetensors', size=33).add('cat', 'cat.jpg', 'all.png').save('pets.safetensors')
    status, out, err = command('--segmenter=pets.safetensors', '--query', 'photos', '--out', 'found')
    assert (status, 'show no background' in err, 'found' in out) == (2, True, False)
    assert not (tmp_path / 'found').exists()


def test_all_labels_have_colors_of_their_own():
    colors = {tuple(way_color(label).tolist()) for label in range(1, 255)}
    assert len(colors) == 254
    assert not colors & {(0, 0, 0), (255, 255, 255)}
    assert way_color(9).tolist() == [192, 0, 0]  # that of PASCAL VOC's color map


def test_references_are_saved_and_used_again(command, tmp_path):
    status, out, _ = command(*NETWORK, *CAT, '--save-segmenter', 'pets.safetensors')
    assert status == 0
    assert 'the references are in pets.safetensors' in out
    assert not (tmp_path / 'predictions').exists()
    points = ('--support', 'dog=dog.jpg:points=30,20,33,22/2,2,55,35')
    status, out, _ = command('--segmenter=pets.safetensors', *points, '--query', 'photos/b.png')
    assert status == 0
    assert 'label 2 is dog' in out
    assert (tmp_path / 'predictions/b-overlay.jpg').exists()
    assert 'there is no file no.safetensors' in command('--segmenter=no.safetensors', '--query', 'photos/b.png')[2]
    status, _, err = command('--segmenter=pets.safetensors', '--size=65', '--query', 'photos/b.png')
    assert (status, 'keeps the size it was made with' in err) == (2, True)


def test_paths_may_have_colons(current_folder):
    for name in ('C:cat.jpg', 'C:cat.png', 'cat.jpg'):
        (current_folder / name).touch()
    windows = parse_support('a=C:cat.jpg:C:cat.png')
    assert (windows.image, windows.annotation) == (Path('C:cat.jpg'), Path('C:cat.png'))
    assert parse_support('a=cat.jpg:scribble=C:cat.png').annotation == pj.Scribble(Path('C:cat.png'))
    points = parse_support('a=cat.jpg:points=1,2,3,4.5/6,7').annotation
    assert points == pj.Points([(1, 2), (3, 4.5)], [(6, 7)])


def test_results_of_one_name_get_numbers():
    paths = [Path(path) for path in ('a/x.jpg', 'b/X.jpg', 'x.png', 'x-2.jpg', 'y.jpg')]
    assert output_stems(paths) == ['x', 'X-3', 'x-4', 'x-2', 'y']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'show what to look for with --support'),
        ((*CAT,), 'name the images to segment with --query'),
        (('--support', 'cat', '--query', 'photos'), 'wants NAME=IMAGE:ANNOTATION'),
        (('--support', 'cat=no.jpg:cat.png', '--query', 'photos'), 'there is no image no.jpg'),
        (('--support', 'cat=cat.jpg:no.png', '--query', 'photos'), 'there is no annotation no.png'),
        (('--support', 'cat=cat.jpg:photos/b.png', '--query', 'photos'), 'is painted in colors'),
        (('--support', 'cat=cat.jpg:box=1,2,3', '--query', 'photos'), 'got 3 number(s)'),
        (('--support', 'cat=cat.jpg:points=1,2,x', '--query', 'photos'), 'wanted numbers with commas'),
        (('--support', 'cat=cat.jpg:points=1,2,3', '--query', 'photos'), 'points are X,Y,X,Y'),
        (('--support', 'cat=cat.jpg:box=1,2,300,4', '--query', 'photos'), 'must lie in the image of (60, 40) pixels'),
        (('--support', 'cat=photos/a.jpg:cat.png', '--query', 'photos'), 'must be as large as its image, (30, 50)'),
        (('--support', 'cat=photos/a.jpg:cat.png', '--query', 'photos'), 'resize it to that without smoothing'),
        (('--support', 'cat=cat.jpg:box=1,2,300,4', '--query', 'photos'), 'give left + width and top + height'),
        (('--support', 'cat=cat.jpg:points=1,200', '--query', 'photos'), 'count pixels from the upper left corner'),
        (('--support', 'cat=torn.jpg:box=1,2,30,40', '--query', 'photos'), 'torn.jpg cannot be read as an image'),
        (('--support', 'cat=photos/text.txt:cat.png', '--query', 'photos'), 'photos/text.txt is no image'),
        (('--support', 'cat=cat.jpg:photos/text.txt', '--query', 'photos'), 'photos/text.txt is no image'),
        (('--support', 'cat=cat.jpg:empty.png', '--query', 'photos'), 'empty.png is empty: no pixel is of the class'),
        (('--support', 'cat=cat.jpg:cat.jpg', '--query', 'photos'), 'cat.jpg is a JPEG'),
        (('--support', 'cat=cat.jpg:scribble=photos/b.png', '--query', 'photos'), 'photos/b.png is painted in colors'),
        (('--support', 'cat=cat.jpg:box=0,0,60,40', '--query', 'photos'), 'the references show no background'),
        (
            ('--support', 'cat=cat.jpg:points=3,3/1,200', '--query', 'photos'),
            'must lie in the image of (60, 40) pixels',
        ),
        ((*CAT, '--negative', 'photos/text.txt', '--query', 'photos'), 'photos/text.txt is no image'),
        (
            (*CAT, '--negative', 'cat.jpg:box=1,2,300,4', '--query', 'photos'),
            'must lie in the image of (60, 40) pixels',
        ),
        (('--support-dir', 'nowhere', '--query', 'photos'), 'there is no folder nowhere of references'),
        (('--support-dir', 'photos', '--query', 'photos/*.jpg'), "'photos' has none of: images/ and masks/"),
        ((*CAT, '--query', 'photos', '--weights=dinov2-small', '--size=417'), 'the nearest to 417 are 406 and 420'),
        ((*CAT, '--query', 'photos', '--weights=resnet50', '--debias=0.5'), 'debias is for vision transformers'),
        ((*CAT, '--query', 'photos', '--weights=dinov2-small', '--size=420', '--debias=1'), 'from 0 to 0.9'),
        (('--support', 'cat=cat.jpg:bx=1,2,3,4', '--query', 'photos'), 'names; did you mean box=1,2,3,4?'),
        (('--support', 'cat=cat.jpg:BBOX=1,2,3,4', '--query', 'photos'), 'names; did you mean box=1,2,3,4?'),
        (('--support', 'cat=cat.jpg:box:1,2,3,4', '--query', 'photos'), 'names; did you mean box=1,2,3,4?'),
        (('--support', 'cat=cat.jpg:1,2,30,40', '--query', 'photos'), 'names; did you mean box=1,2,30,40?'),
        (('--support', 'cat=cat.jpg:point=1,2', '--query', 'photos'), 'names; did you mean points=1,2?'),
        (('--support', 'cat=cat.jpg:click=1,2', '--query', 'photos'), 'names; did you mean points=1,2?'),
        (('--support', 'cat=cat.jpg:scribbel=cat.png', '--query', 'photos'), 'names; did you mean scribble=cat.png?'),
        (('--support', 'cat=cat.jpg:mask=cat.png', '--query', 'photos'), 'names; did you mean cat.png?'),
        (('--support', 'cat=cat.jpg:wolf=cat.png', '--query', 'photos'), 'names; wanted a PNG, box=, points= or'),
        (('--support', ' =cat.jpg:cat.png', '--query', 'photos'), 'wants NAME=IMAGE:ANNOTATION'),
        ((*CAT, '--negative', 'cat=dog.jpg', '--query', 'photos'), 'did you mean --negative dog.jpg?'),
        ((*CAT, '--negative', 'cat=dog.jpg:box=1,2,3,4', '--query', 'photos'), '--negative dog.jpg:box=1,2,3,4?'),
        ((*CAT, '--query', 'photos', '--format', 'coko'), "got 'coko'; did you mean coco?"),
        ((*CAT, '--query', 'photos/*.gif'), 'names no image: there is no such file'),
        ((*CAT, '--query', 'photos/notes.txt'), 'none of the 1 file(s) has one of the endings'),
        ((*CAT, '--query', 'photos', '--out', '/proc/x/y'), '--out /proc/x/y cannot be'),
        ((*CAT, '--query', 'photos', '--out', 'cat.jpg/x'), 'cat.jpg is a file; name another folder'),
        ((*CAT, '--query', 'photos', '--absent-above', '2'), 'wants a number from 0 to 1'),
        ((*CAT, '--query', 'photos', '--out', 'photos'), 'the results would replace photos/b.png'),
        ((*CAT, '--query', 'cat.jpg', '--out', '.'), 'the results would replace cat.png'),
        ((*CAT, '--save-segmenter', 'pets.npz'), '(.npz files are still loaded)'),
        ((*CAT, '--save-segmenter', 'pets.pkl'), 'saved as NAME.safetensors'),
        (
            (*CAT, '--save-segmenter', 'none/pets.safetensors'),
            'there is no folder none to save pets.safetensors in; make it first',
        ),
        ((*CAT, '--query', 'photos/a.jpg', '--out', 'photos'), '--query looks into --out photos too'),
        ((*CAT, '--query', 'photos/*.jpg', '--out', 'photos'), '--query looks into --out photos too'),
        ((*CAT, '--query', 'photos/**/*.jpg', '--out', 'photos/new'), '--query looks into --out photos/new too'),
        (
            (*CAT, '--query', 'photos/more', '--query', 'photos/*/*', '--out', 'photos/x'),
            '--query looks into --out photos/x too',
        ),
        ((*CAT, '--query', 'photos', '--weights', 'nowhere'), 'and there is no such file or folder'),
    ],
)
def test_mistakes_are_one_sentence_before_any_work(command, tmp_path, arguments, message):
    (tmp_path / 'photos/text.txt').write_text('no image')
    Image.fromarray(np.zeros(draw_disc(0)[1].shape, np.uint8)).save('empty.png')
    (tmp_path / 'torn.jpg').write_bytes((tmp_path / 'cat.jpg').read_bytes()[:600])
    before = sorted(tmp_path.rglob('*'))
    status, out, err = command(*NETWORK, *arguments)
    assert status == 2
    assert message in err
    assert sorted(tmp_path.rglob('*')) == before
    assert ('reading weights' in out) == ('/proc/x/y' in arguments)  # nobody can foresee that one


def test_mistakes_with_earlier_results_and_saved_references_are_found_before_the_weights_are_read(command, tmp_path):
    assert command(*NETWORK, *CAT, '--query', 'photos', '--save-segmenter', 'cat.safetensors')[0] == 0
    (tmp_path / 'text.safetensors').write_text('no segmenter')
    dog, saved = ('--support', 'dog=dog.jpg:dog.png'), ('--segmenter=cat.safetensors',)
    for arguments, message in (
        ((*NETWORK, *CAT, *dog), "but made with classes ['cat'] there and ['cat', 'dog'] here"),
        ((*saved, *dog), "but made with classes ['cat'] there and ['cat', 'dog'] here"),
        ((*saved, '--size=65'), 'a saved segmenter keeps the size it was made with'),
        ((*saved, '--as-drawn'), 'leave --as-drawn out'),
        (
            (*saved, *CAT, '--present-above=0.1'),
            'cat.safetensors cannot decide which classes are present, because you typed further references beside it; give all '
            'references with --support, without --segmenter, or leave --present-above out.',
        ),
        (('--segmenter=nowhere.safetensors',), 'there is no file nowhere.safetensors'),
        (('--segmenter=text.safetensors',), 'text.safetensors is no saved segmenter'),
    ):
        status, out, err = command(*arguments, '--query', 'photos/b.png')
        assert (status, message in err) == (2, True), err
        assert 'reading weights' not in out


@pytest.mark.parametrize('ending', ['jpg', 'png', 'tif'])
def test_a_photograph_that_lies_on_its_side_is_checked_as_it_is_seen(command, tmp_path, ending):
    name = f'side.{ending}'
    photo, exif = Image.open(tmp_path / 'cat.jpg'), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / name, exif=exif)  # stored as 40 x 60
    assert photo_shape(tmp_path / name) == (40, 60)
    assert read_photo(tmp_path / name, '').shape == (40, 60, 3)
    assert command(*NETWORK, '--support', f'cat={name}:cat.png', '--query', 'photos')[0] == 0


def test_a_saved_segmenter_says_if_it_cannot_decide_what_a_folder_shows(command, tmp_path):
    for number in range(8):
        (tmp_path / f'photos/{number}.png').write_bytes((tmp_path / 'photos/b.png').read_bytes())
    for name in ('saved', 'earlier'):
        assert command(*NETWORK, *CAT, '--save-segmenter', f'{name}.safetensors')[0] == 0
    without_evidence(tmp_path / 'earlier.safetensors')
    told = 'every image was taken to show every class: {} cannot decide, {}'
    saved, earlier = '--segmenter=saved.safetensors', '--segmenter=earlier.safetensors'
    assert (
        told.format('earlier.safetensors', 'because an earlier version saved it')
        in command(earlier, '--query', 'photos')[1]
    )
    out = command(saved, '--support', 'cat=dog.jpg:dog.png', '--query', 'photos')[1]
    assert told.format('saved.safetensors', 'because you typed further references beside it') in out
    for decided in ((earlier, '--absent-above=0.5'), (earlier, '--all-present'), (saved,), (*NETWORK, *CAT)):
        status, out, _ = command(*decided, '--query', 'photos')
        assert (status, 'every image was taken' in out) == (0, False)
    assert 'every image was taken' not in command(earlier, '--query', 'photos/b.png')[1]


def test_all_present_excludes_what_decides(command):
    for typed in ('--present-above=0.1', '--absent-above=0.5', '--review'):
        status, _, err = command(*NETWORK, *CAT, '--query', 'photos', '--all-present', typed)
        assert (status, 'leave it out, or --present-above, --absent-above and --review' in err) == (2, True)


def test_absent_classes_are_left_out(command, tmp_path):
    dog = ('--support', 'dog=dog.jpg:dog.png')
    assert 'cat is found in 2, dog is found in 2' in command(*NETWORK, *CAT, *dog, '--query', 'photos')[1]
    entries = json.loads((tmp_path / 'predictions/predictions.json').read_text())['images']
    low, high = sorted(entry['absent']['cat'] for entry in entries)
    threshold = (low + high) / 2
    _, out, _ = command(*NETWORK, *CAT, *dog, '--query', 'photos', '--absent-above', threshold)
    again = json.loads((tmp_path / 'predictions/predictions.json').read_text())['images']
    for before, after in zip(entries, again, strict=True):
        assert after['absent'] == before['absent']
        for name in ('cat', 'dog'):
            assert (after['shares'][name] > 0) == (before['absent'][name] <= threshold)
    assert 'cat is found in 1' in out


def test_classes_that_are_probably_not_there_are_left_out_and_the_head_is_chosen(command, tmp_path):
    dog = ('--support', 'dog=dog.jpg:dog.png')
    assert command(*NETWORK, *CAT, *dog, '--query', 'photos', '--present-above=1', '--out', 'none')[0] == 0
    results = results_in(tmp_path / 'none')
    assert (results['head'], results['edges']) == ('adapted', True)
    for entry in results['images']:
        assert set(entry['presence']) == {'cat', 'dog'}
        assert all(0 <= value <= 1 for value in entry['presence'].values())
        assert set(entry['shares'].values()) == {0.0}
        assert entry['expected_iou'] == {}  # of what is left out there is no mask
    options = ('--head=panet', '--no-edges', '--out', 'paper')
    assert command(*NETWORK, *CAT, *dog, '--query', 'photos', *options)[0] == 0
    results = results_in(tmp_path / 'paper')
    assert (results['head'], results['edges']) == ('panet', False)
    assert 'presence' not in results['images'][0]
    assert set(results['images'][0]['expected_iou']) == {'cat', 'dog'}
    status, _, err = command(*NETWORK, *CAT, *dog, '--query', 'photos/b.png', '--out', 'paper')
    assert (status, 'but made with head panet there and adapted here; edges False there and True here' in err) == (
        2,
        True,
    )
    command(*NETWORK, *CAT, *dog, '--save-segmenter', 'pets.safetensors')
    decided = ('--query=photos', '--present-above=0.1')
    for options in (
        (*NETWORK, *CAT, *dog, *decided, '--out=own'),
        ('--segmenter=pets.safetensors', *decided, '--out=saved'),
    ):
        assert command(*options)[0] == 0
    own, saved = (results_in(tmp_path / name) for name in ('own', 'saved'))
    assert saved['images'] == own['images']
    without_evidence(tmp_path / 'pets.safetensors')
    status, out, err = command('--segmenter=pets.safetensors', *decided, '--out=saved')
    assert (status, 'or leave --present-above out' in err, 'reading weights' in out) == (2, True, False)


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_is_done_told(command, tmp_path, monkeypatch, number):
    write = draft_files.write_prediction

    def write_and_signal(segmentation, photo, out, stem, **options):
        if stem == 'b':
            time.sleep(1)  # the threads have begun
            os.kill(os.getpid(), number)
            time.sleep(0.3)
        return write(segmentation, photo, out, stem, **options)

    monkeypatch.setattr(draft_files, 'write_prediction', write_and_signal)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    status, out, err = command(*NETWORK, *CAT, '--query', 'photos/**/*', '--out', 'found')
    assert status == 128 + number
    assert f'stopped by {"Ctrl-C" if number == signal.SIGINT else number.name}' in err
    results = json.loads((tmp_path / 'found/predictions.json').read_text())
    done = [entry['labels'] for entry in results['images']]
    assert 'b.png' in done
    assert f'{len(done)} image(s) in found' in out
    assert set(done) == {path.name for path in (tmp_path / 'found').glob('*.png')}


def test_the_same_command_goes_on_after_a_kill(command, tmp_path):
    query = (*NETWORK, *CAT, '--query', 'photos/b.png', '--out', 'found')
    assert command(*query)[0] == 0
    killed = results_in(tmp_path / 'found') | {'images': []}  # as it is written first, before any image
    (tmp_path / 'found/predictions.json').write_text(json.dumps(killed))
    status, _, err = command(*query)
    assert status == 0, err
    assert [entry['labels'] for entry in results_in(tmp_path / 'found')['images']] == ['b.png']


def test_results_replace_no_file_of_others(command, tmp_path):
    (tmp_path / 'found').mkdir()
    (tmp_path / 'found/b.png').write_bytes(b'mine')
    status, _, err = command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')
    assert (status, 'the results would replace found/b.png' in err) == (2, True)


def results_in(folder):
    return json.loads((folder / 'predictions.json').read_text())


def test_results_of_other_queries_are_kept(command, tmp_path):
    assert command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')[0] == 0
    (tmp_path / 'photos/a.jpg').rename(tmp_path / 'photos/more/c.jpg')
    assert command(*NETWORK, *CAT, '--query', 'photos/b.png', 'photos/more', '--out', 'found')[0] == 0
    entries = {entry['image']: entry['labels'] for entry in results_in(tmp_path / 'found')['images']}
    # More's a.jpg is another image than the first one, and has its own files.
    assert entries == {
        **{'photos/a.jpg': 'a.png', 'photos/b.png': 'b.png'},
        **{'photos/more/a.jpg': 'a-2.png', 'photos/more/c.jpg': 'c.png'},
    }
    assert {path.stem for path in (tmp_path / 'found').glob('*.png')} == {'a', 'b', 'a-2', 'c'}


def test_results_of_other_classes_are_not_mixed(command, tmp_path):
    dog = ('--support', 'dog=dog.jpg:dog.png')
    assert command(*NETWORK, *CAT, '--query', 'photos')[0] == 0
    before = (tmp_path / 'predictions/predictions.json').read_bytes()
    status, _, err = command(*NETWORK, *dog, '--query', 'photos/b.png')
    assert status == 2
    assert "of 1 other image(s), but made with classes ['cat'] there and ['dog'] here; name another folder" in err
    assert (tmp_path / 'predictions/predictions.json').read_bytes() == before
    # In place of all of them:
    assert command(*NETWORK, *dog, '--query', 'photos')[0] == 0
    assert results_in(tmp_path / 'predictions')['classes'] == ['dog']


def test_results_that_another_class_replaces_are_told(command, tmp_path):
    status, out, _ = command(*NETWORK, '--support=cat=cat.jpg:box=2,2,20,20', '--query=cat.jpg')
    assert (status, 'they are replaced' in out) == (0, False)
    status, out, _ = command(*NETWORK, '--support=dog=cat.jpg:box=2,2,20,20', '--query=cat.jpg')
    assert status == 0
    assert "has the results of 1 image(s), made with classes ['cat']; they are replaced" in out


def test_an_image_that_failed_before_is_no_longer_told_when_it_is_done(command, tmp_path):
    content = (tmp_path / 'photos/a.jpg').read_bytes()
    (tmp_path / 'photos/a.jpg').write_bytes(b'no image')
    assert command(*NETWORK, *CAT, '--query', 'photos')[0] == 1
    (tmp_path / 'photos/a.jpg').write_bytes(content)
    assert command(*NETWORK, *CAT, '--query', 'photos/a.jpg')[0] == 0
    results = results_in(tmp_path / 'predictions')
    assert (len(results['images']), results['failed']) == (2, [])


def test_results_without_their_list_are_not_replaced(command, tmp_path):
    query = (*NETWORK, *CAT, '--query', 'photos', '--out', 'found')
    assert command(*query)[0] == 0
    (tmp_path / 'found/predictions.json').rename('list.json')
    (tmp_path / 'found-2').mkdir()
    status, _, err = command(*query)
    assert status == 2
    assert 'found has earlier results, but not the predictions.json that lists them; put it back' in err
    assert 'such as --out=found-3.' in err
    Path('list.json').rename(tmp_path / 'found/predictions.json')
    assert '2 image(s) were done before' in command(*query)[1]


def test_damaged_results_are_not_replaced(command, tmp_path):
    (tmp_path / 'found').mkdir()
    (tmp_path / 'found/predictions.json').write_text('{"images": [{}]}')
    status, _, err = command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')
    assert (status, 'found/predictions.json cannot be read' in err) == (2, True)


@pytest.mark.parametrize('pattern', ['run[1]', 'run[1]/*.png', 'run[1]/**/*.png', '{folder}/run[1]/?.png'])
def test_a_folder_may_have_brackets(current_folder, pattern):
    for name in ('run[1]/b.png', 'run1/a.png'):
        (current_folder / name).parent.mkdir()
        (current_folder / name).touch()
    images, _ = find_queries([pattern.format(folder=current_folder)])
    assert [image.resolve() for image in images] == [current_folder / 'run[1]/b.png']
    assert find_queries(['run[12]/*.png'])[0] == [Path('run1/a.png')]


def test_files_that_are_passed_over_are_told(command, tmp_path):
    for name in ('x.gif', 'noending', '.hidden'):
        (tmp_path / 'photos' / name).touch()
    out = command(*NETWORK, *CAT, '--query', 'photos', '--out', 'found')[1]
    line = next(line for line in out.splitlines() if 'passed over' in line)
    assert line.startswith('3 file(s) with other endings than .jpg')
    assert line.endswith('photos/noending, photos/notes.txt, photos/x.gif')
    assert 'passed over' not in command(*NETWORK, *CAT, '--query', 'photos/b.png', '--out', 'found')[1]


def test_results_that_no_query_finds_may_lie_below_the_photographs(command):
    assert command(*NETWORK, *CAT, '--query', 'photos/*.jpg', 'photos/more', '--out', 'photos/more/found')[0] == 0
    assert command(*NETWORK, *CAT, '--query', 'photos', '--out', 'photos/found')[0] == 0


def test_a_small_size_is_remarked_on_once(command):
    out = command(*NETWORK, *CAT, '--query', 'photos/b.png')[1]
    assert out.count('--size 33 is small: below about 200 pixels') == 1
    assert 'is small' not in command('--weights=narrow.safetensors', '--size=200', *CAT, '--query', 'photos/b.png')[1]


def segmentation(label_share):
    """[20, 50] pixels with a part of the second of two classes, and none of the first."""
    labels = np.zeros((20, 50), np.uint8)
    labels.ravel()[: round(label_share * labels.size)] = 2
    logits = np.eye(3, dtype=np.float32)[labels] * 20
    return pj.Segmentation(logits, (20, 50), ('cat', 'dog'), {'cat': 0.7, 'dog': 0.2})


def test_the_overlay_leaves_a_photograph_as_bright_as_it_is(tmp_path):
    write_prediction(segmentation(0.1), np.full((20, 50, 3), 100, np.uint8), tmp_path, 'gray', legend=False)
    with Image.open(tmp_path / 'gray-overlay.jpg') as file:
        picture = np.asarray(file).astype(int)
    assert (abs(picture[-1, -1] - 100) <= 2).all()
    assert (abs(picture[0, -1] - 100) > 20).any()


def test_classes_of_next_to_no_pixel_are_not_said_to_be_found():
    entries = [{'shares': {'cat': 0.0, 'dog': share}} for share in (0.0009, 0.5)]
    assert images_with(('cat', 'dog'), entries) == {'cat': 0, 'dog': 1}


def test_the_legend_lists_no_class_of_next_to_no_pixel():
    rows = [legend_rows({'cat': 0.0, 'dog': share}) for share in (0.0009, 0.001)]
    assert [text for row in rows for _, text in row] == ['nothing found', 'dog 0.1%']
    assert rows[1][0][0] == tuple(way_color(2))


def test_a_log_tells_how_far_it_has_come(capsys):
    assert list(progress('abc', 'segmenting', 3, seconds=0)) == ['a', 'b', 'c']
    assert capsys.readouterr().err == 'segmenting: 1 of 3\nsegmenting: 2 of 3\n'
    assert list(progress('abc', 'segmenting', 3)) == ['a', 'b', 'c']
    assert capsys.readouterr().err == ''
