"""The six habitats: what is behind the animals, and what may stand in front of them."""

from __future__ import annotations

from collections.abc import Callable

from zslcache.data.menagerie.raster import Colour, mix
from zslcache.data.menagerie.scene import GROUND, Scene, tinted


def behind(scene: Scene) -> None:
    """Sky, ground and what grows on it."""
    scene.sky_and_ground()
    _SETTINGS[scene.habitat](scene)


def under_water(scene: Scene) -> None:
    """The sea from inside: light from above, a floor with weeds, bubbles."""
    dice = scene.dice
    top = tinted(dice.choose(((120, 206, 232), (96, 190, 214), (130, 200, 240))), dice)
    scene.canvas.gradient(top, mix(top, (16, 54, 110), 0.75))
    floor = scene.field(3)
    for i in range(4):
        floor.ellipse((12 + 24 * i, 98), (20, dice.uniform(7, 15)))
    scene.canvas.paint(floor, tinted((206, 190, 146), dice), shade=0.3)
    for _ in range(2 + dice.below(4)):
        x, high = dice.uniform(0, 96), dice.uniform(14, 40)
        weed = scene.field().curve(((x, 94), (x + dice.uniform(-9, 9), 94 - high / 2), (x, 94 - high)), 1.9, 0.7)
        scene.canvas.paint(weed, tinted((62, 140, 96), dice))
    bubbles = scene.field()
    for _ in range(6):
        bubbles.disc((dice.uniform(0, 96), dice.uniform(0, 80)), dice.uniform(0.8, 2.0))
    scene.canvas.paint(bubbles, (226, 244, 252), opacity=0.7)


def front(scene: Scene) -> None:
    """What stands in front of the animal and may hide parts of it."""
    if scene.dice.chance(0.45):
        _COVER[scene.habitat](scene)
    if scene.habitat == "in snow":
        flakes = scene.field()
        for _ in range(10):
            flakes.disc((scene.dice.uniform(0, 96), scene.dice.uniform(0, 96)), scene.dice.uniform(0.6, 1.1))
        scene.canvas.paint(flakes, (255, 255, 255))


def _conifer(scene: Scene, x: float, base: float, size: float, colour: Colour, snow: bool = False) -> None:
    trunk = scene.field().taper((x, base), 0.09 * size, (x, base - 0.3 * size), 0.09 * size)
    scene.canvas.paint(trunk, (104, 74, 50))
    crown = scene.field()
    for i in range(3):
        y, wide = base - (0.2 + 0.24 * i) * size, (0.34 - 0.07 * i) * size
        crown.polygon([(x - wide, y), (x + wide, y), (x, y - 0.42 * size)])
    scene.canvas.paint(crown, mix(colour, (240, 246, 252), 0.45) if snow else colour, shade=0.3)


def _tree(scene: Scene, x: float, base: float, size: float, colour: Colour) -> None:
    trunk = scene.field().taper((x, base), 0.09 * size, (x, base - 0.5 * size), 0.07 * size)
    scene.canvas.paint(trunk, (112, 80, 54))
    crown = scene.field(2).disc((x, base - 0.72 * size), 0.27 * size)
    crown.disc((x - 0.2 * size, base - 0.58 * size), 0.2 * size).disc((x + 0.2 * size, base - 0.58 * size), 0.2 * size)
    scene.canvas.paint(crown, colour, shade=0.3)


def _grassland(scene: Scene) -> None:
    scene.hills((176, 178, 96), 2, 10)
    if scene.dice.chance(0.6):
        x, base = scene.dice.uniform(8, 88), scene.horizon + 3
        trunk = scene.field().taper((x, base), 1.2, (x + 2, base - 13), 0.9)
        scene.canvas.paint(trunk, (112, 84, 56))
        flat = scene.field(2).ellipse((x + 2, base - 15), (12, 3.2)).ellipse((x - 2, base - 18), (7, 2.4))
        scene.canvas.paint(flat, (104, 132, 60), shade=0.3)
    _tufts(scene, (130, 142, 60), scene.horizon + 6, 4)


def _forest(scene: Scene) -> None:
    scene.hills((88, 128, 84), 2, 12)
    for _ in range(3 + scene.dice.below(3)):
        x, size = scene.dice.uniform(0, 96), scene.dice.uniform(26, 48)
        colour = tinted((62, 118, 66), scene.dice)
        draw = _conifer if scene.dice.chance(0.5) else _tree
        draw(scene, x, scene.horizon + scene.dice.uniform(1, 7), size, colour)


