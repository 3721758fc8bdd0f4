"""Preparing a list: once, whole, and the same however it was interrupted."""

import os
import re
import subprocess
import sys
import textwrap
import time
import zipfile

import numpy as np
import pytest
import tensorflow_datasets as tfds
from folders import make_coco, make_own, make_voc, prepared
from limits import largest_file

from panet_jax.datasets.cache import cached
from panet_jax.datasets.custom import open_custom
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepare import VERSION, fingerprint, is_prepared
from panet_jax.datasets.prepared import Prepared
from panet_jax.datasets.voc import VocLayout
from panet_jax.errors import InputError
from panet_jax.images.resize import resize


def make_own_coco(root):
    """Photographs and a json in one folder."""
    path = make_coco(root)
    for photo in (root / 'train2014').iterdir():
        photo.rename(root / photo.name)
    path.rename(root / 'instances_all.json')
    (root / 'train2014').rmdir()
    (root / 'annotations').rmdir()


def test_examples_are_a_tensorflow_data_set_in_the_order_of_the_list(tmp_path):
    folder = make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    data = tfds.builder_from_directory(str(source.folder)).as_data_source('images')
    assert [example['name'].decode() for example in data] == [f'2007_{i:06d}' for i in range(12)]
    raw = tfds.builder_from_directory(str(source.folder)).as_data_source(
        'images', decoders={'image': tfds.decode.SkipDecoding()}
    )
    assert raw[4]['image'] == (folder / 'JPEGImages/2007_000004.jpg').read_bytes()


def test_nothing_is_prepared_twice_but_a_changed_file_is(tmp_path):
    make_voc(tmp_path)
    arguments = ('pascal5i', 'trainval', tmp_path, tmp_path / 'home')
    first = prepare_list(*arguments)
    written = {path: path.stat().st_mtime_ns for path in first.iterdir()}
    assert prepare_list(*arguments) == first
    assert {path: path.stat().st_mtime_ns for path in first.iterdir()} == written
    mask = tmp_path / 'VOCdevkit/VOC2012/SegmentationClass/2007_000003.png'
    os.utime(mask, ns=(1, 1))
    second = prepare_list(*arguments)
    assert second != first
    assert is_prepared(second)


LISTS = {
    'masks': (make_own, 'custom', 'all', ('.', 'images', 'masks')),
    'folders of masks': (lambda root: make_own(root, by_class=True), 'custom', 'all', ('.', 'images')),
    'json': (make_own_coco, 'custom', 'instances_all', ('.',)),
    'coco': (make_coco, 'coco20i', 'train2014', ('.', 'annotations', 'train2014')),
    'voc': (make_voc, 'pascal5i', 'trainval', ('.', *(f'VOCdevkit/VOC2012/{name}' for name in ('', 'JPEGImages')))),
}


@pytest.mark.parametrize('kind', LISTS)
def test_a_file_that_the_list_does_not_read_changes_nothing(tmp_path, kind):
    make, dataset, split, folders = LISTS[kind]
    make(tmp_path / 'data')
    arguments = (dataset, split, tmp_path / 'data', tmp_path / 'home')
    first = prepare_list(*arguments)
    for folder in folders:
        (tmp_path / 'data' / folder / '.log.txt').write_text('step 1')
        if folder not in ('masks', 'images'):
            (tmp_path / 'data' / folder / 'run.log').write_text('step 1')
            (tmp_path / 'data' / folder / 'picture.png').write_bytes(b'')
    assert prepare_list(*arguments) == first
    photo = sorted((tmp_path / 'data').rglob('*.jpg'))[0]
    os.utime(photo, ns=(1, 1))
    assert prepare_list(*arguments) != first


def test_a_photograph_beside_an_archive_that_changed_is_noticed(tmp_path):
    folder = make_voc(tmp_path)
    with zipfile.ZipFile(tmp_path / 'SegmentationClassAug.zip', 'w') as file:
        file.writestr('SegmentationClassAug/none.png', b'')
    before = fingerprint(VocLayout(tmp_path, 'trainval'))
    (folder / 'run.log').write_text('step 1')
    assert fingerprint(VocLayout(tmp_path, 'trainval')) == before
    os.utime(folder / 'SegmentationObject/2007_000003.png', ns=(1, 1))
    assert fingerprint(VocLayout(tmp_path, 'trainval')) != before


