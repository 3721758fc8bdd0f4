"""`panet-jax predict --format`, as typed: files of other programs, interrupted runs, folders of references."""

import contextlib
import io
import json

import numpy as np
import pytest
from drawn import draw_disc
from folders import make_own
from PIL import Image
from pycocotools.coco import COCO

import panet_jax as pj
from panet_jax.commands import cli
from panet_jax.commands.queries import query_root
from panet_jax.segmenter.fingerprint import fingerprint


@pytest.fixture
def command(current_folder, capsys, narrow_params):
    """Runs the command in a folder with weights, an annotated image and three others."""
    pj.save_encoder_params('narrow.safetensors', narrow_params)
    for name, folder in (('cat', ''), ('a', 'in/'), ('b', 'in/'), ('a', 'in/more/')):
        (current_folder / folder).mkdir(exist_ok=True)
        image, mask = draw_disc(len(name + folder), shape=(50, 70))
        Image.fromarray(image).save(f'{folder}{name}.jpg', quality=95)
        if not folder:
            Image.fromarray(mask).save(f'{name}.png')

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.run(['predict', '--weights=narrow.safetensors', '--size=33', *map(str, arguments)])
        out, err = capsys.readouterr()
        assert 'Traceback' not in err
        return ended.value.code, out, err

    return run


CAT = ('--support', 'cat=cat.jpg:cat.png')
QUERY = (*CAT, '--query', 'in/**/*.jpg', '--out', 'out', '--batch', '1')


def annotations(folder):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(folder / 'annotations.json'))


def entries(folder):
    return {entry['image']: entry for entry in json.loads((folder / 'predictions.json').read_text())['images']}


def test_files_have_the_names_that_scripts_rely_on_and_every_pixel(command, tmp_path):
    status, out, _ = command(*QUERY, '--format', 'coco', '--format', 'yolo', '--format', 'voc')
    assert status == 0
    assert 'coco: out/annotations.json' in out
    data = annotations(tmp_path / 'out')
    assert [one['file_name'] for one in data.imgs.values()] == ['a.jpg', 'b.jpg', 'more/a.jpg']
    assert [one['name'] for one in data.cats.values()] == ['cat']
    for number, stem in enumerate(('a', 'b', 'a-2'), 1):
        painted = sum(
            (data.annToMask(one) for one in data.loadAnns(data.getAnnIds(number))), np.zeros((50, 70), np.uint8)
        )
        with (
            Image.open(tmp_path / f'out/{stem}.png') as labels,
            Image.open(tmp_path / f'out/SegmentationClass/{stem}.png') as voc,
        ):
            np.testing.assert_array_equal(painted, labels)
            np.testing.assert_array_equal(voc, labels)
        assert (tmp_path / f'out/labels/{stem}.txt').is_file()
    assert all('score' in one for one in data.anns.values())
    assert (tmp_path / 'out/data.yaml').is_file()


def test_predictions_tell_of_objects_and_of_their_run(command, tmp_path):
    command(*QUERY, '--absent-above', 1)
    results = json.loads((tmp_path / 'out/predictions.json').read_text())
    (run,) = results['runs']
    assert (run['references'], run['absent_above'], run['present_above']) == (['cat=cat.jpg:cat.png'], 1, None)
    assert run['decided_by'] is None
    for number, entry in enumerate(results['images'], 1):
        objects = (
            pj.Segmenter('narrow.safetensors', size=33).fit({'cat': [('cat.jpg', 'cat.png')]}).predict(entry['image'])
        )
        objects = objects.objects()
        assert (entry['id'], entry['run'], entry['regions']) == (number, run['id'], {'cat': len(objects)})
        assert entry['present'] == ['cat']
        left, top, right, bottom = np.array([one.box for one in objects]).T
        assert entry['boxes'] == {'cat': [left.min(), top.min(), right.max(), bottom.max()]}
        assert 0 < entry['scores']['cat'] <= 1


def test_exports_beside_a_review_are_called_drafts(command, tmp_path):
    assert 'the drafts, not what was decided' not in command(*QUERY, '--format', 'coco')[1]
    (tmp_path / 'out/review').mkdir()
    assert (
        'the drafts, not what was decided in the review; type panet-jax demo --project=out'
        in command(*QUERY, '--format', 'coco')[1]
    )


