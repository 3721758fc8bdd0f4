"""Small data sets on disk: VOC's, SBD's and COCO's layout, as folders and as archives, and one's own."""

import json
import tarfile
import zipfile

import numpy as np
import scipy.io
from PIL import Image
from pycocotools import mask as coco_mask

from panet_jax.datasets.prepare import PreparedPlace, fingerprint, prepare
from panet_jax.datasets.prepared import Prepared


def prepared(layout, home, **options):
    """A layout as the Source that training sees."""
    return Prepared(prepare(layout, PreparedPlace(home, 'test', 'list', fingerprint(layout)), **options))


def make_voc(root, count=12, classes=4, size=(40, 30)):
    """`count` images that show one square of class i % classes + 1 with a void outline; list 'trainval'."""
    folder = root / 'VOCdevkit' / 'VOC2012'
    for name in ('JPEGImages', 'SegmentationClass', 'SegmentationObject', 'ImageSets/Segmentation'):
        (folder / name).mkdir(parents=True)
    rng = np.random.default_rng(0)
    ids = [f'2007_{i:06d}' for i in range(count)]
    for i, name in enumerate(ids):
        label, instances = np.zeros(size[::-1], np.uint8), np.zeros(size[::-1], np.uint8)
        label[5:25, 8:28], instances[5:25, 8:28] = 255, 255
        label[6:24, 9:27], instances[6:24, 9:27] = i % classes + 1, 1
        image = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
        image.save(folder / 'JPEGImages' / f'{name}.jpg')
        for part, array in (('SegmentationClass', label), ('SegmentationObject', instances)):
            mask = Image.fromarray(array).convert('P')
            mask.putpalette(list(range(256)) * 3)
            mask.save(folder / part / f'{name}.png')
    (folder / 'ImageSets/Segmentation/trainval.txt').write_text('\n'.join(ids) + '\n')
    return folder


def make_coco(root, count=8, classes=2):
    """Categories with ids 3, 7, ...: a polygon, an RLE above it, a crowd, and one more polygon a category."""
    (root / 'annotations').mkdir(parents=True)
    (root / 'train2014').mkdir()
    rng, images, annotations = np.random.default_rng(0), [], []
    for i in range(count):
        name = f'COCO_train2014_{i:012d}.jpg'
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(root / 'train2014' / name)
        images.append({'id': i, 'file_name': name, 'height': 30, 'width': 40})
        above = np.zeros((30, 40), np.uint8)
        above[10:20, 10:20] = 1
        crowd = np.zeros((30, 40), np.uint8)
        crowd[0:12, 30:40] = 1
        rle = coco_mask.encode(np.asfortranarray(above))
        rle['counts'] = rle['counts'].decode()
        flat = crowd.ravel(order='F')
        starts = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
        counts = np.diff(np.concatenate([[0], starts, [flat.size]])).tolist()
        square = [2.0, 2.0, 16.0, 2.0, 16.0, 16.0, 2.0, 16.0]
        shown = [(3, [square], 0), (7, rle, 0), (3, {'size': [30, 40], 'counts': counts}, 1)]
        for more in range(2, classes):
            left = 16.0 + 6 * (more - 2)
            shown.append((3 + 4 * more, [[left, 22.0, left + 5, 22.0, left + 5, 28.0, left, 28.0]], 0))
        for category, segmentation, iscrowd in shown:
            annotations.append(
                {
                    'id': len(annotations),
                    'image_id': i,
                    'category_id': category,
                    'segmentation': segmentation,
                    'iscrowd': iscrowd,
                }
            )
    images.append({'id': 99, 'file_name': 'nothing.jpg', 'height': 5, 'width': 5})
    names = [{'id': 3 + 4 * c, 'name': 'abcdefgh'[c]} for c in range(classes)]
    content = {'images': images, 'annotations': annotations, 'categories': names[::-1]}
    path = root / 'annotations' / 'instances_train2014.json'
    path.write_text(json.dumps(content))
    return path


def make_sbd(root, ids):
    """SBD's masks of `ids`: class 3 with one object."""
    folder = root / 'benchmark_RELEASE' / 'dataset'
    for key, part, value in (('GTcls', 'cls', 3), ('GTinst', 'inst', 1)):
        (folder / part).mkdir(parents=True)
        for name in ids:
            mask = np.zeros((30, 40), np.uint8)
            mask[4:20, 6:30] = value
            scipy.io.savemat(folder / part / f'{name}.mat', {key: {'Segmentation': mask}}, do_compression=True)
    return folder


def make_official_voc(folder):
    """VOCtrainval_11-May-2012.tar and benchmark.tgz: 4 train, 3 val, 2 more with SBD masks, 1 without."""
    tree = folder / 'tree'
    voc = make_voc(tree, count=10)
    lists = voc / 'ImageSets/Segmentation'
    ids = [f'2007_{i:06d}' for i in range(10)]
    (lists / 'train.txt').write_text('\n'.join(ids[:4]))
    (lists / 'val.txt').write_text('\n'.join(ids[4:7]))
    (lists / 'trainval.txt').write_text('\n'.join(ids[:7]))
    for name in ids[7:]:
        (voc / 'SegmentationClass' / f'{name}.png').unlink()
        (voc / 'SegmentationObject' / f'{name}.png').unlink()
    make_sbd(tree, [ids[0], ids[5], ids[7], ids[8]])
    with tarfile.open(folder / 'VOCtrainval_11-May-2012.tar', 'w') as tar:
        tar.add(tree / 'VOCdevkit', 'VOCdevkit')
    with tarfile.open(folder / 'benchmark.tgz', 'w:gz') as tar:
        tar.add(tree / 'benchmark_RELEASE', './benchmark_RELEASE')
    return tree


def make_official_coco(folder):
    """annotations_trainval2014.zip and train2014.zip."""
    tree = folder / 'tree'
    make_coco(tree)
    for name, part in (('annotations_trainval2014', 'annotations'), ('train2014', 'train2014')):
        with zipfile.ZipFile(folder / f'{name}.zip', 'w') as file:
            for path in sorted((tree / part).iterdir()):
                file.write(path, f'{part}/{path.name}')
    return tree


def make_own(root, by_class=False, count=6):
    """images/ with masks/: class numbers and classes.txt, or a folder per class."""
    (root / 'images').mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        image = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        image.save(root / 'images' / f'photo {i}.jpg')
        for number, name in enumerate(('cat', 'dog'), 1):
            mask = np.zeros((30, 40), np.uint8)
            mask[5:15, 10 * number : 10 * number + 8] = 255 if by_class else number
            mask[20:25, 10 * number : 10 * number + 4] = 255 if by_class else number
            if by_class:
                (root / 'masks' / name).mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(root / 'masks' / name / f'photo {i}.png')
            elif number == i % 2 + 1:
                (root / 'masks').mkdir(exist_ok=True)
                Image.fromarray(mask).save(root / 'masks' / f'photo {i}.png')
    if not by_class:
        (root / 'classes.txt').write_text('background\ncat\ndog\n')
    return root
