"""The journal of committed shards: what it does not name was never written, whatever files exist.

One line per committed shard: JSON whose `crc` covers the canonical form of its `entry`. A torn last line is what a kill
leaves behind; it is ignored by readers and cut off by the next writer. A damaged line elsewhere counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zslcache.cache.layout import crc32c
from zslcache.cache.spec import canonical
from zslcache.files import Disk


@dataclass(frozen=True)
class Commit:
    """One shard of some arrays, whole and checked."""

    shard: int
    files: Mapping[str, tuple[int, int]]  # array -> (bytes, crc32c of the whole shard file)
    skipped: Mapping[int, str] = field(default_factory=dict)  # row -> why it has no features
    not_finite: Mapping[str, int] = field(default_factory=dict)  # array -> how many values are NaN or infinite


@dataclass(frozen=True)
class JournalContent:
    """What a journal says: its commits in order, and what of it could not be read."""

    commits: tuple[Commit, ...]
    damaged_lines: tuple[int, ...]  # 1-based; a torn tail is not among them
    whole_bytes: int  # where the last complete line ends


def append(disk: Disk, path: Path, commit: Commit) -> None:
    """Add one commit; it counts from the moment this returns."""
    entry = _string_keys(asdict(commit))  # before the checksum: 9 sorts before 10, but "10" before "9"
    line = canonical({"crc": crc32c(canonical(entry)), "entry": entry})
    disk.append(path, line + b"\n")


def read(path: Path) -> JournalContent:
    """Everything in the journal at `path` that can be trusted; an absent journal is an empty one."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    commits, damaged = [], []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            commits.append(_parse(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            damaged.append(number)
    return JournalContent(tuple(commits), tuple(damaged), whole)


def cut_torn_tail(disk: Disk, path: Path, content: JournalContent) -> None:
    """Remove an unfinished last line, so that the next commit begins a line of its own."""
    if path.exists() and path.stat().st_size > content.whole_bytes:
        disk.truncate(path, content.whole_bytes)


def _parse(line: bytes) -> Commit:
    document = json.loads(line)
    entry = document["entry"]
    if crc32c(canonical(entry)) != document["crc"]:
        raise ValueError("checksum")
    return Commit(
        shard=entry["shard"],
        files={name: (size, crc) for name, (size, crc) in entry["files"].items()},
        skipped={int(row): reason for row, reason in entry["skipped"].items()},
        not_finite=entry["not_finite"],
    )


def _string_keys(entry: dict[str, Any]) -> dict[str, Any]:
    return json.loads(canonical(entry))
