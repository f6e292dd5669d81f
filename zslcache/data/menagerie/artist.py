"""What all animals are drawn with: one animal's colours and traits on a canvas, and the head they share."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

from zslcache.data.menagerie.canvas import Canvas
from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.raster import Colour, Field, Frame, Mask, Point, mix
from zslcache.data.menagerie.vocabulary import COLOURS, MARK

INK: Colour = (38, 34, 42)
CREAM: Colour = (250, 240, 215)
DARK_LEG: Colour = (50, 44, 50)
_BREAST: Colour = (226, 82, 42)
_BODY: dict[str, Colour] = {
    "white body": (244, 241, 234),
    "grey body": (143, 150, 162),
    "black body": (60, 57, 68),
    "brown body": (150, 98, 60),
    "orange body": (236, 146, 52),
    "green body": (104, 172, 78),
    "pink body": (246, 160, 176),
}


@dataclass(frozen=True)
class Artist:
    """Draws one animal: `frame` places it, `traits` say what it has, `dice` decide the rest."""

    canvas: Canvas
    frame: Frame
    traits: Set[str]
    dice: Dice
    colour: Colour
    dark: Colour  # of stripes, spots, manes
    rim: Colour

    @classmethod
    def of(cls, canvas: Canvas, frame: Frame, traits: Set[str], dice: Dice) -> Artist:
        """An artist with the animal's own shade of its colour."""
        name = next(name for name in COLOURS if name in traits)
        light = dice.around(1.0, 0.09)
        red, green, blue = (min(light * dice.around(part, 0.03), 252.0) for part in _BODY[name])
        colour = (red, green, blue)
        dark = (225, 222, 214) if name == "black body" else mix(mix(INK, (92, 52, 30), dice.uniform()), colour, 0.08)
        return cls(canvas, frame, traits, dice, colour, dark, mix(colour, INK, 0.78))

    def has(self, *names: str) -> bool:
        """Whether the animal has one of these traits."""
        return not self.traits.isdisjoint(names)

    def pick(self, usual: float, other: Mapping[str, float]) -> float:
        """The value for the first of `other` traits that the animal has, a little varied."""
        values = (value for name, value in other.items() if name in self.traits)
        return self.dice.around(next(values, usual))

    def field(self, blend: float = 0.0) -> Field:
        return Field(self.frame, blend)

    def marks(self, *names: str) -> int:
        return sum(MARK[name] for name in names if name in self.traits)

    def paint(self, field: Field, colour: Colour | None = None, *names: str, rim: bool = True) -> None:
        """Paint a part; without a colour it is a part of the body."""
        marks = self.marks(*(COLOURS if colour is None else ()), *names)
        fill = colour or self.colour
        self.canvas.paint(field, fill, marks, mix(fill, INK, 0.75) if rim else None, shade=0.22)

    def overlay(self, field: Field, colour: Colour, within: Mask, *names: str, opacity: float = 1.0) -> None:
        self.canvas.overlay(field, colour, within, self.marks(*names), opacity)

    def mark(self, field: Field, *names: str) -> None:
        self.canvas.mark(field, self.marks(*names))

    @property
    def shadow(self) -> Colour:
        """The body's colour on its far side."""
        return mix(self.colour, INK, 0.3)


def coat(a: Artist, centre: Point, half: float, high: float, within: Mask) -> None:
    """The pattern of the skin over a body of these half-axes."""
    x, y = centre
    dice = a.dice
    if a.has("pale belly"):
        a.overlay(a.field().ellipse((x + 1, y + high * 0.8), (half * 0.95, high * 0.75)), CREAM, within, "pale belly")
    if a.has("striped"):
        stripes, count = a.field(), 6 + dice.below(3) - 2 * _is_fish(a)
        for i in range(count):
            at = x + half * (2.3 * (i + 0.5) / count - 1.15)
            lean = dice.uniform(-1.5, 1.5)
            thick = dice.uniform(1.1, 1.7) * (1.5 if _is_fish(a) else 1)
            stripes.taper((at, y - high * 1.3), thick, (at + lean, y + high * 0.75), 0.5)
        a.overlay(stripes, a.dark if not _is_fish(a) else CREAM, within, "striped")
    if a.has("spotted"):
        spots = a.field()
        for row in range(3):
            for column in range(7):
                at = x + half * (column / 3 - 1 + 0.08 * (row % 2)) + dice.uniform(-1, 1)
                spots.disc((at, y + high * (row - 1) * 0.62 + dice.uniform(-1, 1)), dice.uniform(0.9, 1.8))
        a.overlay(spots, a.dark, within, "spotted")
    if a.has("patched"):
        patches = a.field(2)
        for i in range(3):
            spot = (x + half * (0.75 * (i - 1) + dice.uniform(-0.2, 0.2)), y + high * dice.uniform(-0.6, 0.3))
            patches.ellipse(spot, (dice.uniform(3, 5.5), dice.uniform(2.5, 4.5)))
        a.overlay(patches, INK if a.has("white body", "pink body") else CREAM, within, "patched")


def breast(a: Artist, centre: Point, radius: float, within: Mask) -> None:
    """A red breast, for those who have one."""
    if a.has("red breast"):
        a.overlay(a.field().disc(centre, radius), _BREAST, within, "red breast")


def _is_fish(a: Artist) -> bool:
    return a.has("fish-shaped")
