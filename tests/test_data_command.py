"""`panet-jax data check` and `panet-jax data prepare`, as typed."""

import contextlib
import io
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from folders import make_coco, make_official_voc, make_own, make_voc
from PIL import Image

from panet_jax.commands import cli
from panet_jax.datasets.prepare import VERSION


@pytest.fixture
def command(monkeypatch, tmp_path, tmp_path_factory, capsys):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'home'))

    def run(*arguments):
        with pytest.raises(SystemExit) as end:
            cli.run(['data', *map(str, arguments)])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    with contextlib.chdir(tmp_path_factory.mktemp('current')):
        yield run


def row(text, name):
    return re.search(rf'^  {name} +(.*)$', text, re.MULTILINE)[1].split()


def test_check_counts_and_says_that_training_can_start(command, tmp_path):
    make_voc(tmp_path, count=60, classes=20)
    status, out, _ = command('check', tmp_path)
    assert status == 0
    assert "PASCAL VOC's layout" in out
    assert 'SegmentationClass: 60 masks' in out
    assert 'no trainaug' in out
    assert row(out, 'images') == ['60']
    assert row(out, 'cow') == ['3']
    assert 'Training can start on trainval (1 support and 1 query image(s)).' in out
    status, out, _ = command('check', tmp_path, '--shots=3')
    assert status == 1
    assert 'aeroplane has 3 image(s), but an episode needs 3 support and 1 query' in out


def test_check_finds_everything_that_is_wrong(command, tmp_path):
    folder = make_voc(tmp_path, count=60, classes=20)
    (folder / 'JPEGImages/2007_000007.jpg').write_bytes(b'')
    Image.fromarray(np.full((30, 40), 99, np.uint8)).save(folder / 'SegmentationClass/2007_000009.png')
    Image.fromarray(np.zeros((3, 4), np.uint8)).save(folder / 'SegmentationClass/2007_000011.png')
    (folder / 'ImageSets/Segmentation/more.txt').write_text('2007_000001\n2008_000001\n')
    status, out, _ = command('check', tmp_path)
    assert status == 1
    assert '4 problem(s)' in out
    assert '2007_000007.jpg is empty' in out
    assert '2007_000009.png has the value 99' in out
    assert '2007_000011.png is (40, 30) pixels but the class mask is (4, 3)' in out
    assert "1 of the 2 images of 'more' have no photograph" in out
    assert 'Training cannot start.' in out


def test_check_reads_archives_coco_and_own_folders(command, tmp_path):
    (tmp_path / 'voc').mkdir()
    make_official_voc(tmp_path / 'voc')
    status, out, _ = command('check', tmp_path / 'voc')
    assert status == 1  # tiny
    assert row(out, 'images') == ['4', '6', '7', '3']
    make_coco(tmp_path / 'coco', classes=4)
    status, out, _ = command('check', tmp_path / 'coco')
    assert (status, row(out, 'a')) == (0, ['8'])
    make_own(tmp_path / 'own')
    assert 'without a mask' not in command('check', tmp_path / 'own')[1]
    (tmp_path / 'own/masks/photo 2.png').unlink()
    status, out, _ = command('check', tmp_path / 'own')
    assert status == 1
    assert '1 image(s) without a mask are left out, the first is photo 2' in out
    assert '2 class(es) are too few for four folds; name the unseen ones with --unseen=' in out


def test_check_knows_named_unseen_classes_and_a_voc_folder_with_a_json(command, tmp_path):
    make_own(tmp_path / 'own')
    assert command('check', tmp_path / 'own', '--unseen=dog')[0] == 0
    assert "there is no class 'horse'" in command('check', tmp_path / 'own', '--unseen=horse')[1]
    assert 'no class is left to train on' in command('check', tmp_path / 'own', '--unseen=dog,cat')[1]
    folder = make_voc(tmp_path / 'voc', count=60, classes=20)
    (folder / 'notes.json').write_text('{}')
    status, out, _ = command('check', folder)
    assert status == 0
    assert "PASCAL VOC's layout" in out


def test_check_draws_a_sheet_but_not_into_the_data(command, tmp_path):
    make_own(tmp_path / 'own')
    (tmp_path / 'own/images/photo 3.jpg').write_bytes(b'')
    _, out, _ = command('check', tmp_path / 'own')
    assert '5 image(s) with their masks are drawn in own-sheet.png' in out
    with Image.open('own-sheet.png') as sheet:
        assert sheet.width > 1000
    _, out, _ = command('check', tmp_path / 'own', '--sheet=sheets/mine.png')
    assert Path('sheets/mine.png').is_file()
    before = sorted(tmp_path.rglob('*'))
    with contextlib.chdir(tmp_path / 'own/images'):
        assert 'are drawn' not in command('check', tmp_path / 'own')[1]
        assert 'are drawn' not in command('check', tmp_path / 'own', '--sheet=')[1]
    assert sorted(tmp_path.rglob('*')) == before
    status, _, err = command('check', tmp_path / 'own', '--sheet=mine.txt')
    assert (status, '--sheet must end in .png or .jpg' in err) == (2, True)


def test_prepare_names_its_own_flags_and_what_it_left_out(command, tmp_path):
    make_own(tmp_path / 'own')
    (tmp_path / 'own/images/photo 3.jpg').write_bytes(b'')
    status, _, err = command('prepare', 'custom', f'--root={tmp_path}/own')
    assert status == 2
    assert 'photo 3.jpg is empty' in err
    assert '--config' not in err
    assert '--skip-unreadable' in err
    status, out, _ = command('prepare', 'custom', f'--root={tmp_path}/own', '--skip-unreadable')
    assert status == 0
    assert "1 of the 6 images of 'all' are left out, the first is photo 3" in out
    status, _, err = command('prepare', 'custom', f'--root={tmp_path}/own', '--prepared-dir=/proc/x')
    assert status == 2
    assert 'cannot be made' in err


