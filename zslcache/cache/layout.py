"""How rows lie in a shard file: Zarr v3 sharding with raw little-endian rows, each followed by its crc32c.

A shard holds `shard_rows` inner chunks of one row. We always place row i at i * (row_bytes + 4), so that a shard
can be mapped into memory as a strided array; the index at its end (offset and length of every row, then a crc32c) is
what makes it an ordinary Zarr shard. Rows without data keep their place but are absent from the index, so that other
readers see the fill value (NaN for floats).
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import google_crc32c
import numpy as np
from jaxtyping import Bool, Shaped, UInt8

from zslcache.errors import DamageError, DataError
from zslcache.files import Buffer

CHECKSUM = 4  # bytes of a crc32c
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,99}")
ABSENT = np.iinfo(np.uint64).max


@dataclass(frozen=True)
class ArraySpec:
    """Name, shape and dtype of one stored array, and how it is cut into shards."""

    name: str
    rows: int
    row_shape: tuple[int, ...]
    dtype: str
    shard_rows: int

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):  # it becomes a folder
            raise DataError(f"{self.name!r} cannot be the name of a stored array.")

    @cached_property
    def numpy_dtype(self) -> np.dtype:
        return np.dtype(self.dtype).newbyteorder("<")

    @property
    def row_bytes(self) -> int:
        return self.numpy_dtype.itemsize * prod(self.row_shape)

    @property
    def stride(self) -> int:
        """Bytes from one row to the next in a shard file."""
        return self.row_bytes + CHECKSUM

    @property
    def shards(self) -> int:
        return -(-self.rows // self.shard_rows)

    @property
    def index_bytes(self) -> int:
        return 16 * self.shard_rows + CHECKSUM

    def rows_in(self, shard: int) -> int:
        """How many rows shard number `shard` holds."""
        return min(self.shard_rows, self.rows - shard * self.shard_rows)

    def shard_bytes(self, shard: int) -> int:
        """Size of a shard's file; the last one is shorter by the rows it lacks."""
        return self.rows_in(shard) * self.stride + self.index_bytes

    def file(self, shard: int) -> str:
        """The shard's path inside the group."""
        return f"{self.name}/" + ".".join(("c", str(shard), *("0" for _ in self.row_shape)))

    def metadata(self) -> dict[str, Any]:
        """The array's zarr.json, written by hand so that it is the same whatever Zarr library is installed."""
        little = {"name": "bytes", "configuration": {"endian": "little"}}
        checksum = {"name": "crc32c"}
        sharding = {
            "chunk_shape": [1, *self.row_shape],
            "codecs": [little, checksum],
            "index_codecs": [little, checksum],
            "index_location": "end",
        }
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.rows, *self.row_shape],
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [self.shard_rows, *self.row_shape]}},
            # One folder per array: with "/" every shard would get folders of its own, each to be synced.
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": "NaN" if self.numpy_dtype.kind == "f" else 0,
            "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
            "attributes": {},
        }


def crc32c(data: UInt8[np.ndarray, "*shape"] | bytes) -> int:
    """CRC-32C (Castagnoli) of contiguous bytes, read in place."""
    return google_crc32c.value(data)


def file_checksum(data: Buffer, start: int = 0) -> int:
    """CRC-32 of a whole file, or of what follows a part with checksum `start`.

    Not CRC-32C: a row followed by its own CRC-32C moves that of the file to one and the same value whatever the row
    holds, so that it would be equal for all shards of a shape.
    """
    return zlib.crc32(data, start)


def encode_shard(
    spec: ArraySpec, rows: Shaped[np.ndarray, "rows ..."], present: Bool[np.ndarray, " rows"]
) -> UInt8[np.ndarray, " bytes"]:
    """The bytes of one shard file; rows that are not `present` become absent."""
    count = len(rows)
    body = count * spec.stride
    shard = np.zeros(body + spec.index_bytes, np.uint8)
    table = shard[:body].reshape(count, spec.stride)
    flat = np.ascontiguousarray(rows, spec.numpy_dtype).reshape(count, -1).view(np.uint8)
    np.copyto(table[:, : spec.row_bytes], flat, where=present[:, None])
    index = np.full((spec.shard_rows, 2), ABSENT, "<u8")
    for row in np.flatnonzero(present):
        checksum = crc32c(table[row, : spec.row_bytes])
        table[row, spec.row_bytes :] = np.frombuffer(checksum.to_bytes(CHECKSUM, "little"), np.uint8)
        index[row] = row * spec.stride, spec.stride
    encoded = index.view(np.uint8).ravel()
    shard[body:-CHECKSUM] = encoded
    shard[-CHECKSUM:] = np.frombuffer(crc32c(encoded).to_bytes(CHECKSUM, "little"), np.uint8)
    return shard


def map_rows(
    spec: ArraySpec, shard: int, data: UInt8[np.ndarray, " file"]
) -> tuple[Shaped[np.ndarray, "rows bytes"], Bool[np.ndarray, " rows"]]:
    """View a shard's bytes as (rows, which of them are present) without copying; raises on a damaged index."""
    count = spec.rows_in(shard)
    body = count * spec.stride
    if len(data) != spec.shard_bytes(shard):
        raise DamageError(f"{spec.file(shard)} has {len(data)} bytes instead of {spec.shard_bytes(shard)}.")
    encoded = data[body:-CHECKSUM]
    if crc32c(encoded) != int.from_bytes(data[-CHECKSUM:].tobytes(), "little"):
        raise DamageError(f"The index of {spec.file(shard)} does not match its checksum.")
    index = encoded.view("<u8").reshape(spec.shard_rows, 2)[:count]
    present = index[:, 0] != ABSENT
    places = np.arange(count, dtype=np.uint64) * np.uint64(spec.stride)
    if not (index[present] == np.stack([places, np.full_like(places, spec.stride)], 1)[present]).all():
        raise DamageError(f"{spec.file(shard)} is not laid out row after row.")
    return data[:body].reshape(count, spec.stride)[:, : spec.row_bytes], present
