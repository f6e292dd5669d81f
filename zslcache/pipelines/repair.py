"""Mending a store: what is damaged no longer counts, and just that is extracted again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from zslcache.cache.store import FeatureStore
from zslcache.cache.verify import Bad, disown, verify
from zslcache.cache.writer import writing
from zslcache.home import Home
from zslcache.pipelines.extract import extract
from zslcache.pipelines.origin import origin
from zslcache.progress import SILENT, Progress


@dataclass(frozen=True)
class Repair:
    """What was damaged, how many images were extracted again, and what is still damaged."""

    found: tuple[Bad, ...]
    images: int
    left: tuple[Bad, ...]


def repair(
    home: Home,
    path: Path,
    skipped: bool = False,
    weights: str | None = None,
    hub_dir: Path | None = None,
    progress: Progress = SILENT,
) -> Repair:
    """Verify the store at `path` and extract damaged shards again, with `skipped` also those with skipped images."""
    found = verify(path, progress).bad
    retry = _shards_with_skipped_images(FeatureStore.open(path)) if skipped else ()
    if not found and not retry:
        return Repair((), 0, ())
    made = origin(home, path, weights, hub_dir)  # before anything is given up: can it be made again?
    disown(path, [*found, *retry])
    with writing(path) as writer:
        writer.restore_metadata(made.dataset.images.names)
    (report,) = extract(home, made.dataset, [made.backbone], made.settings, progress)
    return Repair(found, report.images, verify(path, progress).bad)


def _shards_with_skipped_images(store: FeatureStore) -> tuple[Bad, ...]:
    shards = {row // store.spec.shard_rows for row in store.skipped}
    return tuple(Bad(name, shard, "has skipped images") for shard in sorted(shards) for name in store.arrays)
