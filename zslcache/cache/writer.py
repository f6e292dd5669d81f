"""The writing side of a store: made once, then whole shards, each of which counts when its journal line is on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped, UInt8

from zslcache import __version__
from zslcache.cache import journal, manifest
from zslcache.cache.journal import Commit
from zslcache.cache.layout import ArraySpec, encode_shard, file_checksum
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
    """A store for the named images, empty unless one of this specification is there; its writer adds the features."""
    disk = disk or Disk()
    disk.make_folder(path / TMP)
    with writer_lock(path / LOCK, wait=True):  # of two processes that begin the same store, the second finds it made
        if not (path / MANIFEST).exists():
            _create(path, spec, image_names, provenance, disk)
    store = FeatureStore.open(path)
    if store.spec.key != spec.key:
        raise DataError(f"{path} holds another store, {store.spec.folder_name}.", "Name another folder.")
    return store


def _create(path: Path, spec: StoreSpec, image_names: Sequence[str], provenance: Mapping[str, Any], disk: Disk) -> None:
    (path / JOURNAL).unlink(missing_ok=True)  # without a manifest it belonged to no store
    names = "".join(f"{name}\n" for name in image_names).encode()
    disk.write_atomic(path / IMAGES, names, via=path / TMP)
    provenance = {**provenance, "images_sha256": hashlib.sha256(names).hexdigest()}
    store = FeatureStore(path, {"spec": spec.document(), "provenance": provenance, "arrays": {}})
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
        journal.mend(disk, path / JOURNAL, store.journal, via=path / TMP)
        yield StoreWriter(store, disk)


def _declare(store: FeatureStore, added: Sequence[ArraySpec], disk: Disk) -> None:
    """Write the metadata of further arrays, then the manifest that names them."""
    store.arrays |= {array.name: array for array in added}
    _write_zarr_files(store, disk)
    document = {
        "format": FORMAT,
        "written_by": __version__,
        "spec": store.spec.document(),
        "provenance": store.provenance,
        "arrays": {a.name: [list(a.row_shape), a.dtype] for a in store.arrays.values()},
    }
    disk.write_atomic(store.path / MANIFEST, manifest.encode(document), via=store.path / TMP)
    store.reload()


def _write_zarr_files(store: FeatureStore, disk: Disk) -> None:
    for name, content in store.zarr_files().items():
        path = store.path / name
        if not path.exists() or path.read_bytes() != content:
            disk.write_atomic(path, content, via=store.path / TMP)


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

        It counts when this returns. `hashes` come with the first features of a shard, or when its images were looked at
        afresh; without them, features that the shard has already stay as they are.
        """
        store, skipped = self.store, dict(skipped or {})
        first = shard * store.spec.shard_rows
        present = np.ones(store.arrays[HASH].rows_in(shard), bool)
        present[[row - first for row in skipped]] = False
        if hashes is None:
            blocks = {name: values for name, values in blocks.items() if not store.complete([name])[shard]}
            if not blocks:
                return
        else:  # while its files are replaced the shard must not count
            replaced = [HASH, *(name for feature in blocks for name in store.arrays_of(feature))]
            self.withdraw(shard, [name for name in replaced if store.committed[name][shard]])
        files, not_finite = {}, {}
        for name, values in self._arrays(blocks, hashes):
            array = store.arrays[name]
            encoded = encode_shard(array, values, present)
            self.disk.write_atomic(store.path / GROUP / array.file(shard), encoded.data, via=store.path / TMP)
            files[name] = len(encoded), file_checksum(encoded.data)
            if values.dtype.kind == "f":
                not_finite[name] = int(np.count_nonzero(~np.isfinite(values[present])))
        commit = Commit(shard, files, skipped, {name: count for name, count in not_finite.items() if count})
        journal.append(self.disk, store.path / JOURNAL, commit)
        store.apply(commit)

    def withdraw(self, shard: int, arrays: Sequence[str]) -> None:
        """Let a shard of the given arrays no longer count: it is damaged, or about to be written again."""
        if arrays:
            commit = Commit(shard, withdrawn=tuple(arrays))
            journal.append(self.disk, self.store.path / JOURNAL, commit)
            self.store.apply(commit)

    def restore_metadata(self, image_names: Sequence[str]) -> None:
        """Write again whatever metadata is not as it should be, given the names that the store was made with."""
        names = "".join(f"{name}\n" for name in image_names).encode()
        if hashlib.sha256(names).hexdigest() != self.store.provenance["images_sha256"]:
            raise DataError(f"These are not the images of the store {self.store.path}.")
        self.disk.write_atomic(self.store.path / IMAGES, names, via=self.store.path / TMP)
        _write_zarr_files(self.store, self.disk)

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
