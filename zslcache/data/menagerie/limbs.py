"""Tails, spines, shells and humps: what grows on the bodies of animals of any plan."""

from __future__ import annotations

import math

from zslcache.data.menagerie.artist import INK, Artist
from zslcache.data.menagerie.raster import Point, along_curve, mix


def tail(a: Artist, root: Point, usual: float) -> None:
    """The tail, backwards from its root; `usual` is the length of one that is nothing special."""
    x, y = root
    if a.has("fan tail"):
        _fan(a, x, y)
        return
    shape = a.field(1)
    if a.has("bushy tail"):
        lift = a.dice.uniform(3, 14)
        points = ((x + 2, y), (x - 12, y + 3), (x - 13, y - lift))
        knots = along_curve(points, 5)
        for knot, radius in zip(knots, (1.8, 3.2, 4.4, 4.9, 4.0, 2.2), strict=True):
            shape.disc(knot, radius)
        width = 5.5
    else:
        length = a.dice.around(19 if a.has("long tail") else usual, 0.15)
        lift = a.dice.uniform(-0.5, 0.1) * length if not a.has("reptile-shaped") else 0.05 * length
        points = ((x + 2, y), (x - 0.75 * length, y + lift), (x - length, y + lift + 0.35 * length))
        thick = 4.2 if a.has("reptile-shaped") else 1.9
        shape.curve(points, thick, 1.0)
        width = thick
    a.paint(shape, None, "long tail", "bushy tail")
    if a.has("bushy tail"):
        a.mark(shape, "bushy tail")
    if a.has("ringed tail"):
        rings = a.field()
        knots = along_curve(points, 10)
        for here, there in zip(knots[3::2], knots[4::2], strict=False):
            dx, dy = there[0] - here[0], there[1] - here[1]
            across = (-dy, dx) if dx * dx + dy * dy > 0.01 else (1.0, 0.0)
            size = width / math.sqrt(across[0] * across[0] + across[1] * across[1])
            ends = [(here[0] + side * across[0] * size, here[1] + side * across[1] * size) for side in (-1, 1)]
            rings.taper(ends[0], 0.8, ends[1], 0.8)
        a.overlay(rings, a.dark, shape.coverage(), "ringed tail")


def _fan(a: Artist, x: float, y: float) -> None:
    """Broad feathers or fins, spread like a hand."""
    tint = mix(
        a.colour,
        a.dice.choose(((40, 110, 96), (200, 70, 50), (60, 80, 150))),
        0.65 if not a.has("fish-shaped") else 0.25,
    )
    for dx, dy in ((-6.0, -12.0), (-10.0, -9.0), (-12.5, -4.0), (-12.0, 1.5)):
        drop = 4.0 if a.has("fish-shaped") else 0.0
        feather = a.field().taper((x + 1, y), 1.6, (x + dx, y + dy + drop), 2.7)
        a.paint(feather, tint, "fan tail")


def back(a: Artist, centre: Point, half: float, high: float) -> None:
    """Spines along the upper edge of a body, painted before it."""
    if a.has("spines"):
        x, y = centre
        spines = a.field()
        for i in range(11):
            t = 1.7 * (i / 10) - 0.95  # a rational walk along the ellipse, from the rump to the shoulder
            bx, by = 2 * t / (1 + t * t), (1 - t * t) / (1 + t * t)
            base = (x + half * bx, y - high * by * 0.85)
            spines.taper(base, 1.5, (base[0] + 4.5 * bx - 1.5, base[1] - 3.2 - 2.4 * by), 0.25)
        a.paint(spines, mix(a.dark, a.colour, 0.3), "spines")


def shell(a: Artist, centre: Point, half: float, high: float) -> None:
    """A dome over the back, with plates."""
    if a.has("shell"):
        x, y = centre
        dome = a.field().ellipse((x, y - high * 0.35), (half * 0.98, high * 1.25))
        a.paint(dome, mix(mix(a.colour, (130, 88, 44), 0.65), INK, 0.1), "shell")
        within, plates = dome.coverage(), a.field()
        for i in range(4):
            at = x + half * (0.52 * i - 0.78)
            plates.disc((at, y - high * (0.75 if i in (1, 2) else 0.35)), 2.6)
        a.overlay(plates, mix(a.colour, (230, 190, 110), 0.6), within, "shell")
