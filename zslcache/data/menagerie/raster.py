"""A small rasteriser: unions of shapes as signed distances, painted with soft edges.

Arrays see + - * / sqrt, minimum and maximum only, in float32: IEEE fixes every bit of those, whereas sines and
dot products differ from one library to the next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

SIDE = 96
Point = tuple[float, float]
Colour = tuple[float, float, float]
Mask = Float32[np.ndarray, "side side"]

_CENTRES = np.arange(SIDE, dtype=np.float32) + np.float32(0.5)
_FAR = np.float32(1000)
_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)


def unit(x: float, y: float) -> Point:
    """The direction of (x, y) at length one."""
    length = math.sqrt(x * x + y * y)
    return x / length, y / length


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`one` with a share of `other` in it."""
    return tuple(a + (b - a) * share for a, b in zip(one, other, strict=True))  # type: ignore[return-value]


@dataclass(frozen=True)
class Frame:
    """Where a drawing's own coordinates (x forward, y down) lie on the canvas."""

    x: float = 0.0
    y: float = 0.0
    scale: float = 1.0
    mirror: float = 1.0  # -1 looks left
    tilt: Point = (1.0, 0.0)

    def direction(self, x: float, y: float) -> Point:
        cos, sin = self.tilt
        return self.mirror * (cos * x - sin * y), sin * x + cos * y

    def point(self, x: float, y: float) -> Point:
        right, down = self.direction(x, y)
        return self.x + self.scale * right, self.y + self.scale * down


class Field:
    """The signed distance (pixels, negative inside) to a union of shapes; `blend` rounds off their joints."""

    def __init__(self, frame: Frame, blend: float = 0.0) -> None:
        self.frame = frame
        self.blend = blend * frame.scale
        self.distance = np.full((SIDE, SIDE), _FAR, dtype=np.float32)
        self.left, self.top, self.right, self.bottom = SIDE, SIDE, 0, 0

    @property
    def box(self) -> tuple[slice, slice]:
        """The part of the canvas outside which there is nothing."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def coverage(self) -> Mask:
        """How much of each pixel is inside, 0..1."""
        return np.minimum(np.maximum(_HALF - self.distance, _ZERO), _ONE)

    def ellipse(self, centre: Point, radii: Point, axis: Point = (1.0, 0.0)) -> Field:
        """Add an ellipse whose first radius lies along `axis`."""
        x, y = self.frame.point(*centre)
        cos, sin = self.frame.direction(*axis)
        a, b = (max(self.frame.scale * radius, 0.3) for radius in radii)
        wide = math.sqrt(a * a * cos * cos + b * b * sin * sin)
        high = math.sqrt(a * a * sin * sin + b * b * cos * cos)
        if (box := self._crop(x - wide, y - high, x + wide, y + high)) is None:
            return self
        across, down = _CENTRES[box[1]] - np.float32(x), _CENTRES[box[0], None] - np.float32(y)
        u = (across * np.float32(cos / a)) + (down * np.float32(sin / a))
        v = (down * np.float32(cos / b)) - (across * np.float32(sin / b))
        uu, vv = u * u, v * v
        first = np.sqrt(uu + vv)
        slope = np.sqrt(uu * np.float32(1 / (a * a)) + vv * np.float32(1 / (b * b)))
        return self._join(box, first * (first - _ONE) / np.maximum(slope, np.float32(1e-6)))

    def disc(self, centre: Point, radius: float) -> Field:
        """Add a disc."""
        return self.taper(centre, radius, centre, radius)

    def taper(self, start: Point, thick: float, end: Point, thin: float) -> Field:
        """Add a rounded line whose radius goes from `thick` at the start to `thin` at the end."""
        (x, y), (x2, y2) = self.frame.point(*start), self.frame.point(*end)
        r, r2 = self.frame.scale * thick, self.frame.scale * thin
        box = self._crop(min(x - r, x2 - r2), min(y - r, y2 - r2), max(x + r, x2 + r2), max(y + r, y2 + r2))
        if box is None:
            return self
        across, down = _CENTRES[box[1]] - np.float32(x), _CENTRES[box[0], None] - np.float32(y)
        dx, dy = x2 - x, y2 - y
        square = dx * dx + dy * dy
        if square < 1e-6:
            return self._join(box, np.sqrt(across * across + down * down) - np.float32(r))
        along = (across * np.float32(dx / square)) + (down * np.float32(dy / square))
        along = np.minimum(np.maximum(along, _ZERO), _ONE)
        across, down = across - along * np.float32(dx), down - along * np.float32(dy)
        return self._join(box, np.sqrt(across * across + down * down) - (along * np.float32(r2 - r) + np.float32(r)))

    def curve(self, points: tuple[Point, Point, Point], thick: float, thin: float, pieces: int = 5) -> Field:
        """Add a bent taper: a quadratic curve from the first point to the last, drawn towards the second."""
        knots = along_curve(points, pieces)
        radii = [thick + (thin - thick) * i / pieces for i in range(pieces + 1)]
        for i in range(pieces):
            self.taper(knots[i], radii[i], knots[i + 1], radii[i + 1])
        return self

    def polygon(self, points: Sequence[Point]) -> Field:
        """Add a convex polygon."""
        corners = [self.frame.point(*point) for point in points]
        xs, ys = [x for x, _ in corners], [y for _, y in corners]
        if (box := self._crop(min(xs), min(ys), max(xs), max(ys))) is None:
            return self
        edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
        turn = 1.0 if math.fsum(x * y2 - x2 * y for (x, y), (x2, y2) in edges) > 0 else -1.0
        across, down = _CENTRES[box[1]], _CENTRES[box[0], None]
        distance = np.full((1, 1), -_FAR, dtype=np.float32)
        for (x, y), (x2, y2) in edges:
            nx, ny = unit(turn * (y2 - y), turn * (x - x2))
            plane = (across * np.float32(nx)) + (down * np.float32(ny)) - np.float32(nx * x + ny * y)
            distance = np.maximum(distance, plane)
        return self._join(box, distance)

    def _crop(self, left: float, top: float, right: float, bottom: float) -> tuple[slice, slice] | None:
        """The pixels that a shape of these bounds can touch, or None when it is off the canvas."""
        margin = self.blend + 2.5
        x, y = max(int(left - margin), 0), max(int(top - margin), 0)
        x2, y2 = min(int(right + margin) + 1, SIDE), min(int(bottom + margin) + 1, SIDE)
        if x >= x2 or y >= y2:
            return None
        self.left, self.top = min(self.left, x), min(self.top, y)
        self.right, self.bottom = max(self.right, x2), max(self.bottom, y2)
        return slice(y, y2), slice(x, x2)

    def _join(self, box: tuple[slice, slice], distance: np.ndarray) -> Field:
        old = self.distance[box]
        joined = np.minimum(old, distance)
        if self.blend:
            near = np.maximum(np.float32(self.blend) - np.abs(old - distance), _ZERO)
            joined -= near * near * np.float32(0.25 / self.blend)
        self.distance[box] = joined
        return self


def along_curve(points: tuple[Point, Point, Point], pieces: int) -> list[Point]:
    """`pieces` + 1 points on a quadratic curve."""
    (x, y), (bx, by), (x2, y2) = points
    steps = [(i / pieces, 1 - i / pieces) for i in range(pieces + 1)]
    return [(s * s * x + 2 * s * t * bx + t * t * x2, s * s * y + 2 * s * t * by + t * t * y2) for t, s in steps]