def test_check_of_a_benchmark_says_what_is_prepared(command, tmp_path):
    status, out, _ = command('check', 'pascal5i')
    assert status == 1
    assert 'VOCtrainval_11-May-2012.tar: not downloaded (2.0 GB)' in out
    assert 'There is no image list.' in out
    make_voc(tmp_path, count=60, classes=20)
    status, out, _ = command('prepare', 'pascal5i', f'--root={tmp_path}', '--list=trainval')
    assert status == 0
    assert 'trainval-' in out
    status, out, _ = command('check', 'pascal5i')
    assert (status, row(out, 'cow')) == (0, ['3'])


def prepared_three_times(command, folder):
    """Lists of one folder as it was, as it was then, and as it is; the last is that of the files."""
    make_own(folder / 'own')
    for names in ('cat\ndog\n', 'cat\nhorse\n', 'cow\nhorse\n'):
        (folder / 'own/classes.txt').write_text(names)
        command('prepare', 'custom', f'--root={folder}/own')
    return sorted((folder / 'home/custom').iterdir(), key=lambda path: (path / VERSION).stat().st_mtime_ns)


def test_clean_removes_what_is_superseded_and_nothing_else(command, tmp_path):
    first, second, third = prepared_three_times(command, tmp_path)
    make_own(tmp_path / 'other')
    command('prepare', 'custom', f'--root={tmp_path}/other')
    command('prepare', 'custom', f'--root={tmp_path}/own', '--skip-unreadable')
    home = tmp_path / 'home'
    earlier = shutil.copytree(third / VERSION, home / 'custom/all-0123abcd/1.1.0')
    later = shutil.copytree(third / VERSION, home / 'custom/all-0123abcd/99.0.0')
    killed = home / f'custom/all-89abcdef/{VERSION}.incompleteXYZ'
    for path in (killed, home / f'custom/all-76543210/{VERSION}.incompleteXYZ'):
        path.mkdir(parents=True)
        (path / 'part').touch()
    for path in (killed, killed / 'part'):
        os.utime(path, (1, 1))
    for path in (f'custom/mine/{VERSION}/a.jpg', f'custom/all-11111111/{VERSION}/a.jpg', 'voc/all-01234567/1.0.0/a'):
        (home / path).parent.mkdir(parents=True)
        (home / path).touch()
    shutil.copytree(third / VERSION, home / 'custom/holiday/1.0.0')
    before = set(home.rglob('*'))
    gone = {first / VERSION, second / VERSION, earlier, killed}
    status, out, _ = command('clean')
    assert status == 0
    assert {Path(line.split('  ')[0]) for line in out.splitlines()[:-1]} == gone
    assert 'own has changed since' in out
    assert 'nothing was removed; --yes removes them' in out
    assert set(home.rglob('*')) == before
    status, out, _ = command('clean', '--yes')
    assert (status, 'removed 4 folder(s)' in out) == (0, True)
    empty = {first, second, killed.parent}
    assert before - set(home.rglob('*')) == {path for path in before if (empty | gone) & {path, *path.parents}}
    assert later.exists()
    assert 'nothing to remove' in command('clean', '--yes')[1]


def test_clean_asks_whoever_is_there(command, tmp_path, monkeypatch):
    first, *_ = prepared_three_times(command, tmp_path)
    terminal = io.StringIO('n\n\ny\n')
    terminal.isatty = lambda: True
    monkeypatch.setattr('sys.stdin', terminal)
    for there in (True, True, False):
        command('clean')
        assert first.exists() == there


def test_clean_keeps_what_the_files_are_even_if_it_is_not_the_newest(command, tmp_path):
    first, _, third = prepared_three_times(command, tmp_path)
    (tmp_path / 'own/classes.txt').write_text('cat\ndog\n')
    command('clean', '--yes')
    assert set((tmp_path / 'home/custom').iterdir()) == {first, third}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['check', '/nowhere'], "there is no folder '/nowhere'"),
        (['check', '.', '--shots=0'], "--shots wants a whole number from 1, got '0'"),
        (['check'], 'DIR_OR_NAME'),
        (['prepare', 'imagenet'], "NAME must be one of pascal5i, coco20i, custom, got 'imagenet'"),
        (['prepare', 'custom'], 'custom needs the folder'),
        (['prepare', 'pascal5i', '--root=/nowhere'], "PASCAL VOC's layout"),
        ([], 'check|prepare|clean'),
    ],
)
def test_wrong_arguments_are_one_sentence(command, arguments, message):
    status, _, err = command(*arguments)
    assert status == 2
    assert message in err
    assert 'Traceback' not in err


def test_a_folder_of_nothing_known_is_described(command, tmp_path):
    status, _, err = command('check', tmp_path)
    assert status == 2
    assert "images/ and masks/; a json in COCO's format; JPEGImages/" in err


@pytest.mark.parametrize('flag', ['--root', '--prepared-dir'])
def test_a_bucket_is_refused(command, flag):
    status, _, err = command('prepare', 'custom', '--root=.', f'{flag}=gs://bucket/folder')
    assert status == 2
    assert f'{flag} must be a path on this machine, got gs://bucket/folder' in err
    assert not list(Path().iterdir())


def test_cleaning_a_folder_that_is_not_there_is_a_mistake(command, tmp_path):
    status, _, err = command('clean', f'--prepared-dir={tmp_path}/typo')
    assert status == 2
    assert f'there is no folder {tmp_path}/typo; name the one of the prepared data with --prepared-dir=' in err
