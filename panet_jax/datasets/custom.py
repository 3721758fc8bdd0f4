"""A user's own folder: which of the layouts it has. A new format of annotations is a new entry in KINDS."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from panet_jax.datasets.coco import CocoLayout, coco_lists
from panet_jax.datasets.files import Files, Folder
from panet_jax.datasets.label_map import LABEL_MAP, LabelMapLayout
from panet_jax.datasets.label_studio import label_studio_json, read_label_studio
from panet_jax.datasets.labelme import labelme_files, read_labelme
from panet_jax.datasets.layout import Layout
from panet_jax.datasets.mask_folders import ALL, MaskLayout, mask_lists
from panet_jax.datasets.outlines import OutlineLayout, Outlines
from panet_jax.datasets.voc import BELOW, VOC_ARCHIVE, VocLayout, voc_lists
from panet_jax.datasets.yolo import is_yolo, read_yolo
from panet_jax.errors import InputError

__all__ = ['ALL', 'FolderKind', 'custom_lists', 'kind_of', 'open_custom']


class FolderKind(NamedTuple):
    """A layout that a folder may have.

    Attributes:
        heading: its name in a report.
        fits: (folder) -> whether it has this layout.
        lists: (folder) -> names of its image lists.
        open: (folder, name of a list) -> the Layout.
        remarks: (folder) -> sentences on files that exist or are missing.
    """

    heading: str
    fits: Callable[[Path], bool]
    lists: Callable[[Path], tuple[str, ...]]
    open: Callable[[Path, str], Layout]
    remarks: Callable[[Path], list[str]] = lambda _: []


def _outlined(
    heading: str, fits: Callable[[Path, Files], object], read: Callable[[Path, Files], Outlines]
) -> FolderKind:
    """The FolderKind of a program whose files outline objects."""

    def open_list(root, split):
        files = Files([Folder(root)])
        return OutlineLayout(files, read(root, files), split, str(root))

    return FolderKind(
        heading,
        lambda root: bool(fits(root, Files([Folder(root)]))),
        lambda root: tuple(read(root, Files([Folder(root)])).lists),
        open_list,
    )


def _open_coco(root: Path, split: str) -> CocoLayout:
    lists = coco_lists(root)
    return CocoLayout(root, lists[0] if split == ALL and len(lists) == 1 else split)


def _mask_remarks(root: Path) -> list[str]:
    remarks = []
    if without := MaskLayout(root, ALL).without_masks():
        remarks.append(f'{len(without)} image(s) without a mask are left out, the first is {without[0]}')
    if not (root / 'instances').is_dir():
        remarks.append('no instances/: connected regions serve as objects')
    return remarks


def _is_voc(root: Path) -> bool:
    return (root / VOC_ARCHIVE).is_file() or any((root / below / 'JPEGImages').is_dir() for below in BELOW)


def _has_label_map(root: Path) -> bool:
    return any((root / below / LABEL_MAP).is_file() and (root / below / 'JPEGImages').is_dir() for below in BELOW)


# In this order: the first one that fits is used.
KINDS = (
    FolderKind('images/ with masks/', lambda root: (root / 'masks').is_dir(), mask_lists, MaskLayout, _mask_remarks),
    FolderKind("VOC's layout with labelmap.txt, as CVAT's", _has_label_map, voc_lists, LabelMapLayout),
    FolderKind("COCO's layout", lambda root: bool(coco_lists(root)), coco_lists, _open_coco),
    FolderKind("PASCAL VOC's layout", _is_voc, voc_lists, VocLayout, lambda root: VocLayout(root, '').remarks()),
    _outlined("YOLO's layout", lambda _, files: is_yolo(files), read_yolo),
    _outlined("Label Studio's json", label_studio_json, read_label_studio),
    _outlined("labelme's jsons", labelme_files, read_labelme),
)


def kind_of(root: str | Path) -> FolderKind:
    """The layout of a folder.

    Args:
        root: the folder.

    Returns:
        The first FolderKind that fits.

    Raises:
        InputError: none fits.
    """
    root = Path(root)
    kind = next((kind for kind in KINDS if kind.fits(root)), None)
    if kind is None:
        raise InputError(
            f"{str(root)!r} has none of: images/ and masks/; a json in COCO's format; JPEGImages/ or {VOC_ARCHIVE}; YOLO's "
            "data.yaml; Label Studio's json; labelme's jsons; name another folder."
        )
    return kind


def open_custom(root: str | Path, split: str) -> Layout:
    """Opens a user's folder; docs/own-data.md describes its layouts.

    Args:
        root: the folder.
        split: name of the image list.

    Returns:
        The Layout.

    Raises:
        InputError: the layout is unknown, or the folder lacks the list.
    """
    return kind_of(root).open(Path(root), split)


def custom_lists(root: str | Path) -> tuple[str, ...]:
    """The image lists of a user's folder.

    Args:
        root: the folder.

    Returns:
        Names of lists; for most layouts 'all' is one.
    """
    return kind_of(root).lists(Path(root))