def test_a_preparation_warns_of_those_that_it_supersedes(tmp_path, caplog):
    make_own(tmp_path / 'own')
    arguments = ('custom', 'all', tmp_path / 'own', tmp_path / 'home')
    prepare_list(*arguments)
    assert 'clean' not in caplog.text
    (tmp_path / 'own/classes.txt').write_text('cat\nhorse\n')
    prepare_list(*arguments)
    assert re.search(
        r'1 outdated prepared list\(s\) take 0\.\d MB; panet-jax data clean --prepared-dir=\S+ removes them',
        caplog.text,
    )


def test_unreadable_images_are_skipped_only_when_asked(tmp_path):
    folder = make_voc(tmp_path)
    (folder / 'JPEGImages/2007_000003.jpg').write_bytes(b'not an image')
    layout = VocLayout(tmp_path, 'trainval')
    with pytest.raises(InputError, match=r'2007_000003\.jpg is no image.*--config\.data\.skip_unreadable=True'):
        prepared(layout, tmp_path / 'home')
    assert not list((tmp_path / 'home').glob(f'*/*/{VERSION}'))
    source = prepared(layout, tmp_path / 'home', skip_unreadable=True)
    assert len(source) == 11
    assert [name for name, _ in source.skipped] == ['2007_000003']
    assert '2007_000003.jpg is no image' in source.skipped[0][1]
    assert source.name(3) == '2007_000004'
    assert source.presence[3, 0]  # image 4 of classes 1, 2, 3, 4, 1, ...
    assert fingerprint(layout, True) != fingerprint(layout, False)


def test_nothing_left_after_skipping_is_an_error(tmp_path):
    folder = make_voc(tmp_path, count=2)
    for path in (folder / 'JPEGImages').iterdir():
        path.write_bytes(b'')
    with pytest.raises(InputError, match='no image can be used; 2 were skipped'):
        prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home', skip_unreadable=True)


PREPARE_SLOWLY = """
    import sys, time
    from panet_jax.datasets.open import prepare_list
    from panet_jax.datasets import voc
    record = voc.VocLayout.record
    def slow(self, name):
        time.sleep(0.05)
        with open(sys.argv[3], 'a') as reads:
            reads.write('x')
        return record(self, name)
    voc.VocLayout.record = slow
    print(prepare_list('pascal5i', 'trainval', sys.argv[1], sys.argv[2]))
"""


def start_slowly(folder):
    command = [sys.executable, '-c', textwrap.dedent(PREPARE_SLOWLY), folder, folder / 'home', folder / 'reads']
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_kill_9_leaves_nothing_that_looks_finished(tmp_path):
    make_voc(tmp_path, count=150)
    home = tmp_path / 'home'
    with start_slowly(tmp_path) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / 'reads').exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    (rest,) = home.glob('pascal5i/*/*incomplete*')
    assert not list(home.glob(f'pascal5i/*/{VERSION}'))
    folder = prepare_list('pascal5i', 'trainval', tmp_path, home)
    assert len(Prepared(folder)) == 150
    assert not rest.exists()


def test_two_processes_prepare_once(tmp_path):
    make_voc(tmp_path)
    processes = [start_slowly(tmp_path) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0].splitlines() for process in processes]
    assert outputs[0][-1] == outputs[1][-1]
    assert (tmp_path / 'reads').read_text() == 12 * 'x'


def test_tensorflow_is_not_imported(tmp_path):
    make_voc(tmp_path)
    code = """
        import sys
        from panet_jax.datasets.prepared import Prepared
        from panet_jax.datasets.open import prepare_list
        print(len(Prepared(prepare_list('pascal5i', 'trainval', sys.argv[1], sys.argv[2]))))
        print({'tensorflow', 'cv2'} & set(sys.modules))
    """
    command = [sys.executable, '-c', textwrap.dedent(code), str(tmp_path), str(tmp_path / 'home')]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == '12\nset()\n'