def test_what_is_done_is_not_done_again(command, tmp_path):
    assert command(*QUERY)[0] == 0
    whole = (tmp_path / 'out/predictions.json').read_text()
    (tmp_path / 'out/predictions.json').write_text('{"images": [], "failed": []}')  # as after a kill
    for name in ('objects/b.json', 'a-2-overlay.jpg'):
        (tmp_path / 'out' / name).unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / 'out').glob('*.png')}
    status, out, _ = command(*QUERY, '--format', 'coco')
    assert (status, '1 image(s) were done before' in out, '3 image(s) in out' in out) == (0, True, True)
    changed = {path.name for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert changed == {'b.png', 'a-2.png'}
    assert (tmp_path / 'out/predictions.json').read_text() == whole
    assert len(annotations(tmp_path / 'out').imgs) == 3


@pytest.mark.parametrize(
    'change', [('--absent-above', 0.9), ('--support', 'cat=in/a.jpg:box=1,1,30,30'), ('--head', 'panet')]
)
def test_what_was_done_otherwise_is_done_again(command, change):
    assert command(*QUERY)[0] == 0
    assert 'done before' in command(*QUERY)[1]
    assert 'done before' not in command(*QUERY, *change)[1]


def test_a_photograph_that_has_changed_is_done_again(command, tmp_path):
    assert command(*QUERY)[0] == 0
    Image.fromarray(draw_disc(9, shape=(50, 70))[0]).save('in/b.jpg')
    assert '2 image(s) were done before' in command(*QUERY)[1]


def test_ids_stay_when_photographs_are_added(command, tmp_path):
    command(*QUERY, '--format', 'coco')
    before = {one['file_name']: key for key, one in annotations(tmp_path / 'out').imgs.items()}
    Image.fromarray(draw_disc(9, shape=(50, 70))[0]).save('in/a0.jpg')
    command(*QUERY, '--format', 'coco')
    after = {one['file_name']: key for key, one in annotations(tmp_path / 'out').imgs.items()}
    assert after == {**before, 'a0.jpg': 4}


def test_an_export_has_the_results_of_all_runs(command, tmp_path):
    command(*CAT, '--query', 'in/more', '--out', 'out', '--format', 'coco')
    assert [one['file_name'] for one in annotations(tmp_path / 'out').imgs.values()] == ['a.jpg']
    command(*CAT, '--query', 'in', '--out', 'out', '--format', 'coco')
    assert {one['file_name'] for one in annotations(tmp_path / 'out').imgs.values()} == {'more/a.jpg', 'a.jpg', 'b.jpg'}


def test_one_bad_photograph_does_not_stop_the_others(command, tmp_path):
    (tmp_path / 'in/b.jpg').write_bytes(b'no image')
    status, out, _ = command(*QUERY, '--format', 'coco', '--format', 'yolo')
    assert (status, 'could not be segmented:\n  in/b.jpg is no image' in out) == (1, True)
    assert [one['file_name'] for one in annotations(tmp_path / 'out').imgs.values()] == ['a.jpg', 'more/a.jpg']


def test_small_objects_are_left_out_of_exports_alone(command, tmp_path):
    command(*QUERY, '--format', 'coco', '--min-area', 50 * 70)
    assert annotations(tmp_path / 'out').anns == {}
    assert all(entry['regions']['cat'] for entry in entries(tmp_path / 'out').values())


def test_references_may_come_from_a_folder(command, tmp_path):
    make_own(tmp_path / 'refs')
    status, out, _ = command('--support-dir', 'refs', *CAT, '--query', 'in', '--out', 'out', '--sheet', 'sheet.png')
    assert (status, 'label 1 is cat, label 2 is dog' in out, '2 image(s) are drawn in sheet.png' in out) == (
        0,
        True,
        True,
    )
    with Image.open('sheet.png') as sheet:
        assert sheet.width > 300
    status, _, err = command('--support-dir', 'in', '--query', 'in')
    assert (status, "'in' has none of: images/ and masks/" in err) == (2, True)
    assert 'there is no folder nowhere of references' in command('--support-dir', 'nowhere', '--query', 'in')[2]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ('--query', 'in', '--format', 'yollo'),
            "must be one of coco, yolo, voc, label-studio, tiff, got 'yollo'; did you mean",
        ),
        (('--query', 'in', '--min-area', '1.5'), 'wants a whole number from 1'),
        (('--query', 'in', '--sheet', 'sheet.gif'), '--sheet sheet.gif must end in'),
        (('--query', 'in/*.jpg', '--out', 'new', '--format', 'coco'), 'the results would replace new/annotations.json'),
        (('--query', 'in/**/*.jpg', '--out', 'in/x', '--format', 'yolo'), 'in/x'),
    ],
)
def test_mistakes_are_told_before_any_work(command, tmp_path, arguments, message):
    (tmp_path / 'new').mkdir()
    (tmp_path / 'new/annotations.json').write_text('mine')
    before = sorted(tmp_path.rglob('*'))
    status, _, err = command(*CAT, *arguments)
    assert status == 2
    assert message in err
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize(
    ('patterns', 'root'),
    [
        (['in'], 'in'),
        (['in/*.jpg'], 'in'),
        (['in/**/*.jpg'], 'in'),
        (['in/b.jpg'], 'in'),
        (['in/more', 'in/b.jpg'], 'in'),
        (['in/more/a.jpg', 'cat.jpg'], ''),
    ],
)
def test_file_names_are_relative_to_the_folder_of_the_query(command, tmp_path, patterns, root):
    assert query_root(patterns) == tmp_path / root


def test_the_fingerprint_tells_results_apart(narrow_params):
    def segmenter(size=33, **options):
        image, mask = draw_disc(0)
        return pj.Segmenter(narrow_params, size, **options).add('cat', image, mask)

    other = segmenter().add('cat', *draw_disc(1))
    texts = [
        fingerprint(segmenter()),
        fingerprint(segmenter(), 0.5),
        fingerprint(other),
        fingerprint(segmenter(head='panet')),
    ]
    texts += [fingerprint(segmenter(size=41)), fingerprint(segmenter(dtype='bfloat16'))]
    assert len(set(texts)) == len(texts)
    assert fingerprint(segmenter(batch=1)) == texts[0]
