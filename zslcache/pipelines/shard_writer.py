"""Writes shards behind the device's back: of two sets of blocks one is filled while the other is on its way."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from jaxtyping import UInt8

from zslcache.cache.writer import StoreWriter

Blocks = dict[str, torch.Tensor]


class ShardWriter:
    """Hands out blocks to fill and commits them in a thread; what goes wrong there is raised at the next call."""

    SETS = 2

    def __init__(
        self, writer: StoreWriter, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype, pinned: bool
    ) -> None:
        self.writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shard-writer")
        self._failure: BaseException | None = None
        self._free: queue.Queue[Blocks] = queue.Queue()
        rows = writer.store.spec.shard_rows
        for _ in range(self.SETS):
            self._free.put(
                {name: torch.empty(rows, *shape, dtype=dtype, pin_memory=pinned) for name, shape in shapes.items()}
            )

    def take(self) -> Blocks:
        """An unused set of blocks; waits for the disk when it has fallen behind."""
        while True:
            try:
                return self._free.get(timeout=0.5)
            except queue.Empty:
                self._raise_failure()

    def commit(
        self,
        shard: int,
        blocks: Blocks,
        rows: int,
        hashes: UInt8[np.ndarray, "rows 32"] | None,
        skipped: Mapping[int, str],
        ready: torch.cuda.Event | None,
    ) -> None:
        """Write a filled set once `ready` (when its copies from the device are done) and give it free again."""
        self._raise_failure()

        def work() -> None:
            if self._failure is not None:
                return  # one failure is told once; what follows it is done again by the next extraction
            try:
                if ready is not None:
                    ready.synchronize()
                self.writer.commit(shard, {n: b[:rows].numpy() for n, b in blocks.items()}, hashes, skipped)
                self._free.put(blocks)
            except BaseException as error:
                self._failure = error

        self._thread.submit(work)

    def close(self) -> None:
        """Wait for what is on its way; raises if it failed."""
        self._thread.shutdown(wait=True)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
