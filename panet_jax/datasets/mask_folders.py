"""The layout of a folder with photographs in images/ and masks in masks/."""

from pathlib import Path, PurePosixPath

import numpy as np

from panet_jax.datasets.files import Files, Folder
from panet_jax.datasets.layout import Record, objects_of, read_scribbles
from panet_jax.errors import InputError
from panet_jax.images.class_masks import mask_of_image
from panet_jax.images.decode import ENDINGS, label_numbers, object_numbers, open_image
from panet_jax.method.episode import IGNORE

# Names of the background, which is no class, in the first line of classes.txt or as a folder of masks.
BACKGROUND = ('background', '_background_', '__background__')
ALL = 'all'  # the list of all images


def mask_lists(root: str | Path) -> tuple[str, ...]:
    """The image lists of a folder of images with masks.

    Args:
        root: the folder.

    Returns:
        'all', and NAME for each NAME.txt that names images.
    """
    photos = {path.stem for path in Path(root).glob('images/*')}
    lists = {path.stem for path in Path(root).glob('*.txt') if path.name != 'classes.txt' and _lists_any(path, photos)}
    return tuple(sorted({ALL} | lists))


def _lists_any(path, photos):
    """Whether a text file names images; a README does not."""
    lines = path.read_text(errors='replace').split('\n')
    return any(line.strip() in photos or PurePosixPath(line.strip()).stem in photos for line in lines if line.strip())


