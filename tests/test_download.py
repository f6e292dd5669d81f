"""A download ends with the right bytes or with an error that says what to do, whatever the network does."""

from __future__ import annotations

import errno
import hashlib
import json
import random
import socket
import urllib.error

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import Remote, serving
from zslcache.data import download as module
from zslcache.data.download import DownloadError, download
from zslcache.errors import DiskError, UsageError
from zslcache.progress import Silent

BODY = random.Random(0).randbytes(100_000)
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF", (0.0, 0.0))


class Lines(Silent):
    """Remembers the lines that were shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)


def leftovers(target):
    return sorted(p.name for p in target.parent.iterdir())


def test_a_file_arrives_once(tmp_path):
    target = tmp_path / "new" / "big.bin"
    with serving(Remote(BODY)) as remote:
        for _ in range(2):
            assert download(remote.url, target, sha256=SHA256, md5=MD5, size=len(BODY)) == target
    assert target.read_bytes() == BODY
    assert remote.requests == [None]
    assert leftovers(target) == ["big.bin", "big.bin.sha256"]
    assert (tmp_path / "new" / "big.bin.sha256").read_text() == f"{SHA256}  big.bin\n"


@pytest.mark.parametrize("validator", [{"etag": '"x"'}, {"etag": None, "modified": "Wed, 21 Oct 2015 07:28:00 GMT"}])
def test_broken_transfers_go_on_where_they_broke(tmp_path, validator):
    with serving(Remote(BODY, breaks=[10_000, 20_000, 30_000], **validator)) as remote:
        download(remote.url, tmp_path / "big.bin", sha256=SHA256)
    assert (tmp_path / "big.bin").read_bytes() == BODY
    assert remote.requests == [None, "bytes=10000-", "bytes=30000-", "bytes=60000-"]


def test_a_later_call_goes_on_too(tmp_path):
    target = tmp_path / "big.bin"
    with serving(Remote(BODY, breaks=[40_000], statuses=[0, 404])) as remote:
        with pytest.raises(DownloadError, match="answered 404"):
            download(remote.url, target, sha256=SHA256)
        assert (tmp_path / "big.bin.part").stat().st_size == 40_000
        download(remote.url, target, sha256=SHA256)
    assert target.read_bytes() == BODY
    assert remote.requests == [None, "bytes=40000-", "bytes=40000-"]


@pytest.mark.parametrize(
    "behaviour",
    [
        {"ranges": False},  # answers 200 with everything
        {"shift": 7},  # answers with bytes from another place
        {"etag": None},  # nothing tells whether the rest belongs to what is here
        {"etag": 'W/"weak"'},
    ],
)
def test_what_cannot_be_continued_begins_again(tmp_path, behaviour):
    with serving(Remote(BODY, breaks=[50_000], **behaviour)) as remote:
        download(remote.url, tmp_path / "big.bin", sha256=SHA256)
    assert (tmp_path / "big.bin").read_bytes() == BODY


@pytest.mark.parametrize("conditional", [True, False])
def test_a_file_that_changed_on_the_server_begins_again(tmp_path, conditional):
    target, other = tmp_path / "big.bin", BODY[::-1]
    with serving(Remote(other, etag='"two"', conditional=conditional)) as remote:
        (tmp_path / "big.bin.part").write_bytes(BODY[:50_000])
        (tmp_path / "big.bin.part.json").write_text(json.dumps({"etag": '"one"', "total": str(len(BODY))}))
        download(remote.url, target)
    assert target.read_bytes() == other


def test_a_file_that_became_shorter_begins_again(tmp_path):
    with serving(Remote(BODY[:10])) as remote:
        (tmp_path / "big.bin.part").write_bytes(BODY[:50_000])
        (tmp_path / "big.bin.part.json").write_text(json.dumps({"etag": '"one"', "total": str(len(BODY))}))
        download(remote.url, tmp_path / "big.bin")
    assert (tmp_path / "big.bin").read_bytes() == BODY[:10]


def test_a_whole_part_is_not_fetched_again(tmp_path):
    with serving(Remote(BODY)) as remote:
        (tmp_path / "big.bin.part").write_bytes(BODY)
        (tmp_path / "big.bin.part.json").write_text(json.dumps({"etag": '"one"', "total": str(len(BODY))}))
        download(remote.url, tmp_path / "big.bin", md5=MD5)
    assert remote.requests == []
    assert leftovers(tmp_path / "big.bin") == ["big.bin", "big.bin.sha256"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    breaks=st.lists(st.integers(0, 120_000), max_size=6),
    statuses=st.lists(st.sampled_from([500, 502, 503, 429]), max_size=2),
    ranges=st.booleans(),
    etag=st.sampled_from(['"one"', None, 'W/"one"']),
    shift=st.sampled_from([0, 0, -1, 5]),
    state=st.sampled_from(["", "{", "[]", '{"etag": "\\"one\\""}', '{"etag": "\\"old\\""}']),
    have=st.integers(0, 60_000),
)
def test_whatever_happens_the_bytes_are_right(tmp_path_factory, breaks, statuses, ranges, etag, shift, state, have):
    folder = tmp_path_factory.mktemp("download")
    if have:  # an earlier attempt got this far; its bytes are right only if it knows the version it was of
        (folder / "big.bin.part").write_bytes(BODY[:have] if "one" in state else bytes(have))
        (folder / "big.bin.part.json").write_text(state)
    with serving(Remote(BODY, etag, ranges=ranges, breaks=breaks, statuses=statuses, shift=shift)) as remote:
        try:
            download(remote.url, folder / "big.bin")
        except DownloadError:
            assert not (folder / "big.bin").exists()
        else:
            assert (folder / "big.bin").read_bytes() == BODY


@pytest.mark.parametrize(
    ("expected", "problem"),
    [
        ({"sha256": "0" * 64}, f"its sha256 is {SHA256}, not 0000"),
        ({"md5": "0" * 32}, f"its md5 is {MD5}, not 0000"),
        ({"size": 7}, "it has 100000 bytes, not 7"),
    ],
)
def test_the_wrong_file_is_never_put_in_place(tmp_path, expected, problem):
    with serving(Remote(BODY)) as remote, pytest.raises(DownloadError, match=problem):
        download(remote.url, tmp_path / "big.bin", **expected)
    assert not (tmp_path / "big.bin").exists()
    assert not (tmp_path / "big.bin.part").exists()


def test_a_file_brought_by_hand_is_checked_but_not_deleted(tmp_path):
    (tmp_path / "big.bin").write_bytes(b"something else")
    with serving(Remote(BODY)) as remote, pytest.raises(DownloadError, match="not the expected file"):
        download(remote.url, tmp_path / "big.bin", md5=MD5)
    assert (tmp_path / "big.bin").read_bytes() == b"something else"
    (tmp_path / "big.bin").write_bytes(BODY)
    assert download(remote.url, tmp_path / "big.bin", md5=MD5).read_bytes() == BODY
    assert remote.requests == []


def test_without_a_published_checksum_the_first_download_is_the_measure(tmp_path):
    target, shown = tmp_path / "big.bin", Lines()
    with serving(Remote(BODY)) as remote:
        download(remote.url, target, progress=shown)
        assert "NOT verified" in shown.lines[-1]
        target.unlink()
        remote.body = b"replaced"
        with pytest.raises(DownloadError, match=f"not {SHA256}"):
            download(remote.url, target)
        remote.body = BODY
        again = Lines()
        download(remote.url, target, progress=again)
    assert not any("NOT verified" in line for line in again.lines)


@pytest.mark.parametrize("code", [404, 403, 410])
def test_an_address_that_is_gone_is_not_asked_again(tmp_path, code):
    target = tmp_path / "big.bin"
    with serving(Remote(BODY, statuses=[code])) as remote, pytest.raises(DownloadError) as refused:
        download(remote.url, target)
    assert f"the server answered {code}" in refused.value.message
    assert refused.value.hint.endswith(f"get the file by hand from {remote.url} and put it at {target}.")
    assert remote.requests == [None]


def test_a_server_in_trouble_is_asked_again_but_not_for_ever(tmp_path):
    with serving(Remote(BODY, statuses=[503, 500])) as remote:
        download(remote.url, tmp_path / "big.bin", md5=MD5)
        (tmp_path / "other").mkdir()
        remote.statuses = [503] * 9
        with pytest.raises(DownloadError, match="answered 503"):
            download(remote.url, tmp_path / "other" / "big.bin")
    assert len(remote.requests) == 3 + 3


def test_a_server_that_always_breaks_and_cannot_go_on_is_given_up(tmp_path):
    with serving(Remote(BODY, etag=None, breaks=[500] * 99)) as remote, pytest.raises(DownloadError, match="could not"):
        download(remote.url, tmp_path / "big.bin")
    assert len(remote.requests) < 10


def test_without_a_network_it_says_so_at_once(tmp_path, monkeypatch):
    asked = []

    def offline(request, timeout):
        asked.append(request.full_url)
        raise urllib.error.URLError(socket.gaierror(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(module.urllib.request, "urlopen", offline)
    with pytest.raises(DownloadError, match="Temporary failure in name resolution") as refused:
        download("https://example.org/big.bin", tmp_path / "big.bin")
    assert asked == ["https://example.org/big.bin"]
    assert f"put it at {tmp_path / 'big.bin'}" in refused.value.hint


def test_a_refused_connection_is_explained(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DownloadError, match="Connection refused"):
        download(f"http://127.0.0.1:{port}/big.bin", tmp_path / "big.bin")


def test_a_full_disk_is_not_taken_for_a_network_fault(tmp_path, monkeypatch):
    def full(path, mode):
        raise OSError(errno.ENOSPC, "No space left on device")

    with serving(Remote(BODY)) as remote:
        monkeypatch.setattr(module, "open", full, raising=False)
        with pytest.raises(DiskError, match="No space left on device"):
            download(remote.url, tmp_path / "big.bin")
    assert remote.requests == [None]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "big.bin"])
def test_only_the_web_is_asked(tmp_path, url):
    with pytest.raises(UsageError, match="cannot be downloaded"):
        download(url, tmp_path / "big.bin")
