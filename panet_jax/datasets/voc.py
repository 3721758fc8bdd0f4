"""PASCAL VOC's layout, with the masks of SBD: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

import functools
import io
from pathlib import Path

import numpy as np
import scipy.io

from panet_jax.datasets.files import Archive, Files, Folder
from panet_jax.datasets.layout import Record, objects_of, read_scribbles
from panet_jax.errors import InputError
from panet_jax.images.decode import ENDINGS, decode_mask
from panet_jax.method.episode import IGNORE

VOC_CLASSES = (
    *('aeroplane', 'bicycle', 'bird', 'boat', 'bottle'),
    *('bus', 'car', 'cat', 'chair', 'cow'),
    *('diningtable', 'dog', 'horse', 'motorbike', 'person'),
    *('pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'),
)
# Possible places of VOC's folder below the one that a user names; the last is its place in the official archive.
BELOW = ('', 'VOC2012/', 'VOCdevkit/VOC2012/')
PHOTOS = tuple(f'JPEGImages/{{}}{ending}' for ending in ENDINGS)  # VOC's own are .jpg
# SBD's masks as PNGs, which authors of segmentation papers share, come first; SBD's own files come last.
LABELS = ('SegmentationClassAug/{}.png', 'SegmentationClass/{}.png', 'cls/{}.mat')
INSTANCES = ('SegmentationObjectAug/{}.png', 'SegmentationObject/{}.png', 'inst/{}.mat')
# Scribbles that the authors of PANet published.
SCRIBBLES = 'ScribbleAugAuto/{}.png'
LISTS = 'ImageSets/Segmentation'
VOC_ARCHIVE, SBD_ARCHIVE, AUGMENTED_ARCHIVE = 'VOCtrainval_11-May-2012.tar', 'benchmark.tgz', 'SegmentationClassAug.zip'
SBD_BELOW = 'benchmark_RELEASE/dataset/'


class VocLayout:
    """A list of VOC 2012, unpacked or as its archive, with the masks of SBD if they exist.

    Args:
        root: the folder that contains JPEGImages, one above it, or one with VOC's archive. SBD may be in `root` as
            benchmark_RELEASE/ or as its archive, or beside JPEGImages as SegmentationClassAug.
        split: a list of ImageSets/Segmentation. Without a file trainaug.txt, trainaug is VOC's train and all of SBD
            except VOC's val: 10,582 images.

    Raises:
        InputError: the folder has another layout.
    """

    classes = VOC_CLASSES

    def __init__(self, root: str | Path, split: str):
        self._root, self._split = Path(root), split
        self._files, self._sbd = _open(self._root)

    @functools.cached_property
    def names(self) -> list[str]:
        """The ids of the images, such as 2007_000032.

        Raises:
            InputError: there is no such list, it is empty, or files of its images are missing.
        """
        list_file = self._files.find(f'{LISTS}/{self._split}.txt')
        if not list_file and self._split not in (lists := _lists(self._files, self._sbd)):
            augmented = self._split == 'trainaug'
            hint = f'; trainaug needs {SBD_ARCHIVE}, or SegmentationClassAug and a list' if augmented else ''
            raise InputError(
                f'no image list {self._split!r} in {LISTS} of {str(self._root)!r}{hint}; lists there: '
                f'{", ".join(lists) or "none"}. Choose with {{data.train_split=|data.test_split=}}.'
            )
        if list_file:
            names = self._read_list(self._split)
        else:
            added = {Path(name).stem for name in self._sbd.listing('cls')}
            names = sorted((added | set(self._read_list('train'))) - set(self._read_list('val')))
        if not names:
            raise InputError(f'the image list {self._split!r} of {str(self._root)!r} is empty.')
        self._check_files(names)
        return names

    def record(self, name: str) -> Record:
        """Reads the bytes of an image, and its masks.

        Args:
            name: id of the image.

        Returns:
            The Record.

        Raises:
            InputError: a file is damaged, or a mask has a wrong value or size.
        """
        label_file = self._find(LABELS, name)
        label = self._read_label(label_file)
        wrong = label[(label > len(self.classes)) & (label != IGNORE)]
        if wrong.size:
            raise InputError(
                f'{self._files.where(label_file)} has the value {wrong[0]}, but a mask has 0..{len(self.classes)}, '
                'and 255 for void.'
            )
        instance_file = self._find(INSTANCES, name)
        if instance_file is None:
            instances = objects_of(label)
        else:
            instances = self._read_instances(instance_file)
            if instances.shape != label.shape:
                raise InputError(
                    f'{self._files.where(instance_file)} is {instances.shape[::-1]} pixels but the class mask is '
                    f'{label.shape[::-1]} (width, height).'
                )
            instances = np.where(instances == IGNORE, 0, instances)
        photo = self._files.read(self._find(PHOTOS, name))
        return Record(photo, label.astype(np.uint8), instances.astype(np.uint16), self._read_scribbles(name, label))

    def where(self, name: str) -> str:
        """The name of an image's file in messages."""
        return self._files.where(self._find(PHOTOS, name))

    def stamps(self) -> list:
        """The list, and names, sizes and times of the files of its images.

        If there is an archive, those of all unpacked files: listing SBD's archive would take a minute.
        """
        if self._files.has_archives():
            places = (f'{LISTS}/.txt', f'{LISTS}/{self._split}/.txt', *PHOTOS, *LABELS, *INSTANCES, SCRIBBLES)
            parts = [(place.rpartition('/')[0], Path(place.format('x')).suffix or '.txt') for place in places]
            return self._files.stamps(file for part in parts for file in self._files.unpacked(*part))
        places = (PHOTOS, LABELS, INSTANCES, (SCRIBBLES,))
        files = (self._find(names, name) for name in self.names for names in places)
        return [self.names, self.class_lists(), self._files.stamps(file for file in files if file)]

    def class_lists(self) -> dict[int, list[str]]:
        """The authors' class1.txt to class20.txt, as util/voc_classwise_filenames.py writes them; {} without them."""
        files = {number: f'{LISTS}/{self._split}/class{number}.txt' for number in range(1, 1 + len(self.classes))}
        return {number: self._files.read_text(file).split() for number, file in files.items() if self._files.find(file)}

    def remarks(self) -> list[str]:
        """Remarks on files that exist or are missing."""
        remarks = [
            f'{folder}: {len(masks)} masks'
            for place in LABELS
            if (masks := self._files.listing(folder := place.rpartition('/')[0]))
        ]
        if 'trainaug' not in _lists(self._files, self._sbd):
            remarks.append(f'no trainaug: needs {SBD_ARCHIVE}, or SegmentationClassAug and its list')
        if not any(self._files.listing(place.rpartition('/')[0]) for place in INSTANCES):
            remarks.append('no SegmentationObject: connected regions serve as objects')
        scribbles = self._files.listing(SCRIBBLES.rpartition('/')[0])
        remarks.append(
            f'ScribbleAugAuto: {len(scribbles)} images' if scribbles else 'no ScribbleAugAuto: scribbles are made'
        )
        return remarks

    def _find(self, places, name):
        return self._files.find(*(place.format(name) for place in places))

    def _read_scribbles(self, name, label):
        file = self._files.find(SCRIBBLES.format(name))
        return read_scribbles(self._read_mask(file, ''), self._files.where(file), label) if file else None

    def _read_list(self, split):
        # The authors' trainaug list has two paths a line; the id is the stem of the first.
        lines = self._files.read_text(f'{LISTS}/{split}.txt').splitlines()
        return list(dict.fromkeys(Path(line.split()[0]).stem for line in lines if line.strip()))

    def _check_files(self, names):
        for what, places in (('photograph', PHOTOS), ('mask', LABELS)):
            missing = [name for name in names if not self._find(places, name)]
            if missing:
                raise InputError(
                    f'{len(missing)} of the {len(names)} images of {self._split!r} have no {what}, the first is '
                    f'{places[0].format(missing[0])}.'
                )

    def _read_label(self, name):
        return self._read_mask(name, 'GTcls')

    def _read_instances(self, name):
        return self._read_mask(name, 'GTinst')

    def _read_mask(self, name, key):
        data, where = self._files.read(name), self._files.where(name)
        return _read_mat(data, where, key) if name.endswith('.mat') else decode_mask(data, where)


