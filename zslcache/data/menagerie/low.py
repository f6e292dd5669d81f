"""Fishes and reptiles."""

from __future__ import annotations

from zslcache.data.menagerie.artist import DARK_LEG, INK, Artist, breast, coat
from zslcache.data.menagerie.head import draw_head
from zslcache.data.menagerie.limbs import back, shell, tail
from zslcache.data.menagerie.raster import mix


def fish(a: Artist) -> None:
    """Draw the fish with its belly at y = 0."""
    half = a.pick(18.0, {"stout": 17.0, "slender": 22.0})
    high = a.pick(9.0, {"stout": 12.5, "slender": 7.6})
    y = -high
    fin = mix(a.colour, INK, 0.18)
    if a.has("fan tail", "long tail", "bushy tail"):
        tail(a, (-half * 0.9, y), 10)
    else:
        fork = a.field().taper((-half * 0.85, y), 2.6, (-half - 8, y - 7.5), 1.2)
        a.paint(fork.taper((-half * 0.85, y), 2.6, (-half - 8, y + 6.5), 1.2), fin)
    back(a, (0, y), half, high)
    if a.has("tall fin"):
        top = a.field().polygon(
            [(-half * 0.25, y - high * 0.7), (-half * 0.32, y - high - 10), (half * 0.35, y - high * 0.7)]
        )
        a.paint(top, fin, "tall fin")
    else:
        a.paint(a.field().ellipse((-half * 0.1, y - high * 0.85), (half * 0.4, 3.4)), fin)
    a.paint(a.field().taper((half * 0.1, y + high * 0.7), 2.4, (-half * 0.2, y + high + 4), 1.0), fin)
    body = a.field(5).ellipse((0, y), (half, high)).taper((-half * 0.4, y), high * 0.5, (-half * 0.95, y), 2.2)
    a.paint(body)
    within = body.coverage()
    coat(a, (0, y), half * 0.9, high, within)
    breast(a, (half * 0.5, y + high * 0.7), high * 0.7, within)
    shell(a, (-half * 0.15, y), half * 0.7, high)
    a.paint(a.field().taper((half * 0.05, y + 1.5), 2.6, (-half * 0.28, y + 4.5), 1.4), fin)
    draw_head(a, (half * 0.62, y - 0.5), high * 0.62)


def reptile(a: Artist) -> None:
    """Draw the reptile with its feet at y = 0."""
    leg = a.pick(5.0, {"long legs": 11.0, "short legs": 3.5})
    half = a.pick(15.0, {"slender": 16.5})
    high = a.pick(5.8, {"stout": 8.0, "slender": 4.8})
    y = -(leg + high * 0.6)
    swims = a.has("swimming")
    legs = a.field()
    for x, foot in ((-0.5, -1.5), (0.75, 4.0)):
        legs.taper((half * x, y + 1), 2.4, (half * x + foot, -1.4), 1.9)
    if not swims:
        a.paint(legs, DARK_LEG if a.has("dark legs") else a.shadow, "dark legs")
    tail(a, (-half * 0.8, y), 13)
    back(a, (0, y), half, high)
    size = a.pick(5.6, {"small": 6.2, "large": 5.4})
    rise = a.dice.around(14) if a.has("long neck") else a.dice.uniform(1.5, 4)
    head = (half + 5.5, y - rise)
    torso = a.field(4).ellipse((0, y), (half, high))
    neck = ((half * 0.7, y), high * 0.6, head, size * 0.62)
    torso.taper(*neck)
    near = a.field()
    for x, foot in ((-0.72, -3.0), (0.5, 3.0)):
        near.taper((half * x, y + 1), 2.6, (half * x + foot, -1.6), 2.2)
        near.taper((half * x + foot, -1.2), 1.4, (half * x + foot + 3.5, -1.0), 1.0)
    a.paint(torso)
    within = torso.coverage()
    coat(a, (0, y), half * 1.1, high, within)
    if a.has("long neck"):
        a.mark(a.field().taper(*neck), "long neck")
    breast(a, (half * 0.85, y + 1), high * 0.8, within)
    if not swims:
        a.paint(near, DARK_LEG if a.has("dark legs") else None, "dark legs")
    shell(a, (0, y), half, high)
    draw_head(a, head, size)
