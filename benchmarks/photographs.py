"""Copies the photographs of the measurements in the README out of COCO 2017.

    python benchmarks/photographs.py --coco=COCO --out=FOLDER

COCO has annotations/instances_train2017.json, annotations/instances_val2017.json, train2017/ and val2017/. FOLDER becomes a
data set in COCO's layout with the 160 images of photographs.txt, for
python -m panet_jax.main --config=configs/coco20i.py --config.data.root=FOLDER --config.data.test_split=instances
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

IDS = Path(__file__).with_suffix('.txt')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--coco', type=Path, required=True)
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    ids = {int(line.split()[0]) for line in IDS.read_text().splitlines() if not line.startswith('#')}
    (arguments.out / 'images').mkdir(parents=True, exist_ok=True)
    (arguments.out / 'annotations').mkdir(exist_ok=True)
    kept = {'images': [], 'annotations': []}
    for part in ('train2017', 'val2017'):
        path = arguments.coco / 'annotations' / f'instances_{part}.json'
        if not path.is_file():
            continue
        content = json.loads(path.read_text())
        kept['categories'] = content['categories']
        kept['annotations'] += [a for a in content['annotations'] if a['image_id'] in ids]
        for image in content['images']:
            if image['id'] in ids:
                kept['images'].append(image)
                shutil.copy(arguments.coco / part / image['file_name'], arguments.out / 'images')
    missing = ids - {image['id'] for image in kept['images']}
    if missing:
        sys.exit(f'{arguments.coco} lacks {len(missing)} of the {len(ids)} images, the first is {min(missing)}.')
    kept['images'].sort(key=lambda image: image['id'])
    (arguments.out / 'annotations' / 'instances.json').write_text(json.dumps(kept))
    print(f'{len(ids)} images in {arguments.out}')


if __name__ == '__main__':
    main()
