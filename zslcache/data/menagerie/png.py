"""PNG files whose bytes depend on the pixels alone: deflate blocks are stored, never compressed."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from jaxtyping import UInt8

_STORED = 65535  # the largest stored block that deflate allows


def encode(pixels: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """The bytes of an RGB PNG file."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each line begins with its filter type, 0: none
    lines[:, 1:] = pixels.reshape(height, 3 * width)
    raw = lines.tobytes()
    stream = b"\x78\x01"
    for start in range(0, len(raw), _STORED):
        block = raw[start : start + _STORED]
        last = start + _STORED >= len(raw)
        stream += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    stream += struct.pack(">I", zlib.adler32(raw))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
