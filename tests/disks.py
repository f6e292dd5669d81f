"""Disks that fail, and a disk that remembers what a power cut would have left of it at every moment."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zslcache.files import Disk

Tree = Mapping[str, bytes | None]  # relative path -> content; None for a folder


class NoSync(Disk):
    """Quick: nothing is synced."""

    def sync(self, descriptor: int) -> None:
        pass


class FailingDisk(NoSync):
    """Fails at its operation number `fatal` (and, if `forever`, at every later one)."""

    def __init__(self, fatal: int, forever: bool = False, half: bool = False) -> None:
        self.fatal, self.forever, self.half = fatal, forever, half
        self.done = 0

    def _fails(self) -> bool:
        self.done += 1
        return self.done == self.fatal or (self.forever and self.done > self.fatal)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self._fails():
            if self.half:  # a full disk may take a part before it refuses the rest
                os.write(descriptor, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data[:200])  # often short: callers have to go on

    def sync(self, descriptor: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def rename(self, source: Path, target: Path) -> None:
        if self._fails():
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().rename(source, target)


@dataclass
class PowerCutDisk(Disk):
    """Before each operation, notes the trees that a power cut could leave below `root`.

    What was synced is certain: the content of a file by its own sync, its name by that of its folder. The rest may be
    there or not, in whole, in part or as zeros.
    """

    root: Path
    acknowledged: int = 0  # set by the test: what has been promised to be durable
    cuts: dict[frozenset, tuple[int, Tree]] = field(default_factory=dict)
    _content: dict[int, bytes] = field(default_factory=dict)  # inode -> what its last sync saw
    _entries: dict[str, dict[str, int]] = field(default_factory=dict)  # folder -> what its last sync saw

    def write(self, descriptor: int, data: memoryview) -> int:
        self.note()
        return super().write(descriptor, data)

    def rename(self, source: Path, target: Path) -> None:
        self.note()
        super().rename(source, target)

    def sync(self, descriptor: int) -> None:
        self.note()
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            self._entries[self._name(path)] = {entry.name: entry.stat().st_ino for entry in path.iterdir()}
        else:
            self._content[path.stat().st_ino] = path.read_bytes()
        alive = {path.stat().st_ino for path in self.root.rglob("*")}
        alive |= {inode for entries in self._entries.values() for inode in entries.values()}
        self._content = {inode: data for inode, data in self._content.items() if inode in alive}

    def note(self) -> None:
        now = {self._name(path): path for path in sorted(self.root.rglob("*"))}
        inodes = {name: path.stat().st_ino for name, path in now.items()}
        content = {inodes[name]: path.read_bytes() for name, path in now.items() if path.is_file()}
        kept = dict(self._kept("", inodes))
        for tree in (kept, inodes):
            for state in (self._synced, self._half, self._zeros, self._all):
                leaves = {name: state(inode, content) for name, inode in tree.items()}
                leaves = {name: None if now.get(name, self.root).is_dir() else data for name, data in leaves.items()}
                # The fewest promises made while a tree is possible would be too lenient: it has to keep the most.
                promised = max(self.acknowledged, self.cuts.get(frozenset(leaves.items()), (0, {}))[0])
                self.cuts[frozenset(leaves.items())] = promised, leaves

    def _kept(self, folder: str, inodes: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        for entry, inode in self._entries.get(folder, {}).items():
            name = f"{folder}/{entry}".lstrip("/")
            yield name, inode
            yield from self._kept(name, inodes)

    def _synced(self, inode: int, content: Mapping[int, bytes]) -> bytes:
        return self._content.get(inode, b"")

    def _half(self, inode: int, content: Mapping[int, bytes]) -> bytes:
        synced, now = self._content.get(inode, b""), content.get(inode, b"")
        return now[: (len(synced) + len(now)) // 2] if now.startswith(synced) else synced

    def _zeros(self, inode: int, content: Mapping[int, bytes]) -> bytes:
        synced = self._content.get(inode, b"")
        return synced.ljust(len(content.get(inode, b"")), b"\0")

    def _all(self, inode: int, content: Mapping[int, bytes]) -> bytes:
        return content.get(inode, self._content.get(inode, b""))

    def _name(self, path: Path) -> str:
        name = str(path.relative_to(self.root))
        return "" if name == "." else name


def rebuild(tree: Tree, root: Path) -> None:
    """Lay out a tree as files and folders."""
    for name, content in sorted(tree.items()):
        path = root / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
