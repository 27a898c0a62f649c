"""The download path, for real, against a server on this machine; every failure leaves no half file behind."""

from __future__ import annotations

import hashlib
import http.server
import os
import socket
import stat
import threading
import time
import zipfile
from dataclasses import dataclass, field

import pytest

from recq_lib.data import RemoteFile
from recq_lib.data.download import extract_members, fetch_file, is_offline
from recq_lib.errors import ConfigError, DownloadError

BODY = b"0 1 2\n1 0\n" * 5000
SHA = hashlib.sha256(BODY).hexdigest()


@dataclass
class Server:
    """What the handler answers, by path, and what it was asked."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def file(self, *names: str, **changes) -> RemoteFile:
        return RemoteFile(**{"filename": "train.txt", "urls": tuple(self.url + name for name in names), "sha256": SHA, **changes})


@pytest.fixture
def server(monkeypatch):
    for variable in ("RECQ_OFFLINE", "RECQ_PROGRESS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            state.asked.append(self.path)
            if self.path == "/absent":
                return self.send_error(404)
            if self.path == "/silent":
                state.stop.wait(10)
                return None
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                return self.end_headers()
            body = BODY[:-1] + b"X" if self.path == "/wrong" else BODY
            self.send_response(200)
            self.send_header("Content-Length", str(len(body) + {"/truncated": 5000, "/trickles": 10**8}.get(self.path, 0)))
            self.end_headers()
            if self.path in ("/stalls", "/trickles"):
                self.wfile.write(body[:100])
                while self.path == "/trickles" and not state.stop.wait(0.02):
                    self.wfile.write(body[:16384])
                state.stop.wait(10)
                return None
            return self.wfile.write(body)

        def log_message(self, *_):
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.handle_error = lambda *_: None  # clients hang up on purpose
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    state.stop.set()
    httpd.shutdown()
    httpd.server_close()
    thread.join(5)


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/x"


def failure(file: RemoteFile, folder, **options) -> str:
    """What a fetch that must fail says: one line that names dataset, addresses and path; the folder is left empty."""
    with pytest.raises(DownloadError) as caught:
        fetch_file("toy", file, folder, **options)
    message = str(caught.value)
    assert message.startswith("toy: train.txt") and "\n" not in message
    assert all(url in message for url in file.urls)
    assert str(folder / "train.txt") in message and "by hand" in message
    assert not folder.is_dir() or list(folder.iterdir()) == []
    return message


def test_success_gives_the_verified_file_and_nothing_else(server, tmp_path):
    path = fetch_file("toy", server.file("/good", size=len(BODY)), tmp_path / "new" / "folder")
    assert path.read_bytes() == BODY
    assert [file.name for file in path.parent.iterdir()] == ["train.txt"]
    fetch_file("toy", server.file("/good"), path.parent)
    assert server.asked == ["/good"]


def test_redirects_are_followed(server, tmp_path):
    assert fetch_file("toy", server.file("/moved"), tmp_path).read_bytes() == BODY


@pytest.mark.parametrize(
    ("path", "words"),
    [("/wrong", f"must be {SHA}"), ("/truncated", "before the whole body had come"), ("/absent", "HTTP 404")],
)
def test_bad_answers(server, tmp_path, path, words):
    assert words in failure(server.file(path), tmp_path)


def test_size_is_checked_and_a_longer_body_is_cut_off(server, tmp_path):
    assert f"size is {len(BODY)}" in failure(server.file("/good", sha256=None, size=len(BODY) + 1), tmp_path)
    assert "longer than 100 bytes" in failure(server.file("/good", sha256=None, size=100), tmp_path)


def test_no_connection(tmp_path, server):
    assert "no connection" in failure(RemoteFile("train.txt", (closed_port(),), sha256=SHA), tmp_path)


@pytest.mark.parametrize("path", ["/silent", "/stalls"])
def test_a_server_that_stops_answering(server, tmp_path, path):
    assert "no data for 0.3 s" in failure(server.file(path), tmp_path, read_timeout=0.3)


def test_a_server_that_trickles_is_given_up(server, tmp_path):
    assert "not complete after 0.1 s" in failure(server.file("/trickles"), tmp_path, total_timeout=0.1)


@pytest.mark.parametrize("first", ["/wrong", "/truncated", "/absent"])
def test_the_second_mirror_is_used_when_the_first_fails(server, tmp_path, first):
    path = fetch_file("toy", server.file(first, "/good"), tmp_path)
    assert path.read_bytes() == BODY and server.asked == [first, "/good"]
    assert [file.name for file in tmp_path.iterdir()] == ["train.txt"]


def test_a_mirror_on_another_server_is_used_when_one_is_down(server, tmp_path):
    assert fetch_file("toy", RemoteFile("train.txt", (closed_port(), server.url + "/good"), sha256=SHA), tmp_path).is_file()


def test_all_mirrors_are_named_and_a_dead_server_is_asked_once(server, tmp_path):
    message = failure(server.file("/silent", "/good"), tmp_path, read_timeout=0.3)
    assert "not tried, the same server" in message
    assert server.asked == ["/silent"] and "no data" in message


def test_a_cache_that_cannot_be_written(server, tmp_path):
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the folder should be")
    message = failure(server.file("/good"), blocked / "toy")
    assert "cannot be written" in message
    assert "RECQ_CACHE_DIR" in message and server.asked == []


def test_a_folder_without_write_permission(server, tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    try:
        (folder / "probe").touch()
    except OSError:
        assert "cannot be written" in failure(server.file("/good"), folder)
    else:
        pytest.skip("this user may write into read-only folders (root)")


def test_offline_refuses_at_once_but_uses_what_is_there(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_OFFLINE", "1")
    assert "RECQ_OFFLINE=1" in failure(server.file("/good"), tmp_path)
    (tmp_path / "train.txt").write_bytes(BODY)
    assert fetch_file("toy", server.file("/good"), tmp_path) == tmp_path / "train.txt"
    assert server.asked == []


def test_a_wrong_file_placed_by_hand_is_named_offline_and_replaced_online(server, tmp_path):
    (tmp_path / "train.txt").write_bytes(b"something else")
    with pytest.raises(DownloadError, match="the file already there is not usable: .*sha256 is"):
        fetch_file("toy", server.file("/good"), tmp_path, offline=True)
    assert (tmp_path / "train.txt").read_bytes() == b"something else"
    assert fetch_file("toy", server.file("/good"), tmp_path).read_bytes() == BODY


def test_temporary_files_of_a_killed_process_are_removed(server, tmp_path):
    old, young = tmp_path / ".train.txt.1-aa.part", tmp_path / ".train.txt.2-bb.part"
    for part in (old, young):
        part.touch()
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    fetch_file("toy", server.file("/good"), tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [young.name, "train.txt"]


def test_progress_is_silent_unless_it_is_asked_for(server, tmp_path, monkeypatch, capfd):
    fetch_file("toy", server.file("/good"), tmp_path / "a")
    assert capfd.readouterr() == ("", "")
    monkeypatch.setenv("RECQ_PROGRESS", "1")
    fetch_file("toy", server.file("/good"), tmp_path / "b")
    assert "100%" in capfd.readouterr().err
    monkeypatch.setenv("RECQ_PROGRESS", "0")
    fetch_file("toy", server.file("/good"), tmp_path / "c")
    assert capfd.readouterr() == ("", "")


def test_switches_must_be_on_or_off(monkeypatch):
    monkeypatch.setenv("RECQ_OFFLINE", "maybe")
    with pytest.raises(ConfigError, match="RECQ_OFFLINE is 'maybe'"):
        is_offline()
    for value, expected in (("", False), ("0", False), ("1", True), ("TRUE", True)):
        monkeypatch.setenv("RECQ_OFFLINE", value)
        assert is_offline() is expected


# ---- archives ---------------------------------------------------------------------------------------------------------------


def archive_of(tmp_path, *entries: tuple[zipfile.ZipInfo | str, bytes]):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for info, content in entries:
            bundle.writestr(info, content)
    return path


def member(**changes) -> RemoteFile:
    return RemoteFile(**{"filename": "in/train.txt", "split": "train", "sha256": SHA, **changes})


def test_members_are_taken_out_verified_and_flat(tmp_path):
    archive = archive_of(tmp_path, ("in/train.txt", BODY), ("in/other.txt", b"not wanted"))
    out = tmp_path / "out"
    out.mkdir()
    file = RemoteFile("a.zip", members=(member(),))
    assert extract_members("toy", archive, file, out) == {"train": out / "train.txt"}
    assert (out / "train.txt").read_bytes() == BODY and len(list(out.iterdir())) == 1
    (out / "train.txt").write_bytes(b"damaged")
    extract_members("toy", archive, file, out)
    assert (out / "train.txt").read_bytes() == BODY


@pytest.mark.parametrize("name", ["../evil.txt", "/etc/evil.txt", "in/../../evil.txt", "..\\evil.txt", "C:\\evil.txt"])
def test_an_archive_that_reaches_outside_is_refused_whole(tmp_path, name):
    archive = archive_of(tmp_path, ("in/train.txt", BODY), (name, b"evil"))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(DownloadError, match="points outside the folder"):
        extract_members("toy", archive, RemoteFile("a.zip", members=(member(),)), out)
    assert list(out.iterdir()) == [] and not (tmp_path / "evil.txt").exists()


def test_links_bombs_damage_and_missing_members_are_refused(tmp_path):
    link = zipfile.ZipInfo("in/link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = tmp_path / "out"
    out.mkdir()
    good = RemoteFile("a.zip", members=(member(),))
    cases = [
        (archive_of, ((link, b"/etc/passwd"), ("in/train.txt", BODY)), {}, "is a link"),
        (archive_of, (("in/train.txt", BODY),), {"max_bytes": 1000}, "more than 1000 bytes"),
        (archive_of, (("in/train.txt", BODY + b"x"),), {}, "member in/train.txt: sha256 is"),
        (archive_of, (("in/test.txt", BODY),), {}, "no item named 'in/train.txt'"),
    ]
    for build, entries, options, words in cases:
        with pytest.raises(DownloadError, match=words) as caught:
            extract_members("toy", build(tmp_path, *entries), good, out, **options)
        assert "\n" not in str(caught.value) and list(out.iterdir()) == []
    (tmp_path / "a.zip").write_bytes(BODY)
    with pytest.raises(DownloadError, match="cannot be unpacked"):
        extract_members("toy", tmp_path / "a.zip", good, out)
