"""Rows of one stored array, read through memory maps of its shards."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, Shaped

from zslcache.cache.layout import ArraySpec, map_rows
from zslcache.errors import DamageError

Mapped = tuple[Shaped[np.ndarray, "rows bytes"], Bool[np.ndarray, " rows"]]  # bytes of every row, whether it is there
MAX_MAPS = 4096  # far below Linux's default limit of 65,530 maps per process


class ArrayReader:
    """Random access to the rows of one array; each shard is mapped and its index checked when first touched."""

    def __init__(self, group: Path, spec: ArraySpec) -> None:
        self.group = group
        self.spec = spec
        self._maps: OrderedDict[int, Mapped] = OrderedDict()

    def gather(self, rows: Int64[np.ndarray, " rows"]) -> Shaped[np.ndarray, "rows ..."]:
        """The given rows in the given order, copied into a new array."""
        out = np.empty((len(rows), self.spec.row_bytes), np.uint8)
        shards, local = np.divmod(rows, self.spec.shard_rows)
        order = np.argsort(shards, kind="stable")
        touched, starts = np.unique(shards[order], return_index=True)
        for shard, here in zip(touched.tolist(), np.split(order, starts[1:]), strict=False):
            stored, present = self._map(shard)
            if not present[local[here]].all():
                raise DamageError(
                    f"{self.spec.file(shard)} lacks rows that the journal does not call skipped.",
                    "Find the damage with zslcache cache verify, mend it with zslcache cache repair.",
                )
            out[here] = stored[local[here]]
        return out.view(self.spec.numpy_dtype).reshape(len(rows), *self.spec.row_shape)

    def _map(self, shard: int) -> Mapped:
        if shard in self._maps:
            self._maps.move_to_end(shard)
            return self._maps[shard]
        path = self.group / self.spec.file(shard)
        try:
            data = np.memmap(path, np.uint8, mode="r")
        except (OSError, ValueError) as error:
            raise DamageError(
                f"{path} was committed but cannot be read: {error}.",
                "Find the damage with zslcache cache verify, mend it with zslcache cache repair.",
            ) from error
        self._maps[shard] = map_rows(self.spec, shard, data)
        if len(self._maps) > MAX_MAPS:
            self._maps.popitem(last=False)
        return self._maps[shard]
