"""The files of a data set, in a folder or in archives that are not unpacked."""

import contextlib
import functools
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from panet_jax.errors import InputError


class Folder:
    """A folder on disk; names of files are relative to it.

    Args:
        root: the folder.
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)

    @functools.cache  # noqa: B019 one system call for all files; the cache lives as long as its Folder
    def listing(self, folder: str) -> frozenset[str]:
        """The names in a folder; empty if there is no such folder."""
        path = self.root / folder
        return frozenset(entry.name for entry in path.iterdir()) if path.is_dir() else frozenset()

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        folder, _, last = name.rpartition('/')
        return last in self.listing(folder)

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            InputError: it cannot be read.
        """
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise InputError(
                f'{self.where(name)} cannot be read ({error.strerror}); repair it or leave it out.'
            ) from error

    def stamps(self, names: Iterable[str]) -> list[tuple]:
        """Names, sizes and times of those of the named files that exist here."""
        return [(name, *_stamp(f'{self.root}/{name}')) for name in names if self.has(name)]

    def where(self, name: str) -> str:
        """The name of a file in messages."""
        return str(self.root / name)


class Archive:
    """A .tar, .tgz or .zip whose members are read without unpacking.

    Args:
        path: the archive.
        prefix: beginning of the members' names, such as 'VOCdevkit/VOC2012/'; other members are ignored.
        keep: ending of the names of the needed members of a compressed tar. It has no random access, so they are kept
            in memory.
    """

    def __init__(self, path: str | Path, prefix: str = '', keep: str = ''):
        self.path, self._prefix, self._keep = Path(path), prefix, keep

    @functools.cached_property
    def _members(self):
        """{name below the prefix: header with the place in the archive, or bytes}."""
        with self._damage():
            if zipfile.is_zipfile(self.path):
                members = {info.filename: info for info in self._zip.infolist() if not info.is_dir()}
            else:
                members = _tar_members(self.path, self._keep)
        return {
            name.removeprefix(self._prefix): member for name, member in members.items() if name.startswith(self._prefix)
        }

    @functools.cached_property
    def _zip(self):
        return zipfile.ZipFile(self.path)

    @functools.cached_property
    def _folders(self):
        folders = {}
        for name in self._members:
            folder, _, last = name.rpartition('/')
            folders.setdefault(folder, set()).add(last)
        return {folder: frozenset(names) for folder, names in folders.items()}

    def listing(self, folder: str) -> frozenset[str]:
        """The names of the files in a folder; empty if there is no such folder."""
        return self._folders.get(folder, frozenset())

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        return name in self._members

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            InputError: the archive is damaged.
        """
        member = self._members[name]
        if isinstance(member, bytes):
            return member
        with self._damage(), open(self.path, 'rb') as file:
            if isinstance(member, zipfile.ZipInfo):
                return self._zip.read(member)
            file.seek(member.offset_data)
            content = file.read(member.size)
            if len(content) != member.size:
                raise EOFError(f'{name} ends early')
            return content

    def stamps(self, _: Iterable[str]) -> list[tuple]:
        """Name, size and time of the archive, which change with any of its files; it is not opened."""
        return [(self.path.name, *_stamp(self.path))]

    def where(self, name: str) -> str:
        """The name of a member in messages."""
        return f'{self._prefix}{name} in {self.path}'

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        """Turns the exceptions that Python's readers raise on a damaged archive into an InputError."""
        try:
            yield
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(f'{self.path} cannot be read ({error.strerror}).') from error
        except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            raise InputError(f'{self.path} is cut off or damaged ({error}); download or copy it again.') from error


def _stamp(path):
    """Size and time of a file; () if they cannot be read, as with a broken link."""
    try:
        stat = os.stat(path)  # noqa: PTH116 pathlib takes seconds for 100,000 files
    except OSError:
        return ()
    return stat.st_size, stat.st_mtime_ns


def _tar_members(path, keep):
    """{name: header} of a plain tar, {name: bytes} of a compressed one."""
    with open(path, 'rb') as file:
        plain = file.read(262)[257:] == b'ustar'
        # A tar ends with two empty blocks. Python does not notice an end that was cut off between two files.
        if plain and (file.seek(0, os.SEEK_END) < 1024 or _last(file, 1024).strip(b'\0')):
            raise tarfile.ReadError('it has no end')
    with tarfile.open(path, 'r:' if plain else 'r|*') as tar:
        files = (member for member in tar if member.isfile())
        if plain:
            return {member.name.removeprefix('./'): member for member in files}
        return {m.name.removeprefix('./'): tar.extractfile(m).read() for m in files if m.name.endswith(keep)}


def _last(file, count):
    """The last `count` bytes of an open file."""
    file.seek(-count, os.SEEK_END)
    return file.read(count)


class Files:
    """Several places as one tree; if two have a file of the same name, that of the first is used.

    Args:
        places: the Folders and Archives.
    """

    def __init__(self, places: 'Iterable[Folder | Archive]'):
        self.places = tuple(places)

    def listing(self, folder: str) -> frozenset[str]:
        """The names in a folder, of all places."""
        return frozenset().union(*(place.listing(folder) for place in self.places))

    def find(self, *names: str) -> str | None:
        """The first of the names that exists in a place, or None."""
        return next((name for name in names for place in self.places if place.has(name)), None)

    def _place(self, name):
        for place in self.places:
            if place.has(name):
                return place
        raise InputError(f'there is no file {self.places[0].where(name) if self.places else name}.')

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return self._place(name).read(name)

    def read_text(self, name: str) -> str:
        """The text of a file in UTF-8.

        Raises:
            InputError: it cannot be read, or is no text in UTF-8.
        """
        try:
            return self.read(name).decode('utf-8-sig')
        except UnicodeDecodeError as error:
            raise InputError(f'{self.where(name)} is not a text in UTF-8 ({error}).') from error

    def stamps(self, names: Iterable[str]) -> list[tuple]:
        """Values that change when one of the named files changes. Fast: nothing is read, and no archive is opened."""
        names = list(names)
        return [stamp for place in self.places for stamp in place.stamps(names)]

    def unpacked(self, folder: str, ending: str = '') -> list[str]:
        """The files of a folder outside archives whose names have this ending, sorted."""
        names = {name for place in self.places if isinstance(place, Folder) for name in place.listing(folder)}
        return [f'{folder}/{name}' for name in sorted(names) if name.endswith(ending)]

    def has_archives(self) -> bool:
        """Whether a place is an archive."""
        return any(isinstance(place, Archive) for place in self.places)

    def where(self, name: str) -> str:
        """The name of a file in messages.

        Raises:
            InputError: there is no such file.
        """
        return self._place(name).where(name)
