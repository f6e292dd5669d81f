"""The same features kept in another form, without the images and without the encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from zslcache.cache.spec import STORE_DTYPES, StoreSpec
from zslcache.cache.store import HASH, FeatureStore
from zslcache.cache.verify import require_intact
from zslcache.cache.writer import StoreWriter, create_store, writing
from zslcache.errors import UsageError
from zslcache.progress import SILENT, Progress


def converted_spec(spec: StoreSpec, store_dtype: str) -> StoreSpec:
    """The specification of a store with its numbers kept as `store_dtype`."""
    if store_dtype not in STORE_DTYPES:
        raise UsageError(f"{store_dtype!r} is not a store dtype.", f"Choose among: {', '.join(STORE_DTYPES)}.")
    if store_dtype == spec.store_dtype:
        raise UsageError(f"The store is {store_dtype} already.")
    return replace(spec, store_dtype=store_dtype)


def convert(store: FeatureStore, store_dtype: str, target: Path, progress: Progress = SILENT) -> FeatureStore:
    """Write every finished shard of `store` as `store_dtype` into `target`; begun again, it goes on."""
    spec = converted_spec(store.spec, store_dtype)
    create_store(target, spec, store.image_names, {**store.provenance, "converted_from": store.spec.key})
    with writing(target) as writer:
        writer.add_features({feature: store.arrays[feature].row_shape for feature in store.features})
        work = [(feature, shard) for feature in store.features for shard in _missing(store, writer, feature)]
        with progress.task(f"Converting to {store_dtype}", len(work), "shards") as task:
            for feature, shard in work:
                _convert_shard(store, writer, feature, shard)
                task.advance()
    return FeatureStore.open(target)


def _missing(store: FeatureStore, writer: StoreWriter, feature: str) -> list[int]:
    return np.flatnonzero(store.complete([feature]) & ~writer.store.complete([feature])).tolist()


def _convert_shard(store: FeatureStore, writer: StoreWriter, feature: str, shard: int) -> None:
    """One feature at a time: all of them together could exceed the memory."""
    require_intact(store, [*store.arrays_of(feature), HASH], shard)
    rows = np.arange(shard * store.spec.shard_rows, min((shard + 1) * store.spec.shard_rows, store.rows))
    skipped = {row: store.skipped[row] for row in rows.tolist() if row in store.skipped}
    keep = ~np.isin(rows, list(skipped))
    values = np.zeros((len(rows), *store.arrays[feature].row_shape), np.float32)
    values[keep] = store.read(feature, rows[keep])
    hashes = None
    if not writer.store.committed[HASH][shard]:
        hashes = np.zeros((len(rows), 32), np.uint8)
        hashes[keep] = store.reader(HASH).gather(rows[keep])
    writer.commit(shard, {feature: values}, hashes, skipped)
