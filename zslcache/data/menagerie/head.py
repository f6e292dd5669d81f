"""Heads: ears, horns, eyes, snouts, beaks and what else grows on them, alike for all body plans."""

from __future__ import annotations

from zslcache.data.menagerie.artist import CREAM, INK, Artist
from zslcache.data.menagerie.raster import Colour, Field, Mask, Point, mix, unit

_RED: Colour = (216, 50, 44)
_BONE: Colour = (240, 226, 190)
_CROWNS: dict[str, Colour] = {"red crown": _RED, "dark crown": (36, 40, 52), "white crown": (252, 252, 250)}
# Where tufts of a mane are, in radii of the head: a horse's along the neck, a lion's around the face.
_RIDGE = ((0.25, -1.3), (-0.4, -1.2), (-0.9, -0.9), (-1.25, -0.35), (-1.5, 0.25), (-1.8, 0.85))
_RING = ((0.25, -1.0), (-0.5, -1.0), (-1.05, -0.5), (-1.2, 0.2), (-0.95, 0.85), (-0.35, 1.2), (0.3, 1.1))
_BEAKS: tuple[Colour, ...] = ((246, 176, 44), (240, 140, 36), (92, 84, 88))


def draw_head(a: Artist, centre: Point, radius: float) -> None:
    """A head that looks forward, with all that the animal's traits put on it."""
    x, y = centre
    _mane(a, x, y, radius)
    _horns(a, x - 1.5, y, radius, far=True)
    _ears(a, x + 0.12 * radius, y, radius, far=True)
    _crest(a, x, y, radius)
    bird = a.has("bird-shaped")
    if bird:
        _beak(a, x, y, radius)
    skull = a.field(2).ellipse(centre, (radius, radius * 0.95))
    if not bird:
        _snout(a, skull, x, y, radius)
    a.paint(skull)
    within = skull.coverage()
    _face(a, within, x, y, radius)
    if not bird:
        _nose(a, x, y, radius)
    _ears(a, x - 0.35 * radius, y, radius, far=False)
    _horns(a, x, y, radius, far=False)
    _eye(a, x, y, radius)


def _ears(a: Artist, x: float, y: float, r: float, far: bool) -> None:
    colour, inner = (a.shadow if far else a.colour), mix(a.colour, (230, 150, 150), 0.6)
    if a.has("pointed ears"):
        tip = (x - 0.25 * r, y - 1.85 * r)
        a.paint(
            a.field().polygon([(x - 0.65 * r, y - 0.5 * r), tip, (x + 0.35 * r, y - 0.75 * r)]), colour, "pointed ears"
        )
        if not far:
            low = a.field().polygon(
                [(x - 0.4 * r, y - 0.75 * r), (x - 0.22 * r, y - 1.45 * r), (x + 0.1 * r, y - 0.85 * r)]
            )
            a.paint(low, inner, "pointed ears", rim=False)
    elif a.has("round ears"):
        size = r * (1.0 if a.has("trunk") else 0.52)
        at = (x - 0.3 * r, y - 0.1 * r) if a.has("trunk") else (x - 0.25 * r, y - 0.95 * r)
        dark = a.has("dark legs", "dark mask") and a.has("white body")
        a.paint(a.field().ellipse(at, (size, size * 1.1)), INK if dark else colour, "round ears")
        if not far:
            a.paint(a.field().disc(at, size * 0.5), mix(inner, INK, 0.5) if dark else inner, "round ears", rim=False)
    elif a.has("long ears"):
        lean = -0.35 if not far else 0.05
        at, axis = (x + lean * r, y - 1.75 * r), (0.25 * lean / 0.35, 1.0)
        a.paint(a.field().ellipse(at, (1.15 * r, 0.36 * r), unit(*axis)), colour, "long ears")
        if not far:
            a.paint(a.field().ellipse(at, (0.8 * r, 0.16 * r), unit(*axis)), inner, "long ears", rim=False)


