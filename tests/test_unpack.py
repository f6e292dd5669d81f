"""Archives are unpacked whole, and nothing in them can reach outside their folder."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zslcache.data import unpack as module
from zslcache.data.unpack import unpack
from zslcache.errors import DataError, NotFoundError, ZslError

FILES = {"top/a.txt": b"alpha", "top/deep/b.bin": bytes(range(256)) * 50, "./c": b""}
ESCAPES = ["../evil", "top/../../evil", "/tmp/evil-absolute", "..\\evil", "top\\..\\..\\evil"]


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("top/", b"")
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def tarred(path: Path, files: dict[str, bytes], *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz" if path.suffix in (".tgz", ".gz") else "w") as archive:
        folder = tarfile.TarInfo("./")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for info in extra:
            archive.addfile(info)
    return path


MAKERS = {"x.zip": zipped, "x.tar": tarred, "x.tgz": tarred, "x.tar.gz": tarred}


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_every_file_arrives(tmp_path, name):
    archive = MAKERS[name](tmp_path / name, FILES)
    out = unpack(archive, tmp_path / "out")
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert found == {name.removeprefix("./"): content for name, content in FILES.items()}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", name]
    archive.unlink()
    assert unpack(archive, out) == out


@pytest.mark.parametrize("name", sorted(MAKERS))
@pytest.mark.parametrize("escape", ESCAPES)
def test_nothing_escapes(tmp_path, name, escape):
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    archive = MAKERS[name](inside / name, {"good": b"1", escape: b"2"})
    with pytest.raises(DataError, match="not a path inside"):
        unpack(archive, inside / "out")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [archive]
    assert not Path("/tmp/evil-absolute").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    link = tarfile.TarInfo("top/link")
    link.type, link.linkname = kind, "/etc/passwd"
    with pytest.raises(DataError, match="'top/link', which is no plain file or folder"):
        unpack(tarred(tmp_path / "x.tar", {"a": b""}, link), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="'link', which is no plain file or folder"):
        unpack(tmp_path / "x.zip", tmp_path / "out")


def test_an_interrupted_unpacking_goes_on(tmp_path, monkeypatch):
    archive, written = tarred(tmp_path / "x.tgz", {f"f{i}": bytes([i]) * i for i in range(9)}), []
    plain = module._write

    def interrupted(source, target):
        if len(written) == 5:
            raise KeyboardInterrupt
        written.append(target.name)
        plain(source, target)

    monkeypatch.setattr(module, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    written.append("later")
    out = unpack(archive, tmp_path / "out")
    assert written == ["f0", "f1", "f2", "f3", "f4", "later", "f5", "f6", "f7", "f8"]
    assert all((out / f"f{i}").read_bytes() == bytes([i]) * i for i in range(9))


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_archives_are_refused_or_whole(tmp_path_factory, name, data):
    folder = tmp_path_factory.mktemp("unpack")
    archive = MAKERS[name](folder / name, FILES)
    content = bytearray(archive.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    archive.write_bytes(content[:place] if data.draw(st.booleans()) else content)
    try:
        unpack(archive, folder / "out")
    except ZslError:
        assert not (folder / "out").exists()
    assert {path.name for path in folder.iterdir()} <= {name, "out"}


def test_a_missing_archive_and_a_page_instead_of_one(tmp_path):
    with pytest.raises(NotFoundError, match="There is no archive"):
        unpack(tmp_path / "none.zip", tmp_path / "out")
    (tmp_path / "x.zip").write_bytes(b"<html>Please log in</html>")
    with pytest.raises(DataError, match=r"x\.zip is damaged") as refused:
        unpack(tmp_path / "x.zip", tmp_path / "out")
    assert refused.value.hint == "Delete it and download it again."


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_lost_members_is_refused(tmp_path, mode):
    archive = tmp_path / "whole.tar"
    with tarfile.open(archive, mode) as tarred:
        for number in range(4):
            info = tarfile.TarInfo(f"{number}.txt")
            info.size = 600
            tarred.addfile(info, io.BytesIO(bytes([number]) * 600))
    unpack(archive, tmp_path / "whole")
    assert len(list((tmp_path / "whole").iterdir())) == 4
    plain = archive.read_bytes() if mode == "w" else gzip.decompress(archive.read_bytes())
    third = 2 * (512 + 1024)
    flipped = bytearray(plain)
    flipped[third + 3] ^= 1
    for number, content in enumerate((plain[:third], plain[: third + 100], bytes(flipped))):
        damaged = tmp_path / f"damaged{number}.tar"
        damaged.write_bytes(content if mode == "w" else gzip.compress(content))
        with pytest.raises(DataError, match="damaged"):
            unpack(damaged, tmp_path / f"out{number}")
        assert not (tmp_path / f"out{number}").exists()


def test_a_tar_that_ends_with_a_zip_is_a_tar(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as zipped:
        zipped.writestr("inside.txt", "x")
    archive = tmp_path / "outer.tar"
    with tarfile.open(archive, "w") as tarred:
        for name, content in (("first.txt", b"1"), ("inner.zip", inner.getvalue())):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tarred.addfile(info, io.BytesIO(content))
    unpack(archive, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["first.txt", "inner.zip"]
