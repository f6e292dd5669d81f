"""Unpacks zip and tar archives that nobody vouches for: nothing leaves the folder, which appears only when whole."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path
from typing import IO

from zslcache.errors import DataError, NotFoundError
from zslcache.files import check_relative, naming
from zslcache.progress import SILENT, Progress

_BROKEN = (
    zipfile.BadZipFile,
    BadGzipFile,
    tarfile.TarError,
    EOFError,
    zlib.error,
    LZMAError,
    RuntimeError,
    UnicodeError,
)


def unpack(archive: Path, folder: Path, progress: Progress = SILENT) -> Path:
    """Unpack `archive` into the new `folder`; returns at once if it is there already.

    Files go to a hidden folder beside it first, which a second attempt goes on filling.
    """
    if folder.exists():
        return folder
    if not archive.is_file():
        raise NotFoundError(f"There is no archive {archive}.")
    # The size ties what was already unpacked to this very archive.
    partial = folder.with_name(f".{folder.name}.{archive.stat().st_size:x}.unpacking")
    with progress.task(f"Unpacking {archive.name}", None, "files") as task, _explained(archive, partial):
        for name, size, source in _members(archive):
            target = partial / check_relative(name)
            if not (target.is_file() and target.stat().st_size == size):
                _write(source, target)
            task.advance()
        partial.mkdir(parents=True, exist_ok=True)  # an empty archive gives an empty folder
    os.replace(partial, folder)
    return folder


def _members(archive: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and content of every file; folders are made on the way, anything else is refused."""
    with open(archive, "rb") as file:  # zipfile.is_zipfile would also find a zip at the end of a tar
        zipped_archive = file.read(2) == b"PK"
    if zipped_archive:
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(archive, info.filename)
                if not info.is_dir():
                    with zipped.open(info) as source:
                        yield info.filename, info.file_size, source
        return
    with tarfile.open(archive) as tarred:
        for member in tarred:
            if not (member.isreg() or member.isdir()):
                raise _refused(archive, member.name)
            if member.isreg() and (content := tarred.extractfile(member)) is not None:
                yield member.name, member.size, content
        _read_to_the_end(tarred)


def _read_to_the_end(tarred: tarfile.TarFile) -> None:
    """tarfile takes a damaged header for the end of the archive, and never reads gzip's checksum behind it."""
    assert tarred.fileobj is not None
    tarred.fileobj.seek(tarred.offset)
    if tarred.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("it breaks off in the middle")
    while tarred.fileobj.read(1 << 20):
        pass


def _write(source: IO[bytes], target: Path) -> None:
    """Copy to a name of its own first, so that a file of the right name is always whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.part")
    with open(partial, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
    os.replace(partial, target)


@contextmanager
def _explained(archive: Path, partial: Path) -> Iterator[None]:
    with naming(partial):
        try:
            yield
        except DataError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        except _BROKEN as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise DataError(f"{archive} is damaged: {error}.", "Delete it and download it again.") from error


def _refused(archive: Path, member: str) -> DataError:
    return DataError(
        f"{archive} holds {member!r}, which is no plain file or folder.", "Links and devices are never unpacked."
    )
