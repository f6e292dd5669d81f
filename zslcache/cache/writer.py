"""The writing side of a store: made once, then whole shards, each of which counts when its journal line is on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from zslcache import __version__
from zslcache.cache import journal
from zslcache.cache.journal import Commit
from zslcache.cache.layout import ArraySpec, crc32c, encode_shard
from zslcache.cache.lock import writer_lock
from zslcache.cache.quantise import quantise
from zslcache.cache.spec import StoreSpec
from zslcache.cache.store import FORMAT, GROUP, HASH, IMAGES, JOURNAL, LOCK, MANIFEST, SCALE, TMP, FeatureStore
from zslcache.errors import DataError
from zslcache.files import TEMPORARY, Disk

ATTENTION = ("rollout", "cls_attention")  # probabilities: one scale per row would drown the small ones, so never int8


def create_store(
    path: Path,
    spec: StoreSpec,
    image_names: Sequence[str],
    provenance: Mapping[str, Any],
    disk: Disk | None = None,
) -> FeatureStore:
    """An empty store for the named images, or the one that is there already; features are added by its writer."""
    disk = disk or Disk()
    disk.make_folder(path / TMP)
    with writer_lock(path / LOCK, wait=True):  # of two processes that begin the same store, the second finds it made
        if not (path / MANIFEST).exists():
            _create(path, spec, image_names, provenance, disk)
    return FeatureStore.open(path)


def _create(path: Path, spec: StoreSpec, image_names: Sequence[str], provenance: Mapping[str, Any], disk: Disk) -> None:
    (path / JOURNAL).unlink(missing_ok=True)  # without a manifest it belonged to no store
    names = "".join(f"{name}\n" for name in image_names).encode()
    disk.write_atomic(path / IMAGES, names)
    provenance = {**provenance, "images_sha256": hashlib.sha256(names).hexdigest()}
    attributes = {"spec": spec.document(), "provenance": provenance}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    disk.write_atomic(path / GROUP / "zarr.json", _json(group))
    store = FeatureStore(path, {**attributes, "arrays": {}})
    _declare(store, [store.array_spec(HASH, [32], "uint8")], disk)


@contextmanager
def writing(path: Path, wait: bool = False, disk: Disk | None = None) -> Iterator[StoreWriter]:
    """The one writer of the store at `path`; what a killed one left unfinished is cleared first."""
    FeatureStore.open(path)  # says so when there is none, before a lock file is made
    with writer_lock(path / LOCK, wait):
        disk = disk or Disk()
        store = FeatureStore.open(path)
        for leftover in (path / TMP).glob(f".*{TEMPORARY}"):
            leftover.unlink(missing_ok=True)
        journal.cut_torn_tail(disk, path / JOURNAL, store.journal)
        yield StoreWriter(store, disk)


def _declare(store: FeatureStore, added: Sequence[ArraySpec], disk: Disk) -> None:
    """Write the metadata of further arrays, then the manifest that names them."""
    for array in added:
        disk.write_atomic(store.path / GROUP / array.name / "zarr.json", _json(array.metadata()))
        store.arrays[array.name] = array
    document = {
        "format": FORMAT,
        "written_by": __version__,
        "spec": store.spec.document(),
        "provenance": store.provenance,
        "arrays": {a.name: [list(a.row_shape), a.dtype] for a in store.arrays.values()},
    }
    disk.write_atomic(store.path / MANIFEST, _json(document))
    store.reload()


class StoreWriter:
    """Commits whole shards; made by `writing`, which holds its lock."""

    def __init__(self, store: FeatureStore, disk: Disk) -> None:
        self.store = store
        self.disk = disk

    def add_features(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Make room for further features, given the shape of one image's row each."""
        store = self.store
        added = []
        for feature, shape in shapes.items():
            if feature in store.arrays:
                if store.arrays[feature].row_shape != tuple(shape):
                    raise DataError(
                        f"{feature} has shape {store.arrays[feature].row_shape} in {store.path}, not {tuple(shape)}."
                    )
                continue
            dtype = store.spec.store_dtype
            if dtype == "int8" and feature.startswith(ATTENTION):
                dtype = "float16"
            added.append(store.array_spec(feature, shape, dtype))
            if dtype == "int8":
                added.append(store.array_spec(feature + SCALE, shape[:-1], "float32"))
        if added:
            _declare(store, added, self.disk)

    def commit(
        self,
        shard: int,
        blocks: Mapping[str, Float[np.ndarray, "rows ..."]],
        hashes: UInt8[np.ndarray, "rows 32"] | None = None,
        skipped: Mapping[int, str] | None = None,
    ) -> None:
        """Write one shard of the given features; `skipped` says by row number which have none and why.

        It counts when this returns. `hashes` come with the first features of a shard.
        """
        store, skipped = self.store, dict(skipped or {})
        first = shard * store.spec.shard_rows
        present = np.ones(store.arrays[HASH].rows_in(shard), bool)
        present[[row - first for row in skipped]] = False
        files, not_finite = {}, {}
        for name, values in self._arrays(blocks, hashes):
            array = store.arrays[name]
            encoded = encode_shard(array, values, present)
            self.disk.write_atomic(store.path / GROUP / array.file(shard), encoded.data, via=store.path / TMP)
            files[name] = len(encoded), crc32c(encoded)
            if values.dtype.kind == "f":
                not_finite[name] = int(np.count_nonzero(~np.isfinite(values[present])))
        commit = Commit(shard, files, skipped, {name: count for name, count in not_finite.items() if count})
        journal.append(self.disk, store.path / JOURNAL, commit)
        store.apply(commit)

    def _arrays(
        self, blocks: Mapping[str, Float[np.ndarray, "rows ..."]], hashes: UInt8[np.ndarray, "rows 32"] | None
    ) -> Iterator[tuple[str, Shaped[np.ndarray, "rows ..."]]]:
        for feature, values in blocks.items():
            array = self.store.arrays[feature]
            if array.dtype == "int8":
                values, scale = quantise(values)
                yield feature + SCALE, scale
            else:
                with np.errstate(over="ignore"):  # what overflows becomes infinite and is counted
                    values = values.astype(array.numpy_dtype, copy=False)
            yield feature, values
        if hashes is not None:
            yield HASH, hashes


def _json(document: Any) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode()