def _horns(a: Artist, x: float, y: float, r: float, far: bool) -> None:
    colour = mix(_BONE, INK, 0.25) if far else _BONE
    top = y - 0.7 * r
    if a.has("curved horns"):
        bend = ((x, top), (x - 0.9 * r, top - 1.9 * r), (x - 1.5 * r, top - 0.35 * r))
        a.paint(a.field().curve(bend, 0.3 * r, 0.1 * r), colour, "curved horns")
    elif a.has("antlers"):
        wood = mix(colour, (140, 96, 56), 0.5)
        antler = a.field().curve(
            ((x, top), (x - 1.3 * r, top - 0.9 * r), (x - 0.9 * r, top - 2.3 * r)), 0.19 * r, 0.13 * r
        )
        antler.taper((x - 0.65 * r, top - 0.75 * r), 0.17 * r, (x + 0.05 * r, top - 1.5 * r), 0.1 * r)
        antler.taper((x - 0.95 * r, top - 1.3 * r), 0.17 * r, (x - 1.8 * r, top - 1.9 * r), 0.1 * r)
        antler.taper((x - 1.0 * r, top - 1.6 * r), 0.15 * r, (x - 0.2 * r, top - 2.3 * r), 0.1 * r)
        a.paint(antler, wood, "antlers")


def _crest(a: Artist, x: float, y: float, r: float) -> None:
    if a.has("crest"):
        colour = next((colour for name, colour in _CROWNS.items() if a.has(name)), mix(a.colour, (250, 196, 60), 0.75))
        crest = a.field()
        for i in range(4):
            base = (x + (0.5 - 0.35 * i) * r, y - (0.85 - 0.13 * i) * r)
            crest.taper(base, 0.22 * r, (base[0] - (0.15 + 0.28 * i) * r, base[1] - (0.95 - 0.1 * i) * r), 0.2 * r)
        a.paint(crest, colour, "crest")


def _mane(a: Artist, x: float, y: float, r: float) -> None:
    if a.has("mane"):
        mane = a.field(1.5)
        along_neck = a.has("pointed ears", "long ears", "long neck")
        thick = 0.35 if along_neck else 0.48
        for dx, dy in _RIDGE if along_neck else _RING:
            mane.disc((x + dx * r + a.dice.uniform(-0.5, 0.5), y + dy * r), r * a.dice.around(thick, 0.14))
        pale = a.has("white body") and not a.has("striped")
        a.paint(mane, mix(a.colour, (150, 140, 130), 0.25) if pale else mix(a.dark, a.colour, 0.25), "mane")


def _snout(a: Artist, skull: Field, x: float, y: float, r: float) -> None:
    if a.has("trunk"):
        skull.curve(_trunk(x, y, r), 0.55 * r, 0.3 * r)
    elif a.has("long snout"):
        skull.taper((x + 0.4 * r, y + 0.3 * r), 0.6 * r, (x + 2.2 * r, y + 0.55 * r), 0.3 * r)
    elif not a.has("fish-shaped"):
        skull.taper((x + 0.4 * r, y + 0.3 * r), 0.55 * r, (x + 1.1 * r, y + 0.4 * r), 0.48 * r)


def _trunk(x: float, y: float, r: float) -> tuple[Point, Point, Point]:
    return (x + 0.6 * r, y + 0.2 * r), (x + 2.2 * r, y + 0.5 * r), (x + 1.7 * r, y + 2.5 * r)


