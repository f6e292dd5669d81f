"""Animals on four legs, seen from the side."""

from __future__ import annotations

from zslcache.data.menagerie.artist import DARK_LEG, Artist, breast, coat
from zslcache.data.menagerie.head import draw_head
from zslcache.data.menagerie.limbs import back, shell, tail
from zslcache.data.menagerie.raster import Field, Mask, Point, mix


def four_legged(a: Artist) -> None:
    """Draw the animal with its feet at y = 0."""
    leg = a.pick(11.5, {"long legs": 18.0, "short legs": 6.5})
    half = a.pick(14.5, {"stout": 15.0, "slender": 14.5})
    high = a.pick(7.6, {"stout": 10.2, "slender": 5.9})
    y = -(leg + high * 0.7)
    swims = a.has("swimming")
    tail(a, (-half * 0.92, y - high * 0.35), 6)
    if not swims:
        _legs(a, half, y + high * 0.35, far=True)
    back(a, (0, y), half, high)
    torso = a.field(4).ellipse((0, y), (half, high)).disc((half * 0.55, y - 0.5), high * 0.85)
    torso.disc((-half * 0.6, y - 0.3), high * 0.84)
    if a.has("hump"):
        torso.ellipse((-half * 0.08, y - high * 1.0), (5.4, 6.6))
    if not swims:
        _add_legs(a, torso, half, y + high * 0.35, far=False)
    size = a.pick(6.3, {"small": 7.2, "large": 6.0})
    rise, reach = (a.dice.around(22), 7.0) if a.has("long neck") else (a.dice.uniform(4, 8), 7.0)
    if a.has("running") and not a.has("long neck"):
        rise, reach = 2.5, 9.5
    head = (half * 0.72 + reach, y - high * 0.45 - rise)
    neck = ((half * 0.6, y - high * 0.2), high * 0.62, (head[0] - 1.5, head[1] + 1.5), size * 0.62)
    torso.taper(*neck)
    a.paint(torso)
    within = torso.coverage()
    coat(a, (0, y), half * (1.15 if rise < 15 else 1.6), high, within)
    if a.has("long neck"):
        if a.has("spotted", "striped"):
            _neck_pattern(a, (half * 0.65, y - high * 0.5), head, within)
        a.mark(a.field().taper(*neck), "long neck")
    if a.has("hump"):
        a.mark(a.field().ellipse((-half * 0.08, y - high * 1.2), (5.2, 5.4)), "hump")
    breast(a, (half * 0.85, y + 1), high * 0.8, within)
    if not swims:
        _socks(a, half, leg, within)
    shell(a, (0, y), half, high)
    draw_head(a, head, size)


def _feet(a: Artist, half: float, far: bool) -> list[tuple[float, float]]:
    """Where each of two legs begins, and how far forward its foot is."""
    shift = 4.0 if far else 0.0
    stride = ((-9.0, 8.0) if far else (-5.0, 11.0)) if a.has("running") else (0.0, 0.5)
    return [(-half * 0.68 + shift, stride[0]), (half * 0.55 + shift, stride[1])]


def _add_legs(a: Artist, field: Field, half: float, top: float, far: bool) -> None:
    thick = 3.3 if a.has("stout") else 2.2 if a.has("slender") else 2.6
    lift = -2.0 if a.has("running") else 0.0
    for x, foot in _feet(a, half, far):
        field.taper((x, top), thick * 1.15, (x + foot, lift - thick * 0.7), thick * 0.8)


def _legs(a: Artist, half: float, top: float, far: bool) -> None:
    legs = a.field()
    _add_legs(a, legs, half, top, far)
    a.paint(legs, mix(DARK_LEG, a.colour, 0.1) if a.has("dark legs") else a.shadow, "dark legs")


def _socks(a: Artist, half: float, leg: float, within: Mask) -> None:
    if a.has("dark legs"):
        socks = a.field()
        for x, foot in _feet(a, half, far=False):
            socks.taper((x, -leg * 0.62), 3.6, (x + foot, 0), 3.6)
        a.overlay(socks, DARK_LEG, within, "dark legs")


def _neck_pattern(a: Artist, low: Point, high: Point, within: Mask) -> None:
    """The coat's pattern, carried on along a long neck."""
    marks, (dx, dy) = a.field(), (high[0] - low[0], high[1] - low[1])
    for i in range(5):
        x, y = low[0] + dx * (i + 0.5) / 5, low[1] + dy * (i + 0.5) / 5
        if a.has("striped"):
            marks.taper((x - 6, y + 1), 1.2, (x + 6, y - 1), 1.0)
        else:
            marks.disc((x + a.dice.uniform(-2, 2), y), a.dice.uniform(1.0, 1.7))
    a.overlay(marks, a.dark, within, "striped", "spotted")
