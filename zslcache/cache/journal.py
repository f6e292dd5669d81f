"""The journal of committed shards: what it does not name was never written, whatever files exist.

One line per committed shard: JSON whose `crc` covers the canonical form of its `entry`. A torn last line is what a kill
leaves behind; it is ignored by readers and cut off by the next writer. A damaged line counts as absent.
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
    """One shard of some arrays, whole and checked (or withdrawn again)."""

    shard: int
    files: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # array -> (bytes, checksum of the shard file)
    skipped: Mapping[int, str] = field(default_factory=dict)  # row -> why it has no features
    not_finite: Mapping[str, int] = field(default_factory=dict)  # array -> how many values are NaN or infinite
    withdrawn: tuple[str, ...] = ()  # arrays whose shard no longer counts: damaged, or about to be redone


@dataclass(frozen=True)
class JournalContent:
    """What a journal says: its commits in order, and what of it could not be read."""

    commits: tuple[Commit, ...]
    damaged_lines: tuple[int, ...]  # 1-based; a torn tail is not among them
    whole_bytes: int  # where the last complete line ends


def append(disk: Disk, path: Path, commit: Commit) -> None:
    """Add one commit; it counts from the moment this returns."""
    disk.append(path, _line(commit))


def read(path: Path) -> JournalContent:
    """Everything in the journal at `path` that can be trusted; an absent journal is an empty one."""
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    lines = data[:whole].split(b"\n")[:-1]
    parsed = [_parse(line) for line in lines]
    damaged = [number for number, commit in enumerate(parsed, start=1) if commit is None]
    if _parse(data[whole:-1]):  # no torn line is longer than its text: its line feed has become something else
        damaged.append(len(lines) + 1)
    return JournalContent(tuple(commit for commit in parsed if commit), tuple(damaged), whole)


def mend(disk: Disk, path: Path, content: JournalContent, via: Path) -> None:
    """Remove an unfinished last line, so that the next commit begins a line of its own, and damaged lines."""
    if content.damaged_lines:
        disk.write_atomic(path, b"".join(map(_line, content.commits)), via=via)
    elif path.exists() and path.stat().st_size > content.whole_bytes:
        disk.truncate(path, content.whole_bytes)


def _line(commit: Commit) -> bytes:
    entry = _string_keys(asdict(commit))
    return canonical({"crc": crc32c(canonical(entry)), "entry": entry}) + b"\n"


def _parse(line: bytes) -> Commit | None:
    """The commit in a line; None unless every byte is as `_line` wrote it."""
    try:
        document = json.loads(line)
        entry = document["entry"]
        if canonical(document) != line or crc32c(canonical(entry)) != document["crc"]:
            return None
        return _commit(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _commit(entry: Mapping[str, Any]) -> Commit:
    return Commit(
        shard=entry["shard"],
        files={name: (size, crc) for name, (size, crc) in entry["files"].items()},
        skipped={int(row): reason for row, reason in entry["skipped"].items()},
        not_finite=entry["not_finite"],
        withdrawn=tuple(entry["withdrawn"]),
    )


def _string_keys(entry: dict[str, Any]) -> dict[str, Any]:
    return json.loads(canonical(entry))
