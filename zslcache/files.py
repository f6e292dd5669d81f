"""Files that are either whole or absent, and names that cannot leave their folder."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from zslcache.errors import DataError, UsageError, disk_error

TEMPORARY = ".tmp"  # how unfinished files end

# Anything with the buffer protocol; collections.abc.Buffer needs Python 3.12.
Buffer = bytes | bytearray | memoryview
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def check_name(kind: str, name: str) -> str:
    """Return `name` if it can safely be a folder's name, else say what is allowed."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a {kind}.",
            "Use letters, digits, '.', '_' and '-', beginning with a letter or digit.",
        )
    return name


def check_relative(name: str) -> str:
    """Return `name` if it is a plain relative path that stays inside its folder."""
    path = PurePosixPath(name)
    parts = name.replace("\\", "/").split("/")
    if path.is_absolute() or ".." in parts or not path.parts or any(c in name for c in "\n\r\0"):
        raise DataError(f"{name!r} is not a path inside the image folder.", "Use relative paths without '..'.")
    return name


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Turn what the system refuses into an error that names `path` and says what can be done."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, path) from error


class Disk:
    """The few operations by which anything durable reaches the disk, so that tests can make each of them fail."""

    def write_atomic(self, path: Path, *chunks: Buffer, via: Path | None = None) -> None:
        """Put `chunks` at `path`: temporary file, sync, rename, sync of the folder. Never a part, never unsynced.

        The temporary file lies in `via`, a folder of the same file system; by default beside `path`.
        """
        self.make_folder(path.parent)
        temporary = (via or path.parent) / f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"
        with naming(path):
            try:
                with self._opened(temporary, os.O_CREAT | os.O_EXCL) as descriptor:
                    for chunk in chunks:
                        self._write_all(descriptor, chunk)
                    self.sync(descriptor)
                self.rename(temporary, path)
            except BaseException:
                with suppress(OSError):  # what went wrong first matters more
                    temporary.unlink()
                raise
            self.sync_folder(path.parent)

    def make_folder(self, folder: Path) -> None:
        """Create `folder` and what is missing above it, durably."""
        if not folder.is_dir():
            self.make_folder(folder.parent)
            with naming(folder):
                folder.mkdir(exist_ok=True)
                self.sync_folder(folder.parent)

    def append(self, path: Path, data: Buffer) -> None:
        """Add `data` at the end of `path` and sync it; what cannot be added whole is taken back."""
        created = not path.exists()
        with naming(path), self._opened(path, os.O_CREAT | os.O_APPEND) as descriptor:
            size = os.fstat(descriptor).st_size
            try:
                self._write_all(descriptor, data)
                self.sync(descriptor)
                if created:
                    self.sync_folder(path.parent)
            except BaseException:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)
                raise

    def truncate(self, path: Path, size: int) -> None:
        """Cut `path` to `size` bytes and sync it."""
        with naming(path), self._opened(path) as descriptor:
            os.ftruncate(descriptor, size)
            self.sync(descriptor)

    @contextmanager
    def _opened(self, path: Path, flags: int = 0) -> Iterator[int]:
        descriptor = os.open(path, os.O_WRONLY | flags, 0o666)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _write_all(self, descriptor: int, data: Buffer) -> None:
        view = memoryview(data).cast("B")
        while view:  # the system may take less than it is given
            view = view[self.write(descriptor, view) :]

    def write(self, descriptor: int, data: memoryview) -> int:
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        os.replace(source, target)

    def sync_folder(self, folder: Path) -> None:
        """Make renames inside `folder` survive a power cut (folders cannot be opened outside POSIX)."""
        if os.name == "posix":
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                self.sync(descriptor)
            finally:
                os.close(descriptor)


def write_atomic(path: Path, content: Buffer) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a part."""
    Disk().write_atomic(path, content)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, for libraries that write files themselves; renamed over it on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
    disk = Disk()
    try:
        yield temporary
        with open(temporary, "rb+") as file:
            disk.sync(file.fileno())
        disk.rename(temporary, path)
        disk.sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
