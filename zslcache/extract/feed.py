"""Decoded batches: threads read, hash, decode and transform images, on a GPU a few batches ahead of it.

Batches never straddle shards and hold the same images whatever else happens, so a shard that is done again has the same
bytes. An image that cannot be used keeps its place (black) and is named with the reason.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from zslcache.data.images import Images
from zslcache.errors import DataError
from zslcache.extract.decode import Undecodable, decode
from zslcache.extract.transform import Transform

AHEAD = 3  # batches in flight beside the one that a GPU works on


@dataclass
class DecodedBatch:
    """Consecutive rows of one shard, once per distinct transform."""

    shard: int
    first: int
    last_of_shard: bool
    pixels: dict[Transform, UInt8[torch.Tensor, "batch height width 3"]]
    hashes: UInt8[np.ndarray, "batch 32"]
    skipped: dict[int, str] = field(default_factory=dict)  # row -> reason

    def __len__(self) -> int:
        return len(self.hashes)


class Feed:
    """Iterates over the batches of the given shards."""

    def __init__(
        self,
        images: Images,
        transforms: Sequence[Transform],
        batch_size: int,
        shard_rows: int,
        workers: int,
        device: str = "cpu",
        strict: bool = False,
    ) -> None:
        self.images = images
        self.transforms = tuple(dict.fromkeys(transforms))
        self.batch_size = batch_size
        self.shard_rows = shard_rows
        self.workers = workers
        self.pinned = device == "cuda"
        # On the CPU the encoder uses every core itself: a thread that decodes beside it makes all its others wait, and
        # decoding on all cores in between costs less.
        self.ahead = AHEAD if device == "cuda" else 0
        self.strict = strict

    def batches(self, shards: Iterable[int]) -> Generator[DecodedBatch, None, None]:
        """The batches of each shard in turn; closing the iterator stops the threads."""
        flying: deque[tuple[DecodedBatch, list[Future[None]]]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        try:
            for batch in self._plan(shards):
                parts = np.array_split(np.arange(len(batch)), 2 * self.workers)
                flying.append((batch, [pool.submit(self._load, batch, part) for part in parts if len(part)]))
                if len(flying) > self.ahead:
                    yield self._landed(*flying.popleft())
            while flying:
                yield self._landed(*flying.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _plan(self, shards: Iterable[int]) -> Iterator[DecodedBatch]:
        for shard in shards:
            begin, end = shard * self.shard_rows, min((shard + 1) * self.shard_rows, len(self.images))
            for first in range(begin, end, self.batch_size):
                size = min(self.batch_size, end - first)
                pixels = {
                    t: torch.zeros(size, t.size, t.size, 3, dtype=torch.uint8, pin_memory=self.pinned)
                    for t in self.transforms
                }
                yield DecodedBatch(shard, first, first + size == end, pixels, np.zeros((size, 32), np.uint8))

    def _load(self, batch: DecodedBatch, places: Int64[np.ndarray, " places"]) -> None:
        for place in places:
            self._load_one(batch, int(place))

    def _load_one(self, batch: DecodedBatch, place: int) -> None:
        row = batch.first + place
        try:
            data = self.images.read(row)
        except OSError as error:
            batch.skipped[row] = f"cannot be read: {error.strerror or error}"
            return
        batch.hashes[place] = np.frombuffer(hashlib.sha256(data).digest(), np.uint8)
        try:
            image = decode(data)
            for transform, pixels in batch.pixels.items():
                pixels[place] = torch.from_numpy(transform(image))
        except Undecodable as error:
            batch.skipped[row] = error.message

    def _landed(self, batch: DecodedBatch, futures: list[Future[None]]) -> DecodedBatch:
        for future in futures:
            future.result()
        if self.strict and batch.skipped:
            row, reason = min(batch.skipped.items())
            raise DataError(
                f"{self.images.names[row]} cannot be used: {reason}.",
                "Mend or remove the image, or leave out --strict to skip such images.",
            )
        return batch
