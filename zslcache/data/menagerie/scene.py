"""A scene's sky, ground and water, whatever the habitat."""

from __future__ import annotations

from dataclasses import dataclass

from zslcache.data.menagerie.canvas import Canvas
from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.raster import SIDE, Colour, Field, Frame, Point, mix

_SKY: tuple[tuple[Colour, Colour], ...] = (
    ((120, 190, 236), (214, 238, 250)),
    ((160, 196, 222), (232, 236, 236)),
    ((244, 160, 112), (252, 222, 170)),  # a sunset
    ((96, 170, 220), (190, 226, 240)),
)
_NIGHT = ((18, 24, 62), (62, 74, 128))
GROUND: dict[str, tuple[Colour, Colour]] = {
    "in grassland": ((196, 196, 98), (150, 160, 66)),
    "in forest": ((104, 146, 74), (70, 108, 54)),
    "in snow": ((236, 242, 250), (208, 222, 240)),
    "in desert": ((240, 212, 150), (222, 182, 112)),
    "in water": ((92, 168, 214), (44, 112, 176)),
    "on a farm": ((142, 196, 88), (104, 162, 66)),
}
_WHOLE = Frame()


@dataclass(frozen=True)
class Scene:
    """One image's surroundings; `horizon` is the line where the ground begins."""

    canvas: Canvas
    dice: Dice
    habitat: str
    night: bool
    horizon: float

    @property
    def haze(self) -> Colour:
        return (50, 60, 110) if self.night else (206, 226, 236)

    def field(self, blend: float = 0.0) -> Field:
        return Field(_WHOLE, blend)

    def sky_and_ground(self) -> None:
        """What is above the horizon and below it, still bare."""
        top, bottom = _NIGHT if self.night else self.dice.choose((*_SKY, *_SKY[:2]))
        line = int(self.horizon)
        self.canvas.gradient(top, bottom, 0, line)
        self._lights()
        far, near = (tinted(colour, self.dice) for colour in GROUND[self.habitat])
        self.canvas.gradient(far, near, line, SIDE)

    def _lights(self) -> None:
        at = (self.dice.uniform(10, 86), self.dice.uniform(8, self.horizon * 0.5))
        if self.night:
            stars = self.field()
            for _ in range(9):
                stars.disc((self.dice.uniform(0, 96), self.dice.uniform(0, self.horizon)), self.dice.uniform(0.4, 0.8))
            self.canvas.paint(stars, (255, 250, 220))
            self.canvas.paint(self.field().disc(at, 6), (252, 244, 206))
            self.canvas.paint(self.field().disc((at[0] + 2.5, at[1] - 1), 5), (26, 32, 74))
        elif self.dice.chance(0.4):
            self.canvas.paint(self.field().disc(at, 6), (255, 232, 130))
        elif self.dice.chance(0.6):
            cloud = self.field(2)
            for i in range(3):
                cloud.ellipse((at[0] + 7 * i, at[1] + self.dice.uniform(-2, 2)), (7, 3.5))
            self.canvas.paint(cloud, (252, 252, 254), opacity=0.85)

    def _dim(self, colour: Colour) -> Colour:
        return mix(colour, self.haze, 0.3)

    def hills(self, colour: Colour, count: int, high: float) -> None:
        """Round hills along the horizon."""
        hills = self.field()
        for _ in range(count):
            at = (self.dice.uniform(0, 96), self.horizon + 3)
            hills.ellipse(at, (self.dice.uniform(18, 34), self.dice.uniform(0.4, 1) * high))
        line = int(self.horizon)
        ground = self.canvas.pixels[:, line:].copy()
        self.canvas.paint(hills, self._dim(colour))
        self.canvas.pixels[:, line:] = ground

    def water_line(self, y: float) -> None:
        """Water from line y down, over what swims in it."""
        far, near = GROUND["in water"]
        depth = self.field().polygon([(-5, y), (101, y), (101, 101), (-5, 101)])
        self.canvas.paint(depth, mix(far, near, 0.6), opacity=0.88)
        self.ripples(y)

    def shallows(self, at: Point, wide: float, high: float) -> None:
        """Water around the feet of what stands in it."""
        far, near = GROUND["in water"]
        rings = self.field().ellipse(at, (wide, high))
        self.canvas.paint(rings, mix(far, near, 0.35), rim=mix(far, (240, 248, 252), 0.6), opacity=0.8)

    def ripples(self, low: float) -> None:
        lines = self.field()
        for _ in range(6):
            x, y = self.dice.uniform(-5, 90), self.dice.uniform(low, 95)
            lines.taper((x, y), 0.6, (x + self.dice.uniform(6, 18), y), 0.6)
        self.canvas.paint(lines, (196, 226, 242), opacity=0.7)


def tinted(colour: Colour, dice: Dice) -> Colour:
    """A colour that is not quite the same in any two images."""
    red, green, blue = (min(dice.around(part, 0.1), 252.0) for part in colour)
    return red, green, blue