@pytest.mark.parametrize(
    'error', [OSError(28, 'No space left on device'), RuntimeError('write() failed: No space left on device; ...')]
)
def test_a_full_disk_is_one_sentence(tmp_path, error, monkeypatch):
    make_voc(tmp_path)

    def full(*_, **__):
        raise error

    monkeypatch.setattr('array_record.python.array_record_module.ArrayRecordWriter', full)
    with pytest.raises(InputError, match=r'could not write to .*No space left.*--config\.data\.prepared_dir'):
        prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')


def test_what_is_not_a_prepared_folder_is_named(tmp_path):
    with pytest.raises(InputError, match='are damaged'):
        Prepared(tmp_path)
    source = prepared(open_custom(make_own(tmp_path / 'own'), 'all'), tmp_path / 'home')
    (source.folder / 'metadata.json').write_text('{')
    with pytest.raises(InputError, match='remove that folder, and run again'):
        Prepared(source.folder)


def test_the_cache_is_the_resized_images_written_once(tmp_path):
    make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    first = cached(source, 17)
    assert len(first) == 12
    for index in range(12):
        for a, b in zip(first[index], resize(source[index], 17), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(first.instances(index), source.instances(index))
    written = (source.folder / 'resized-17/images.npy').stat()
    np.testing.assert_array_equal(cached(source, 17)[3].image, first[3].image)
    assert (source.folder / 'resized-17/images.npy').stat().st_mtime_ns == written.st_mtime_ns


@pytest.mark.parametrize('damage', [b'', b'\x93NUMPY', 300])
def test_a_cache_that_is_cut_off_or_of_another_list_is_written_anew(tmp_path, damage):
    make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    expected = np.array(cached(source, 17)[3].image)
    path = source.folder / 'resized-17' / 'images.npy'
    (path.parent / '.images.npy.tmp').write_bytes(b'left by a run that was killed')
    path.write_bytes(path.read_bytes()[:damage] if isinstance(damage, int) else damage)
    np.testing.assert_array_equal(cached(source, 17)[3].image, expected)
    assert {path.name for path in path.parent.iterdir()} == {'images.npy', 'labels.npy', '.lock'}


def test_damaged_prepared_data_are_one_sentence(tmp_path):
    make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    (path,) = source.folder.glob('*array_record*')
    content = path.read_bytes()
    for damaged in (b'', content[: len(content) // 2], content[:-20]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match='remove that folder, and run again'):
            _ = [Prepared(source.folder)[index] for index in range(12)]


def test_a_file_that_cannot_be_opened_is_named_and_can_be_skipped(tmp_path):
    folder = make_voc(tmp_path)
    (folder / 'JPEGImages/2007_000003.jpg').unlink()
    (folder / 'JPEGImages/2007_000003.jpg').symlink_to('/nowhere.jpg')
    layout = VocLayout(tmp_path, 'trainval')
    with pytest.raises(InputError, match=r'2007_000003\.jpg cannot be read \(No such file'):
        prepared(layout, tmp_path / 'home')
    assert len(prepared(layout, tmp_path / 'home', skip_unreadable=True)) == 11


def test_a_place_that_cannot_be_made_is_one_sentence(tmp_path):
    make_voc(tmp_path)
    (tmp_path / 'file').touch()
    with pytest.raises(InputError, match=r'cannot be made .*--config\.data\.prepared_dir'):
        prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'file')


def test_a_cache_without_room_is_one_sentence_and_leaves_nothing(tmp_path):
    make_voc(tmp_path)
    source = prepared(VocLayout(tmp_path, 'trainval'), tmp_path / 'home')
    with largest_file(1000), pytest.raises(InputError, match=r'needs .* GB in .* \(File too large\); make room'):
        cached(source, 17)
    assert [path.name for path in (source.folder / 'resized-17').iterdir()] == ['.lock']
