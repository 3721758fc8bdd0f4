"""Downloads that resume after an interruption, with verified checksums, and the folder that keeps them."""

import contextlib
import errno
import hashlib
import http.client
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from panet_jax.disk.locks import holding
from panet_jax.disk.paths import local_path
from panet_jax.errors import InputError

ATTEMPTS = 5  # attempts in a row without a new byte, after which a download fails
TIMEOUT = 20  # seconds to wait for an answer
CHUNK = 1 << 20  # bytes read at once


class Download(NamedTuple):
    """A file on the network.

    Attributes:
        urls: its addresses; a later one is tried when an earlier one cannot be reached.
        size: size in bytes.
        sha256: checksum, hexadecimal.
    """

    urls: tuple[str, ...]
    size: int
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.urls[0].rpartition('/')[2]


class DownloadFailed(Exception):
    """The network failed, which is not the user's mistake; the caller knows what else to try."""


def download(what: Download, folder: str | Path, *, pause: float = 0.25) -> Path:
    """Downloads a file into a folder, unless it is there.

    The file is called NAME.part until it is complete and its checksum is right. The next call, in this or
    another process, continues it.

    Args:
        what: the file to download.
        folder: folder to write to; it is made if it does not exist.
        pause: seconds to wait after a failed attempt; doubled after each one, up to 30 times this value.

    Returns:
        The file's path.

    Raises:
        DownloadFailed: the network failed; what was received is kept.
        InputError: too little room, or the checksum is wrong.
    """
    path, part = Path(folder) / what.name, Path(folder) / f'{what.name}.part'
    path.parent.mkdir(parents=True, exist_ok=True)
    with holding(path.with_name(f'.{what.name}.lock')):  # waits for another process that downloads it
        if not path.exists():
            _download(what, part, pause)
            part.replace(path)
    return path


def _download(what, part, pause):
    """Completes NAME.part and checks it."""
    with open(part, 'ab') as file:
        free = shutil.disk_usage(part.parent).free
        if free < what.size - file.tell():
            raise InputError(
                f'{what.name} needs {gigabytes(what.size - file.tell())} in {part.parent}, which has {gigabytes(free)}; '
                'make room there.'
            )
        with tqdm(total=what.size, initial=file.tell(), desc=what.name, unit='B', unit_scale=True, disable=None) as bar:
            _fetch_all(what, file, bar, pause)
    with open(part, 'rb') as file:
        digest = hashlib.file_digest(file, 'sha256').hexdigest()
    if digest != what.sha256:
        part.unlink()
        raise InputError(
            f'{what.urls[0]} is not the file it should be and was removed: its sha256 should be {what.sha256}, got '
            f'{digest}; run the same command again, or get the file another way.'
        )


def gigabytes(size: int) -> str:
    """A size for people to read: 1.4e9 -> '1.4 GB'.

    Args:
        size: bytes.

    Returns:
        Gigabytes, or megabytes below 0.1 GB, with one decimal.
    """
    return f'{size / 1e9:.1f} GB' if size >= 1e8 else f'{size / 1e6:.1f} MB'


def _fetch_all(what, file, bar, pause):
    """Appends the missing bytes; tries again as long as an attempt brings new ones."""
    failures, reason = 0, None
    while file.tell() < what.size:
        before, url = file.tell(), what.urls[failures % len(what.urls)]
        try:
            _fetch(url, file, what.size, bar)
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if error.__class__ is OSError and error.errno == errno.ENOSPC:
                raise InputError(f'no room left for {file.name}; make room there.') from error
            reason = getattr(error, 'reason', None) or error
        failures = 0 if file.tell() > before else failures + 1
        if failures >= max(ATTEMPTS, len(what.urls)) or (_is_offline(reason) and failures >= len(what.urls)):
            raise DownloadFailed(f'{url}: {reason or "the answer was empty"}')
        if failures:
            time.sleep(pause * min(2.0**failures, 30))


def _fetch(url, file, size, bar):
    request = urllib.request.Request(url, headers={'Range': f'bytes={file.tell()}-'} if file.tell() else {})
    with contextlib.closing(urllib.request.urlopen(request, timeout=TIMEOUT)) as response:
        if file.tell() and response.status != 206:  # the server cannot send a part, and sends the whole file
            file.truncate(0)
            file.seek(0)
            bar.reset(size)
        while chunk := response.read(min(CHUNK, size - file.tell())):
            file.write(chunk)
            bar.update(len(chunk))


def _is_offline(reason):
    """Whether the lookup of the host's name failed: another attempt would be useless."""
    return 'resolution' in str(reason) or 'not known' in str(reason)


def cache_dir() -> Path:
    """Where downloads are kept: $PANET_JAX_CACHE, else ~/.cache/panet_jax."""
    return local_path(os.environ.get('PANET_JAX_CACHE', '~/.cache/panet_jax'), '$PANET_JAX_CACHE')
