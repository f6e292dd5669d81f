"""Birds: on the ground, on the water or in the air."""

from __future__ import annotations

from zslcache.data.menagerie.artist import DARK_LEG, INK, Artist, breast, coat
from zslcache.data.menagerie.head import draw_head
from zslcache.data.menagerie.limbs import back, shell, tail
from zslcache.data.menagerie.raster import Colour, Mask, Point, mix, unit

_LEGS: tuple[Colour, ...] = ((244, 150, 50), (226, 120, 60), (120, 104, 96))


def bird(a: Artist) -> None:
    """Draw the bird with its feet at y = 0."""
    upright, flies = a.has("upright"), a.has("flying")
    leg = a.pick(8.5, {"long legs": 19.0, "short legs": 4.0})
    half = a.pick(13.5, {"slender": 13.5, "stout": 13.5})
    high = a.pick(8.6, {"slender": 7.0, "stout": 10.4})
    axis = unit(0.32, -0.95) if upright and not flies else unit(0.95, -a.dice.uniform(0.12, 0.4))
    centre = (0.0, -(leg + (half * 0.92 if upright else high * 0.9)))
    tail(a, _on(centre, axis, -half * 0.9, 0), 9)
    if flies:
        _spread_wing(a, centre, far=True)
    if not a.has("swimming", "flying"):
        _legs(a, centre, leg)
    back(a, centre, half, high)
    size = a.pick(6.4, {"small": 7.2, "large": 5.8, "upright": 7.0})
    shoulder = _on(centre, axis, half * 0.75, 0)
    if a.has("long neck"):
        head = (shoulder[0] + 5, shoulder[1] - a.dice.around(17))
    else:
        head = (shoulder[0] + 2.5, shoulder[1] - a.dice.uniform(3.5, 5.5))
    torso = a.field(3).ellipse(centre, (half, high), axis)
    bend = (_on(centre, axis, half * 0.6, 0), (shoulder[0] + 8, shoulder[1] - 4), head)
    thick = (3.6, 2.8) if a.has("long neck") else (high * 0.6, size * 0.6)
    torso.curve(bend, *thick)
    a.paint(torso)
    within = torso.coverage()
    _front(a, centre, axis, half, high, within)
    if a.has("long neck"):
        a.mark(a.field().curve(bend, *thick), "long neck")
    shell(a, centre, half, high)
    if flies:
        _spread_wing(a, centre, far=False)
    else:
        _folded_wing(a, centre, axis, half, high)
    draw_head(a, head, size)


def _on(centre: Point, axis: Point, along: float, across: float) -> Point:
    """The point this far along the body's axis and across it (towards the belly)."""
    return centre[0] + along * axis[0] - across * axis[1], centre[1] + along * axis[1] + across * axis[0]


def _front(a: Artist, centre: Point, axis: Point, half: float, high: float, within: Mask) -> None:
    """Belly, pattern and breast."""
    if a.has("pale belly"):
        low = a.field().ellipse(_on(centre, axis, half * 0.05, high * 0.62), (half * 0.95, high * 0.75), axis)
        a.overlay(low, (250, 246, 236), within, "pale belly")
    coat(a, centre, half, high * (1.4 if a.has("upright") else 1.0), within)
    breast(a, _on(centre, axis, half * 0.6, high * 0.5), high * 0.8, within)


def _legs(a: Artist, centre: Point, leg: float) -> None:
    colour = DARK_LEG if a.has("dark legs") else mix(a.dice.choose(_LEGS), a.colour, 0.15)
    for x in (3.0, -2.0):
        legs = a.field().taper((centre[0] + x - 0.5, -leg - 4), 1.4, (centre[0] + x, -1), 1.0)
        legs.taper((centre[0] + x - 1, -0.8), 0.9, (centre[0] + x + 3.4, -0.6), 0.9)
        a.paint(legs, colour, "dark legs")


def _folded_wing(a: Artist, centre: Point, axis: Point, half: float, high: float) -> None:
    wing = a.field(2).ellipse(_on(centre, axis, -half * 0.12, -high * 0.05), (half * 0.66, high * 0.55), axis)
    wing.taper(_on(centre, axis, -half * 0.2, 0), 3.2, _on(centre, axis, -half * 1.05, high * 0.1), 0.8)
    a.paint(wing, mix(a.colour, INK, 0.22))
    if a.has("wing bar"):
        bar = a.field().taper(_on(centre, axis, 0, -high * 0.7), 1.7, _on(centre, axis, -half * 0.35, high * 0.6), 1.7)
        a.overlay(bar, (250, 248, 240), wing.coverage(), "wing bar")


def _spread_wing(a: Artist, centre: Point, far: bool) -> None:
    x, y = centre
    shift = 6.0 if far else -1.0
    span = a.dice.uniform(17, 22)
    wing = a.field(2)
    for i in range(4):
        tip = (x + shift - 2 - 4.6 * i, y - span + 3.2 * i)
        wing.taper((x + shift - 1.5 * i, y - 2), 3.4, tip, 1.7)
    a.paint(wing, mix(a.colour, INK, 0.38 if far else 0.2))
    if a.has("wing bar") and not far:
        bar = a.field().taper((x + shift + 3, y - 9), 1.8, (x + shift - 14, y - 6), 1.8)
        a.overlay(bar, (250, 248, 240), wing.coverage(), "wing bar")
