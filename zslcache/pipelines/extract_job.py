"""One backbone's share of an extraction: its store, its encoder, and the shards that it still lacks."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from zslcache.cache.store import HASH, FeatureStore
from zslcache.cache.writer import StoreWriter
from zslcache.errors import DataError
from zslcache.extract.encode import Encoder
from zslcache.extract.feed import DecodedBatch
from zslcache.pipelines.shard_writer import Blocks, ShardWriter


@dataclass
class Job:
    """Fills the store of `writer` with what `encoder` sees."""

    writer: StoreWriter
    encoder: Encoder
    _blocks: Blocks | None = None
    _hashes: list[np.ndarray] = field(default_factory=list)
    _skipped: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make room for the features and see which shards lack any of them."""
        self.shapes = self.encoder.row_shapes()
        self.writer.add_features(self.shapes)
        complete = self.store.complete(self.features)
        self.todo: list[int] = np.flatnonzero(~complete).tolist()
        self.resumed = self.store.rows - sum(self._rows_in(shard) for shard in self.todo)
        self.images = 0

    @property
    def store(self) -> FeatureStore:
        return self.writer.store

    @property
    def features(self) -> tuple[str, ...]:
        return tuple(self.shapes)

    def _rows_in(self, shard: int) -> int:
        return self.store.arrays[HASH].rows_in(shard)

    def bytes_to_write(self) -> int:
        """What the missing shards will take on disk."""
        arrays = [self.store.arrays[name] for f in self.features for name in self.store.arrays_of(f)]
        return sum(self._rows_in(shard) * a.stride + a.index_bytes for a in arrays for shard in self.todo)

    def seconds_per_image(self, images: int) -> float:
        """How long the encoder takes, measured on a few black images, twice: the first pass of a shape is slower."""
        trials = []
        for _ in range(2):
            begun = time.perf_counter()
            for values in self.encoder(self.encoder.black(images)).values():
                values.cpu()
            trials.append(time.perf_counter() - begun)
        return min(trials) / images

    def start_writing(self) -> None:
        pinned = self.encoder.device.type == "cuda"
        self._shards = ShardWriter(self.writer, self.shapes, self.encoder.keep, pinned)
        self._todo = set(self.todo)

    def stop_writing(self) -> None:
        self._shards.close()

    def take(self, batch: DecodedBatch) -> float:
        """Encode a batch if its shard is wanted; returns the seconds spent waiting for the disk."""
        if batch.shard not in self._todo:
            return 0.0
        waited = 0.0
        if self._blocks is None:
            begun = time.monotonic()
            self._blocks = self._shards.take()
            waited = time.monotonic() - begun
        place = batch.first - batch.shard * self.store.spec.shard_rows
        for name, values in self.encoder(batch.pixels[self.encoder.backbone.transform]).items():
            self._blocks[name][place : place + len(batch)].copy_(values, non_blocking=True)
        self._hashes.append(batch.hashes)
        self._skipped |= batch.skipped
        self.images += len(batch)
        if batch.last_of_shard:
            self._commit(batch.shard, place + len(batch))
        return waited

    def _commit(self, shard: int, rows: int) -> None:
        assert self._blocks is not None
        ready = None
        if self.encoder.device.type == "cuda":
            ready = torch.cuda.Event()
            ready.record()
        hashes = np.concatenate(self._hashes)
        first_time = not self.store.committed[HASH][shard]
        if not first_time:
            self._refuse_changed_images(shard, hashes)
        self._shards.commit(shard, self._blocks, rows, hashes if first_time else None, self._skipped, ready)
        self._blocks, self._hashes, self._skipped = None, [], {}

    def _refuse_changed_images(self, shard: int, hashes: np.ndarray) -> None:
        """A feature that is added later must come from the same images as those it will stand beside."""
        first = shard * self.store.spec.shard_rows
        rows = [row for row in range(first, first + len(hashes)) if row not in self.store.skipped]
        known = self.store.reader(HASH).gather(np.array(rows, np.int64))
        changed = np.flatnonzero((known != hashes[np.array(rows, np.int64) - first]).any(axis=1))
        if len(changed):
            name = self.store.image_names[rows[changed[0]]]
            raise DataError(
                f"{len(changed)} images have changed since their other features were extracted; the first is {name}.",
                f"Remove the old store, zslcache cache rm {self.store.path}, and extract again; or put the image back.",
            )
