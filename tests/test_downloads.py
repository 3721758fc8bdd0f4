"""Downloads from a server of our own: resumed, checked, and what each failure says."""

import concurrent.futures
import hashlib
import http.server
import threading
import time
import urllib.error

import pytest
from folders import make_official_coco, make_official_voc

from panet_jax.datasets import official
from panet_jax.datasets.open import prepare_list
from panet_jax.datasets.prepare import VERSION
from panet_jax.datasets.prepared import Prepared
from panet_jax.disk import downloads
from panet_jax.disk.downloads import Download, DownloadFailed, download
from panet_jax.errors import InputError

CONTENT = bytes(range(256)) * 400


class Server(http.server.ThreadingHTTPServer):
    """Serves the files of a folder.

    `cut` ends an answer after so many bytes, `ranges` obeys Range, and an answer takes so many `seconds`.
    """

    def __init__(self, folder, cut=None, ranges=True, seconds=0):
        super().__init__(('127.0.0.1', 0), Handler)
        self.folder, self.cut, self.ranges, self.seconds, self.requests = folder, cut, ranges, seconds, []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def url(self, name):
        return f'http://127.0.0.1:{self.server_port}/{name}'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.server.folder / self.path.strip('/')
        asked = self.headers.get('Range')
        self.server.requests.append(asked)
        if not path.is_file():
            self.send_error(404)
            return
        start = int(asked.removeprefix('bytes=').rstrip('-')) if asked and self.server.ranges else 0
        content = path.read_bytes()[start:]
        time.sleep(self.server.seconds)
        self.send_response(206 if start else 200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(tmp_path):
    folder, servers = tmp_path / 'served', []
    folder.mkdir()

    def start(**options):
        servers.append(Server(folder, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def complete(server, content=CONTENT, name='file.bin', sha256=None):
    (server.folder / name).write_bytes(content)
    return Download((server.url(name),), len(content), sha256 or hashlib.sha256(content).hexdigest())


def test_a_file_is_downloaded_once(serve, tmp_path):
    server = serve()
    what = complete(server)
    assert download(what, tmp_path / 'here').read_bytes() == CONTENT
    download(what, tmp_path / 'here')
    assert server.requests == [None]
    assert {path.name for path in (tmp_path / 'here').iterdir()} == {'file.bin', '.file.bin.lock'}


def test_a_download_goes_on_where_it_broke_off(serve, tmp_path):
    server = serve(cut=30_000)
    assert download(complete(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == [None, 'bytes=30000-', 'bytes=60000-', 'bytes=90000-']


def test_several_at_once_download_one_file_once(serve, tmp_path):
    server = serve(cut=20_000, seconds=0.1)
    what = complete(server)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(what, tmp_path / 'here'), range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert len(server.requests) == 6


def test_another_run_goes_on_too(serve, tmp_path):
    server = serve()
    (tmp_path / 'file.bin.part').write_bytes(CONTENT[:777])
    assert download(complete(server), tmp_path).read_bytes() == CONTENT
    assert server.requests == ['bytes=777-']


def test_a_server_that_knows_no_ranges_begins_again(serve, tmp_path):
    server = serve(ranges=False)
    (tmp_path / 'file.bin.part').write_bytes(b'other bytes')
    assert download(complete(server), tmp_path).read_bytes() == CONTENT


def test_a_wrong_checksum_is_said_and_the_file_removed(serve, tmp_path):
    what = complete(serve(), sha256=64 * '0')
    with pytest.raises(InputError, match=f'its sha256 should be {64 * "0"}, got '):
        download(what, tmp_path / 'here')
    assert [path.name for path in (tmp_path / 'here').iterdir()] == ['.file.bin.lock']


def test_the_second_address_is_tried(serve, tmp_path):
    server = serve()
    what = complete(server)
    what = what._replace(urls=(server.url('gone.bin'), *what.urls))
    assert download(what, tmp_path).read_bytes() == CONTENT


def test_no_network_and_no_file_are_said_soon(serve, tmp_path):
    with pytest.raises(DownloadFailed, match='Not Found'):
        download(complete(serve())._replace(urls=(serve().url('gone.bin'),)), tmp_path, pause=0)
    with pytest.raises(DownloadFailed, match=r'http://b\.invalid/x: .*(name resolution|not known)'):
        download(Download(('http://a.invalid/x', 'http://b.invalid/x'), 9, ''), tmp_path, pause=0)


def test_too_little_room_is_reported_before_any_request(serve, tmp_path):
    server = serve()
    with pytest.raises(InputError, match=r'needs 1000000\.0 GB in .*, which has \d+\.\d [GM]B'):
        download(complete(server)._replace(size=10**15), tmp_path)
    assert not server.requests


def served_archives(server, monkeypatch):
    archives = {}
    for path in server.folder.iterdir():
        if path.is_file():
            content = path.read_bytes()
            archives[path.name] = Download((server.url(path.name),), len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setattr(official, 'ARCHIVES', archives)


def test_a_benchmark_downloads_and_prepares_itself(serve, tmp_path, monkeypatch, caplog):
    server = serve(cut=50_000)
    make_official_voc(server.folder)
    served_archives(server, monkeypatch)
    folder = prepare_list('pascal5i', 'trainaug', home=tmp_path)
    assert len(Prepared(folder)) == 6
    assert folder == tmp_path / 'pascal5i' / 'trainaug-official' / VERSION
    assert 'pascal5i trainaug is not on this machine' in caplog.text
    assert 'VOCtrainval_11-May-2012.tar (0.' in caplog.text
    assert str(tmp_path / 'downloads') in caplog.text
    server.folder.rename(tmp_path / 'gone')
    for path in (tmp_path / 'downloads/panet_jax').iterdir():
        path.unlink()  # not needed any more
    assert prepare_list('pascal5i', 'trainaug', home=tmp_path) == folder


def test_an_archive_that_somebody_put_there_must_have_its_size(serve, tmp_path, monkeypatch):
    server = serve()
    make_official_voc(server.folder)
    served_archives(server, monkeypatch)
    place = tmp_path / 'downloads/panet_jax'
    place.mkdir(parents=True)
    (server.folder / 'VOCtrainval_11-May-2012.tar').rename(place / 'VOCtrainval_11-May-2012.tar')
    assert len(Prepared(prepare_list('pascal5i', 'val', home=tmp_path))) == 3
    assert not server.requests
    with open(place / 'VOCtrainval_11-May-2012.tar', 'ab') as file:
        file.write(b'more')
    with pytest.raises(InputError, match='remove it, to download it again'):
        prepare_list('pascal5i', 'train', home=tmp_path)


def test_coco_downloads_only_what_a_list_needs(serve, tmp_path, monkeypatch):
    server = serve()
    make_official_coco(server.folder)
    served_archives(server, monkeypatch)
    assert len(Prepared(prepare_list('coco20i', 'train2014', home=tmp_path))) == 8
    assert len(server.requests) == 2


def test_without_network_the_alternatives_are_named(tmp_path, monkeypatch):
    def offline(*_, **__):
        raise urllib.error.URLError('name resolution')

    monkeypatch.setattr(downloads.urllib.request, 'urlopen', offline)
    with pytest.raises(InputError, match=r'could not be downloaded.*--config\.data\.root=FOLDER.*VOCdevkit/VOC2012'):
        prepare_list('pascal5i', 'val', home=tmp_path)
    with pytest.raises(InputError, match=r'official lists train, val, trainval, trainaug, got .mine.'):
        prepare_list('pascal5i', 'mine', home=tmp_path)
    with pytest.raises(InputError, match='custom needs the folder'):
        prepare_list('custom', 'all', home=tmp_path)
