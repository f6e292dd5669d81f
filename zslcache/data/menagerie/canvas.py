"""The canvas: pixels, and for each pixel which attributes can be seen in it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int16, UInt8

from zslcache.data.menagerie.raster import SIDE, Colour, Field, Mask

_RIM = np.float32(0.9)  # pixels of outline around a rimmed shape
_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)


class Canvas:
    """Shapes are painted over each other; `marks` is a set of bits (attributes) that goes with them."""

    def __init__(self) -> None:
        self.pixels = np.zeros((3, SIDE, SIDE), dtype=np.float32)
        self.marks = np.zeros((SIDE, SIDE), dtype=np.uint64)

    def gradient(self, top: Colour, bottom: Colour, first: int = 0, last: int = SIDE) -> None:
        """Fill the lines first..last with colours that run from `top` to `bottom`."""
        steps = np.arange(last - first, dtype=np.float32) / np.float32(max(last - first - 1, 1))
        upper, lower = _column(top), _column(bottom)
        self.pixels[:, first:last] = upper + (lower - upper) * steps[:, None]

    def paint(
        self,
        field: Field,
        colour: Colour,
        marks: int = 0,
        rim: Colour | None = None,
        shade: float = 0.0,
        opacity: float = 1.0,
    ) -> None:
        """Paint a shape over everything; it hides what was marked below it. `shade` darkens it downwards."""
        box = field.box
        distance = field.distance[box]
        alpha = np.minimum(np.maximum(_HALF - distance, _ZERO), _ONE)
        if not alpha.size:
            return
        fill = _column(colour)
        if shade:
            fall = np.arange(alpha.shape[0], dtype=np.float32) / np.float32(alpha.shape[0])
            fill = fill * (np.float32(1 + shade / 2) - np.float32(shade) * fall)[:, None]
        outer = alpha
        if rim is not None:
            edge = _column(rim)
            outer = np.minimum(np.maximum(_HALF + _RIM - distance, _ZERO), _ONE)
            fill = edge + (fill - edge) * alpha
        below = self.pixels[:, *box]
        below += (fill - below) * (outer * np.float32(opacity))
        self.marks[box] = np.where(alpha > _HALF, np.uint64(marks), self.marks[box])

    def overlay(self, field: Field, colour: Colour, within: Mask, marks: int = 0, opacity: float = 1.0) -> None:
        """Paint a pattern onto what is `within`; what was marked there stays visible."""
        box = field.box
        alpha = np.minimum(np.maximum(_HALF - field.distance[box], _ZERO), _ONE) * within[box]
        below = self.pixels[:, *box]
        below += (_column(colour) - below) * (alpha * np.float32(opacity))
        self.marks[box] |= np.where(alpha > _HALF, np.uint64(marks), np.uint64(0))

    def mark(self, field: Field, marks: int) -> None:
        """Say that attributes can be seen where a shape lies, without painting it."""
        self.marks[field.box] |= np.where(field.distance[field.box] < _ZERO, np.uint64(marks), np.uint64(0))

    def boxes(self, count: int) -> Int16[np.ndarray, "attributes 4"]:
        """Left, top, right, bottom (exclusive) of each of the first `count` marks; -1 where it is not visible."""
        places = np.full((count, 4), -1, dtype=np.int16)
        bits = np.uint64(1) << np.arange(count, dtype=np.uint64)
        for axis, low in ((0, 0), (1, 1)):
            seen = (np.bitwise_or.reduce(self.marks, axis=axis) & bits[:, None]) != 0
            there = seen.any(axis=1)
            places[there, low] = seen.argmax(axis=1)[there]
            places[there, low + 2] = SIDE - seen[:, ::-1].argmax(axis=1)[there]
        return places

    def finish(self, noise: np.ndarray) -> UInt8[np.ndarray, "side side 3"]:
        """The image with noise added, as bytes."""
        bright = np.minimum(np.maximum(self.pixels + noise, _ZERO), np.float32(255))
        return np.ascontiguousarray((bright + _HALF).astype(np.uint8).transpose(1, 2, 0))


def _column(colour: Colour) -> np.ndarray:
    return np.array(colour, dtype=np.float32).reshape(3, 1, 1)