class MaskLayout:
    """Photographs in images/ with masks of the same names in masks/.

    Masks are either masks/NAME.png, whose values are class numbers (255 is void), with the class names in the lines of
    classes.txt; or masks/CLASS/NAME.png, as `class_mask` reads them. Pixels of two classes are void; masks/background/
    is not read. Instances are read from instances/NAME.png; without that file they are the connected regions. Scribbles
    are read from scribbles/NAME.png: 0 on the scribble of the background, a number on each other, 255 elsewhere.

    Args:
        root: folder of the data set.
        split: 'all', or NAME for the names in NAME.txt, one a line.

    Raises:
        InputError: classes, images and masks do not fit together, or there is no such list.
    """

    def __init__(self, root: str | Path, split: str):
        self._root, self._split = Path(root), split
        self._files = Files([Folder(root)])
        entries = sorted(entry for entry in self._files.listing('masks') if not entry.startswith('.'))
        folders = [entry for entry in entries if (self._root / 'masks' / entry).is_dir()]
        if folders and all(folder.lower() in BACKGROUND for folder in folders):
            raise InputError(f'{self._root / "masks" / folders[0]} is no class; wanted a folder per class beside it.')
        if folders and len(folders) < len(entries):
            raise InputError(
                f'{self._root / "masks"} has both files and folders; wanted PNGs of class numbers, or a folder per class.'
            )
        self._by_class = bool(folders)
        self.classes = self._read_classes([folder for folder in folders if folder.lower() not in BACKGROUND])
        self._photos = self._find_photos()
        self.names = self._read_names()

    def record(self, name: str) -> Record:
        """Reads the bytes of an image, and its masks.

        Args:
            name: name of the image.

        Returns:
            The Record.

        Raises:
            InputError: a file is damaged, or has another size than the others.
        """
        label = self._merge(name) if self._by_class else self._read_label(f'masks/{name}.png')
        instance_file = self._files.find(f'instances/{name}.png')
        if instance_file is None:
            instances = objects_of(label)
        else:
            instances = object_numbers(*self._open(instance_file))
            self._check_shape(instance_file, instances, label)
        scribbles, file = None, self._files.find(f'scribbles/{name}.png')
        if file:
            strokes = label_numbers(*self._open(file), range(IGNORE + 1))
            scribbles = read_scribbles(strokes, self._files.where(file), label)
        return Record(self._files.read(self._photos[name]), label, instances, scribbles)

    def where(self, name: str) -> str:
        """The name of an image's file in messages."""
        return self._files.where(self._photos[name])

    def stamps(self) -> list:
        """The classes, and names, sizes and times of the files of the images."""
        folders = (*self._mask_folders(), 'instances', 'scribbles')
        files_of = {name: (self._photos[name], *(f'{folder}/{name}.png' for folder in folders)) for name in self.names}
        return [self.classes, self._files.stamps(file for files in files_of.values() for file in files)]

    def class_lists(self) -> dict[int, list[str]]:
        """{}: no other code draws from such a folder, so there is no order to keep."""
        return {}

    def without_masks(self) -> list[str]:
        """The names of the images without a mask, which no list contains."""
        return sorted(name for name in self._photos if not self._masks(name))

    def _mask_folders(self):
        return [f'masks/{c}' for c in self.classes] if self._by_class else ['masks']

    def _masks(self, name):
        return [file for folder in self._mask_folders() if (file := self._files.find(f'{folder}/{name}.png'))]

    def _read_classes(self, folders):
        path = self._root / 'classes.txt'
        names = tuple(folders)
        if path.is_file():
            names = tuple(line.strip() for line in self._files.read_text('classes.txt').rstrip().splitlines())
            if '' in names:
                raise InputError(
                    f'line {names.index("") + 1} of {path} is empty, which would shift the numbers of all following classes.'
                )
            names = names[1:] if names and names[0].lower() in BACKGROUND else names
        elif not folders:
            raise InputError(
                f'{self._root / "masks"} has masks of class numbers, so {path} must name the classes, one a line: line 1 '
                'is value 1.'
            )
        if not 0 < len(names) < IGNORE or len(set(names)) < len(names):
            source_name = path if path.is_file() else self._root / 'masks'
            raise InputError(
                f'{source_name} names {len(names)} classes; wanted 1 to {IGNORE - 1} different ones, as a label is stored in one '
                'byte.'
            )
        if folders and set(folders) - set(names):
            raise InputError(
                f'the folders {", ".join(sorted(set(folders) - set(names)))} of {self._root / "masks"} are not in {path}.'
            )
        return names

    def _find_photos(self):
        photos = {}
        for file in sorted(self._files.listing('images')):
            if file.lower().endswith(ENDINGS):
                stem = PurePosixPath(file).stem
                if stem in photos:
                    raise InputError(f'{self._root / "images"} has two images called {stem}; rename one.')
                photos[stem] = f'images/{file}'
        if not photos:
            raise InputError(f'{self._root / "images"} has no image; wanted files such as {", ".join(ENDINGS[:3])}.')
        return photos

    def _read_names(self):
        files = [(folder, file) for folder in self._mask_folders() for file in sorted(self._files.listing(folder))]
        for folder, file in files:
            if not file.startswith('.') and file.removesuffix('.png') not in self._photos:
                raise InputError(
                    f'{self._root / folder / file} belongs to no image in {self._root / "images"}; the mask of NAME.jpg is '
                    'NAME.png.'
                )
        if self._split == ALL and not self._files.find(f'{ALL}.txt'):
            names = [name for name in sorted(self._photos) if self._masks(name)]
        else:
            names = self._read_list()
        if not names:
            raise InputError(
                f'no image of {self._split!r} in {str(self._root)!r} has a mask in masks/ (PNG files of its name).'
            )
        return names

    def _read_list(self):
        if not self._files.find(f'{self._split}.txt'):
            raise InputError(
                f'there is no list {self._root / self._split}.txt; lists there: {", ".join(mask_lists(self._root))}.'
            )
        lines = [line.strip() for line in self._files.read_text(f'{self._split}.txt').splitlines()]
        # With or without ending: photo.jpg and photo both name photo.
        names = [PurePosixPath(line).stem if line.lower().endswith(ENDINGS) else line for line in lines if line]
        wrong = [name for name in names if name not in self._photos or not self._masks(name)]
        if wrong:
            what = 'mask in masks/' if wrong[0] in self._photos else 'image in images/'
            raise InputError(f'{wrong[0]}, named in {self._root / self._split}.txt, has no {what}.')
        return list(dict.fromkeys(names))

    def _open(self, file):
        """The Pillow image of a file, and its name in messages."""
        where = self._files.where(file)
        return open_image(self._files.read(file), where), where

    def _read_label(self, file):
        allowed = [*range(len(self.classes) + 1), IGNORE]
        label = label_numbers(*self._open(file), allowed).astype(np.uint8)
        wrong = label[(label > len(self.classes)) & (label != IGNORE)]
        if wrong.size:
            raise InputError(
                f'{self._files.where(file)} has the value {wrong[0]}, but classes.txt names {len(self.classes)} classes '
                f'(0 is background, {IGNORE} void).'
            )
        return label

    def _merge(self, name):
        label = None
        for number, c in enumerate(self.classes, 1):
            file = self._files.find(f'masks/{c}/{name}.png')
            if file is None:
                continue
            mask, void = mask_of_image(*self._open(file))
            if label is None:
                label, any_void = np.zeros(mask.shape, np.uint8), np.zeros(mask.shape, bool)
            self._check_shape(file, mask, label)
            label[mask] = np.where(label[mask] > 0, IGNORE, number)
            any_void |= void
        label[any_void & (label == 0)] = IGNORE
        return label

    def _check_shape(self, file, mask, label):
        if mask.shape != label.shape:
            raise InputError(
                f'{self._files.where(file)} is {mask.shape[::-1]} pixels but the other masks of its image are '
                f'{label.shape[::-1]} (width, height).'
            )
