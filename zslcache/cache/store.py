"""The feature store: every feature of one backbone over one dataset.

<store>/store.json       specification, provenance, the arrays there are; the store exists once this does
<store>/images.txt       the image of every row
<store>/journal.jsonl    the shards that were committed; nothing else counts
<store>/features.zarr/   an ordinary Zarr v3 group, one array per feature
<store>/writer.lock, tmp/
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt32

from zslcache.cache import journal, manifest
from zslcache.cache.journal import Commit
from zslcache.cache.layout import ArraySpec
from zslcache.cache.quantise import dequantise
from zslcache.cache.reader import ArrayReader
from zslcache.cache.spec import StoreSpec
from zslcache.errors import DamageError, DataError, NotFoundError

FORMAT = 1
MANIFEST, IMAGES, JOURNAL, GROUP, LOCK, TMP = (
    "store.json",
    "images.txt",
    "journal.jsonl",
    "features.zarr",
    "writer.lock",
    "tmp",
)
HASH = "image_hash"  # sha256 of every image's file, so that a changed image is noticed
SCALE = ".scale"


class FeatureStore:
    """A store on disk, as far as its journal vouches for it."""

    def __init__(self, path: Path, document: Mapping[str, Any]) -> None:
        self.path = path
        self.spec = StoreSpec(**document["spec"])
        self.provenance: Mapping[str, Any] = document["provenance"]
        self.rows = int(self.spec.dataset["images"])
        self.arrays = {name: self.array_spec(name, shape, dtype) for name, (shape, dtype) in document["arrays"].items()}
        self.reload()

    @classmethod
    def open(cls, path: Path) -> FeatureStore:
        """The store at `path`; says what is wrong when there is none or it cannot be read."""
        try:
            document = manifest.decode((path / MANIFEST).read_bytes())
            if document["format"] > FORMAT:
                raise DataError(
                    f"The store {path} was written by zslcache {document['written_by']}, which is newer than this one.",
                    "Upgrade: pip install -U zslcache",
                )
            return cls(path, document)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"There is no feature store at {path}.", "See: zslcache cache ls") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            hint = f"Remove it with zslcache cache rm {path}, then extract again."
            raise DamageError(f"{path / MANIFEST} is damaged: {error}.", hint) from error

    def reload(self) -> None:
        """Read the journal: which shards of which arrays are whole, which rows were skipped and why."""
        self._readers: dict[str, ArrayReader] = {}
        self.journal = journal.read(self.path / JOURNAL)
        self.committed: dict[str, Bool[np.ndarray, " shards"]] = {}
        self.checksums: dict[str, UInt32[np.ndarray, " shards"]] = {}
        for name, array in self.arrays.items():
            self.committed[name] = np.zeros(array.shards, bool)
            self.checksums[name] = np.zeros(array.shards, np.uint32)
        self.skipped: dict[int, str] = {}
        self.not_finite: dict[str, dict[int, int]] = {name: {} for name in self.arrays}
        for commit in self.journal.commits:
            self.apply(commit)

    @property
    def shards(self) -> int:
        return -(-self.rows // self.spec.shard_rows)

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order in which they were added."""
        return [name for name in self.arrays if name != HASH and not name.endswith(SCALE)]

    @cached_property
    def image_names(self) -> tuple[str, ...]:
        """The image of every row."""
        data = (self.path / IMAGES).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.provenance["images_sha256"]:
            raise DamageError(
                f"{self.path / IMAGES} is not the list of images that the store was made with.",
                "Mend it with zslcache cache repair.",
            )
        return tuple(data.decode().split("\n")[:-1])

    def arrays_of(self, feature: str) -> list[str]:
        """The arrays that make up a feature: itself and, in an int8 store, its scales."""
        if feature not in self.features:
            raise NotFoundError(
                f"The store {self.path.name} has no feature {feature!r}; it has {', '.join(self.features) or 'none'}.",
                f"Add it: zslcache extract --backbone {self.spec.backbone['name']} "
                f"--dataset {self.spec.dataset['name']} --features {feature}",
            )
        return [name for name in (feature, feature + SCALE) if name in self.arrays]

    def complete(self, features: Sequence[str]) -> Bool[np.ndarray, " shards"]:
        """For every shard, whether all the given features are committed."""
        names = [name for feature in features for name in self.arrays_of(feature)]
        return np.logical_and.reduce([self.committed[name] for name in (*names, HASH)])

    def valid(self, features: Sequence[str]) -> Bool[np.ndarray, " rows"]:
        """For every row, whether all the given features were committed and its image could be read."""
        rows = np.repeat(self.complete(features), self.spec.shard_rows)[: self.rows]
        rows[list(self.skipped)] = False
        return rows

    def read(self, feature: str, rows: Int64[np.ndarray, " rows"] | None = None) -> Float[np.ndarray, "rows ..."]:
        """The given rows (all by default) of a feature; refuses rows that were never committed or were skipped."""
        rows = np.arange(self.rows) if rows is None else np.asarray(rows, np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < self.rows:
            raise IndexError(f"rows {rows.min()} to {rows.max()} of a store that has {self.rows}")
        names = self.arrays_of(feature)
        missing = rows[~self.valid([feature])[rows]]
        if len(missing):
            first = int(missing[0])
            reason = self.skipped.get(first, "its shard was never committed")
            raise DataError(
                f"{len(missing)} of the rows asked for have no {feature}; the first is row {first}: {reason}.",
                "Finish the store by running the same zslcache extract again, or ask for valid rows only.",
            )
        values = self.reader(feature).gather(rows)
        return values if len(names) == 1 else dequantise(values, self.reader(names[1]).gather(rows))

    def zarr_files(self) -> dict[str, bytes]:
        """The metadata that make the stored arrays an ordinary Zarr group: path in the store, content."""
        attributes = {"spec": self.spec.document(), "provenance": self.provenance}
        group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        documents = {"": group} | {f"{name}/": array.metadata() for name, array in self.arrays.items()}
        return {f"{GROUP}/{k}zarr.json": manifest.readable_json(document) for k, document in documents.items()}

    def reader(self, array: str) -> ArrayReader:
        """Row access to one stored array."""
        reader = self._readers.get(array)  # looked up once: a thread that commits may drop it meanwhile
        if reader is None:
            reader = self._readers[array] = ArrayReader(self.path / GROUP, self.arrays[array])
        return reader

    def array_spec(self, name: str, shape: Sequence[int], dtype: str) -> ArraySpec:
        """How an array of the given row shape is laid out in this store."""
        return ArraySpec(name, self.rows, tuple(shape), dtype, self.spec.shard_rows)

    def apply(self, commit: Commit) -> None:
        """Take a commit of the journal into account."""
        shard = commit.shard
        for name in commit.withdrawn:
            if name in self.arrays:
                self.committed[name][shard] = False
        if HASH in commit.files:  # the images of this shard were looked at afresh
            if commit.files[HASH][1] != self.checksums[HASH][shard]:  # and are others: what was made of them is stale
                for committed in self.committed.values():
                    committed[shard] = False
            for row in range(shard * self.spec.shard_rows, (shard + 1) * self.spec.shard_rows):
                self.skipped.pop(row, None)
        self.skipped.update(commit.skipped)
        for name, (_, checksum) in commit.files.items():
            if name in self.arrays:
                self._readers.pop(name, None)  # its maps may show the file that was replaced
                self.committed[name][shard] = True
                self.checksums[name][shard] = checksum
                self.not_finite[name][shard] = commit.not_finite.get(name, 0)
