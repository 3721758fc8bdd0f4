"""A folder in PASCAL VOC's layout: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

import concurrent.futures
from pathlib import Path

import numpy as np
from tqdm import tqdm

from panet_jax.datasets.source import Sample, list_folder, read_image
from panet_jax.episode import IGNORE
from panet_jax.errors import InputError

VOC_CLASSES = (
    *('aeroplane', 'bicycle', 'bird', 'boat', 'bottle'),
    *('bus', 'car', 'cat', 'chair', 'cow'),
    *('diningtable', 'dog', 'horse', 'motorbike', 'person'),
    *('pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'),
)
# SBD's masks in VOC's format, as segmentation papers pass them around; needed for `trainaug`.
AUGMENTED = 'SegmentationClassAug'


class VocFolder:
    """Images and palette masks of one image list as a random-access Source.

    Args:
        root: the folder that holds JPEGImages, or one above it (`VOCdevkit/VOC2012` is found).
        split: name of a list in ImageSets/Segmentation: 'train', 'val', 'trainval', 'trainaug'.
    """

    classes = VOC_CLASSES

    def __init__(self, root, split):
        self._root = _find_root(Path(root))
        self._ids = _read_list(self._root, split)
        augmented = self._root / AUGMENTED
        self._labels = augmented if augmented.is_dir() else self._root / 'SegmentationClass'
        self.presence = self._scan(split)

    def __len__(self):
        return len(self._ids)

    def __getitem__(self, index):
        path = self._root / 'JPEGImages' / f'{self._ids[index]}.jpg'
        image = np.asarray(read_image(path).convert('RGB'))
        label = self._label(index)
        if image.shape[:2] != label.shape:
            raise InputError(
                f'{path} is {image.shape[1::-1]} pixels but its mask is {label.shape[::-1]}; mend or remove it.'
            )
        return Sample(image, label)

    def instances(self, index):
        """[H, W] int32 from SegmentationObject: 0 for no object or void, else the object's number."""
        numbers = _read_mask(self._root / 'SegmentationObject' / f'{self._ids[index]}.png')
        return np.where(numbers == IGNORE, 0, numbers).astype(np.int32)

    def name(self, index):
        """The image's VOC id, such as 2007_000032."""
        return self._ids[index]

    def _label(self, index):
        path = self._labels / f'{self._ids[index]}.png'
        label = _read_mask(path)
        wrong = label[(label > len(self.classes)) & (label != IGNORE)]
        if wrong.size:
            raise InputError(
                f'{path} has the value {wrong[0]}, but a mask has 0..{len(self.classes)}, and 255 for void.'
            )
        return label

    def _scan(self, split):
        """Reads every mask once, to know which image shows which class."""
        presence = np.zeros((len(self), len(self.classes)), bool)

        def scan(index):
            shown = np.unique(self._label(index))
            presence[index, shown[(shown > 0) & (shown != IGNORE)] - 1] = True

        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(tqdm(pool.map(scan, range(len(self))), f'masks of {split}', len(self), leave=False, disable=None))
        return presence


def _find_root(root):
    for folder in (root, root / 'VOC2012', root / 'VOCdevkit' / 'VOC2012'):
        if (folder / 'JPEGImages').is_dir():
            return folder
    raise InputError(
        f"--config.data.root must be a folder in PASCAL VOC's layout, but there is no JPEGImages in {str(root)!r} "
        '(nor in VOCdevkit/VOC2012 below it).'
    )


def _read_list(root, split):
    lists = root / 'ImageSets' / 'Segmentation'
    path = lists / f'{split}.txt'
    if not path.is_file():
        there = ', '.join(sorted(p.stem for p in lists.glob('*.txt'))) or 'none'
        raise InputError(
            f'no image list {path}; lists there: {there}. Choose with --config.data.train_split= and '
            '--config.data.test_split=.'
        )
    # The authors' trainaug list has two paths a line; the id is the stem of the first.
    ids = [Path(line.split()[0]).stem for line in path.read_text().splitlines() if line.strip()]
    if not ids:
        raise InputError(f'the image list {path} is empty.')
    missing = [i for i in ids if f'{i}.jpg' not in list_folder(root / 'JPEGImages')]
    if missing:
        raise InputError(
            f'{len(missing)} of the {len(ids)} images of {path} are not in JPEGImages, the first is {missing[0]}.jpg.'
        )
    return ids


def _read_mask(path):
    mask = read_image(path)
    if mask.mode not in ('P', 'L'):
        raise InputError(
            f'{path} must be a palette or grey PNG whose values are class numbers, but its mode is {mask.mode}.'
        )
    return np.asarray(mask)