def _nose(a: Artist, x: float, y: float, r: float) -> None:
    """What is on the snout: a nose, a nose horn, tusks."""
    reach, drop = (2.3, 0.5) if a.has("long snout") else (1.45, 0.3)
    if a.has("trunk"):
        a.mark(a.field().curve(_trunk(x, y, r), 0.55 * r, 0.3 * r), "trunk")
    elif a.has("flat snout"):
        plate = mix(a.colour, (242, 150, 160), 0.7)
        a.paint(a.field().ellipse((x + 1.5 * r, y + 0.4 * r), (0.36 * r, 0.62 * r)), plate, "flat snout")
        for dy in (0.2, 0.6):
            a.paint(a.field().disc((x + 1.55 * r, y + dy * r), 0.12 * r), INK, "flat snout", rim=False)
    elif a.has("four-legged"):
        a.paint(a.field().ellipse((x + reach * r, y + drop * r), (0.26 * r, 0.22 * r)), INK, rim=False)
    if a.has("long snout"):
        a.mark(a.field().taper((x + 1.0 * r, y + 0.4 * r), 0.5 * r, (x + 2.2 * r, y + 0.55 * r), 0.3 * r), "long snout")
    if a.has("nose horn"):
        horn = a.field().taper((x + 1.25 * r, y + 0.1 * r), 0.42 * r, (x + 1.75 * r, y - 1.3 * r), 0.08 * r)
        a.paint(horn, _BONE, "nose horn")
    if a.has("tusks"):
        for dx in (0.0, 0.5):
            bend = (
                (x + (0.5 + dx) * r, y + 0.75 * r),
                (x + (1.0 + dx) * r, y + 1.9 * r),
                (x + (1.9 + dx) * r, y + 1.3 * r),
            )
            a.paint(a.field().curve(bend, 0.26 * r, 0.1 * r, pieces=3), CREAM, "tusks")


def _beak(a: Artist, x: float, y: float, r: float) -> None:
    colour = a.dice.choose(_BEAKS)
    base, beak = (x + 0.75 * r, y + 0.1 * r), a.field()
    if a.has("hooked beak"):
        beak.taper(base, 0.5 * r, (x + 1.5 * r, y + 0.15 * r), 0.32 * r)
        beak.taper((x + 1.5 * r, y + 0.15 * r), 0.32 * r, (x + 1.6 * r, y + 0.85 * r), 0.12 * r)
        a.paint(beak, colour, "hooked beak")
    elif a.has("long beak"):
        a.paint(beak.taper(base, 0.4 * r, (x + 2.9 * r, y + 0.4 * r), 0.12 * r), colour, "long beak")
    elif a.has("flat bill"):
        beak.taper(base, 0.34 * r, (x + 1.8 * r, y + 0.3 * r), 0.4 * r)
        a.paint(beak, colour, "flat bill")
    else:
        a.paint(beak.taper(base, 0.36 * r, (x + 1.55 * r, y + 0.25 * r), 0.08 * r), colour)


def _face(a: Artist, within: Mask, x: float, y: float, r: float) -> None:
    for name, colour in _CROWNS.items():
        if a.has(name):
            size = (1.3 * r, 1.05 * r) if name == "white crown" else (1.1 * r, 0.62 * r)
            a.overlay(a.field().ellipse((x - 0.1 * r, y - 0.65 * r), size), colour, within, name)
    if a.has("dark mask"):
        band = a.field().taper((x - 0.2 * r, y - 0.05 * r), 0.42 * r, (x + 1.0 * r, y + 0.15 * r), 0.34 * r)
        a.overlay(band, (44, 40, 46), within, "dark mask")


def _eye(a: Artist, x: float, y: float, r: float) -> None:
    at = (x + 0.35 * r, y - 0.12 * r)
    if a.has("large eyes"):
        a.paint(a.field().disc(at, 0.5 * r), (254, 246, 190), "large eyes")
        a.paint(a.field().disc((at[0] + 0.1 * r, at[1]), 0.27 * r), INK, "large eyes", rim=False)
    else:
        a.paint(a.field().disc(at, 0.25 * r + 0.35), (252, 252, 252), rim=False)
        a.paint(a.field().disc((at[0] + 0.06 * r, at[1]), 0.2 * r), INK, rim=False)