def _snow(scene: Scene) -> None:
    scene.hills((222, 232, 246), 3, 14)
    for _ in range(1 + scene.dice.below(3)):
        at, size = scene.dice.uniform(0, 96), scene.dice.uniform(20, 34)
        _conifer(scene, at, scene.horizon + scene.dice.uniform(1, 6), size, (70, 112, 96), snow=True)


def _desert(scene: Scene) -> None:
    scene.hills((232, 196, 132), 3, 12)
    for _ in range(scene.dice.below(3)):
        x, base, size = scene.dice.uniform(4, 92), scene.horizon + scene.dice.uniform(2, 8), scene.dice.uniform(9, 16)
        cactus = scene.field().taper((x, base), 2, (x, base - size), 1.9)
        for side in (-1, 1):
            elbow = (x + side * 4.5, base - size * 0.45)
            cactus.taper((x, elbow[1]), 1.2, elbow, 1.2).taper(elbow, 1.2, (elbow[0], elbow[1] - size * 0.32), 1.2)
        scene.canvas.paint(cactus, (92, 146, 84), shade=0.2)


def _water(scene: Scene) -> None:
    scene.hills((110, 160, 120), 2, 8)
    scene.ripples(scene.horizon + 3)


def _farm(scene: Scene) -> None:
    scene.hills((134, 184, 92), 2, 9)
    line = scene.horizon
    if scene.dice.chance(0.6):
        x = scene.dice.uniform(4, 70)
        scene.canvas.paint(
            scene.field().polygon([(x, line + 4), (x, line - 8), (x + 20, line - 8), (x + 20, line + 4)]), (190, 62, 52)
        )
        scene.canvas.paint(
            scene.field().polygon([(x - 2, line - 8), (x + 22, line - 8), (x + 10, line - 17)]), (112, 70, 66)
        )
        scene.canvas.paint(
            scene.field().polygon([(x + 7, line + 4), (x + 7, line - 4), (x + 13, line - 4), (x + 13, line + 4)]),
            (244, 226, 200),
        )
    fence = scene.field()
    for i in range(8):
        fence.taper((i * 13 + 2, line + 8), 0.9, (i * 13 + 2, line), 0.9)
    fence.taper((-3, line + 2), 0.7, (99, line + 2), 0.7).taper((-3, line + 5.5), 0.7, (99, line + 5.5), 0.7)
    scene.canvas.paint(fence, (222, 206, 178))


def _tufts(scene: Scene, colour: Colour, low: float, count: int, size: float = 4.0) -> None:
    grass = scene.field()
    for _ in range(count):
        x, y = scene.dice.uniform(0, 96), scene.dice.uniform(low, 96)
        for lean in (-0.5, 0.0, 0.6):
            grass.taper((x + 2 * lean, y), 0.18 * size, (x + lean * size, y - size), 0.3)
    scene.canvas.paint(grass, colour)


def _grass_cover(scene: Scene) -> None:
    colour = mix(GROUND[scene.habitat][1], (40, 80, 30), 0.35)
    _tufts(scene, colour, 90, 5 + scene.dice.below(5), scene.dice.uniform(9, 18))


def _mound_cover(scene: Scene) -> None:
    base = GROUND[scene.habitat][1]
    rock = (150, 140, 130) if scene.habitat == "in desert" else (244, 248, 253)
    mound = scene.field(3)
    x = scene.dice.uniform(10, 86)
    mound.ellipse((x, 95), (scene.dice.uniform(9, 18), scene.dice.uniform(6, 13)))
    mound.ellipse((x + 9, 96), (9, 6))
    scene.canvas.paint(mound, mix(rock, base, 0.25), rim=mix(rock, base, 0.8), shade=0.25)


_SETTINGS: dict[str, Callable[[Scene], None]] = {
    "in grassland": _grassland,
    "in forest": _forest,
    "in snow": _snow,
    "in desert": _desert,
    "in water": _water,
    "on a farm": _farm,
}
_COVER: dict[str, Callable[[Scene], None]] = {
    "in grassland": _grass_cover,
    "in forest": _grass_cover,
    "in snow": _mound_cover,
    "in desert": _mound_cover,
    "in water": _grass_cover,
    "on a farm": _grass_cover,
}
