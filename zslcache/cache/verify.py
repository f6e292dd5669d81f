"""Compare every byte of a store with what its journal and its manifest say was written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from zslcache.cache.layout import file_checksum
from zslcache.cache.store import GROUP, IMAGES, JOURNAL, MANIFEST, FeatureStore
from zslcache.cache.writer import writing
from zslcache.errors import DamageError
from zslcache.progress import SILENT, Progress

BLOCK = 1 << 22


@dataclass(frozen=True)
class Bad:
    """One damaged thing: a shard of an array, or (without a shard) a file of the store."""

    feature: str
    shard: int | None
    reason: str


@dataclass(frozen=True)
class Report:
    """How many files were compared, and which of them are not what was written."""

    checked: int
    bad: tuple[Bad, ...]


def verify(path: Path, progress: Progress = SILENT) -> Report:
    """Read the whole store at `path`; in little memory, and without trusting any library's own checks."""
    try:
        store = FeatureStore.open(path)
    except DamageError as error:
        return Report(1, (Bad(MANIFEST, None, error.message),))
    bad = [*_damaged_metadata(store)]
    committed = [(name, shard) for name in store.arrays for shard in np.flatnonzero(store.committed[name]).tolist()]
    with progress.task(f"Verifying {path.name}", len(committed), "shards") as task:
        for name, shard in committed:
            if reason := shard_damage(store, name, shard):
                bad.append(Bad(name, shard, reason))
            task.advance()
    return Report(len(committed) + len(store.zarr_files()) + 3, tuple(bad))


def shard_damage(store: FeatureStore, array: str, shard: int) -> str:
    """Why a committed shard is not what was written; empty when it is."""
    spec = store.arrays[array]
    path = store.path / GROUP / spec.file(shard)
    try:
        with open(path, "rb", buffering=0) as file:
            size, checksum = 0, 0
            while block := file.read(BLOCK):
                size += len(block)
                checksum = file_checksum(block, checksum)
    except OSError as error:
        return f"{spec.file(shard)} cannot be read: {error.strerror}"
    if size != spec.shard_bytes(shard):
        return f"{spec.file(shard)} has {size} bytes instead of {spec.shard_bytes(shard)}"
    if checksum != int(store.checksums[array][shard]):
        return f"{spec.file(shard)} does not match its checksum"
    return ""


def require_intact(store: FeatureStore, arrays: Iterable[str], shard: int) -> None:
    """Raise when a committed shard is damaged: no copy may give damage a fresh checksum."""
    for array in arrays:
        if reason := shard_damage(store, array, shard):
            raise DamageError(f"{store.path}: {reason}.", f"Mend it: zslcache cache repair {store.path}")


def disown(path: Path, bad: Iterable[Bad]) -> None:
    """Let the damaged shards no longer count, so that the next extraction makes exactly those again."""
    shards = sorted({(entry.shard, entry.feature) for entry in bad if entry.shard is not None})
    with writing(path) as writer:  # which drops the damaged lines of the journal
        for shard, entries in groupby(shards, key=lambda entry: entry[0]):
            writer.withdraw(shard, [feature for _, feature in entries])


def _damaged_metadata(store: FeatureStore) -> Iterator[Bad]:
    for line in store.journal.damaged_lines:
        yield Bad(JOURNAL, None, f"line {line} of {JOURNAL} does not match its checksum; what it committed is ignored")
    try:
        if len(store.image_names) != store.rows:
            yield Bad(IMAGES, None, f"{IMAGES} names {len(store.image_names)} images instead of {store.rows}")
    except (DamageError, OSError) as error:
        yield Bad(IMAGES, None, str(error))
    for name, content in store.zarr_files().items():
        try:
            if (store.path / name).read_bytes() != content:
                yield Bad(name, None, f"{name} is not what was written")
        except OSError as error:
            yield Bad(name, None, f"{name} cannot be read: {error.strerror}")