def voc_lists(root: str | Path) -> tuple[str, ...]:
    """The image lists of a folder in VOC's layout.

    Args:
        root: the folder.

    Returns:
        The names of the lists.

    Raises:
        InputError: the folder has another layout.
    """
    return _lists(*_open(Path(root)))


def _open(root):
    """All files of VOC and SBD, and those of SBD alone."""
    voc = [Folder(root / below) for below in BELOW if (root / below / 'JPEGImages').is_dir()]
    if (root / VOC_ARCHIVE).is_file():
        voc.append(_archive(root / VOC_ARCHIVE, BELOW[-1]))
    if not voc:
        raise InputError(
            f"wanted a folder in PASCAL VOC's layout, but there is neither JPEGImages nor {VOC_ARCHIVE} in "
            f'{str(root)!r} (nor in VOCdevkit/VOC2012 below it); name it with {{data.root=FOLDER}}.'
        )
    if (root / AUGMENTED_ARCHIVE).is_file():
        voc.append(_archive(root / AUGMENTED_ARCHIVE))
    sbd = [Folder(root / SBD_BELOW)] if (root / SBD_BELOW / 'cls').is_dir() else []
    if not sbd and (root / SBD_ARCHIVE).is_file():
        sbd = [_archive(root / SBD_ARCHIVE, SBD_BELOW, '.mat')]
    return Files([*voc, *sbd]), Files(sbd)


def _archive(path, prefix='', keep=''):
    """An Archive, cached until the file changes: reading its table of contents is slow."""
    stat = path.stat()
    return _opened(path, prefix, keep, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(3)
def _opened(path, prefix, keep, *_):
    return Archive(path, prefix, keep)


def _lists(files, sbd):
    names = {Path(name).stem for name in files.listing(LISTS) if name.endswith('.txt')}
    return tuple(sorted(names | ({'trainaug'} if sbd.listing('cls') and 'val' in names else set())))


def _read_mat(data, where, key):
    """SBD's masks: a struct GTcls or GTinst with the field Segmentation."""
    try:
        return np.asarray(scipy.io.loadmat(io.BytesIO(data))[key]['Segmentation'][0, 0], np.uint16)
    except Exception as error:  # scipy's parser raises exceptions of many kinds
        raise InputError(f'{where} cannot be read as a mask of SBD ({type(error).__name__}: {error}).') from error
