"""One image: an animal drawn from its own attributes in a scene, with the truth about what can be seen of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int16, UInt8

from zslcache.data.menagerie import habitat
from zslcache.data.menagerie.artist import Artist
from zslcache.data.menagerie.bird import bird
from zslcache.data.menagerie.canvas import Canvas
from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.four_legged import four_legged
from zslcache.data.menagerie.low import fish, reptile
from zslcache.data.menagerie.raster import SIDE, Frame, unit
from zslcache.data.menagerie.scene import Scene
from zslcache.data.menagerie.species import Species
from zslcache.data.menagerie.vocabulary import COLUMN, HABITATS, LOCAL, NAMES, PLANS

VERSION = 1  # of the drawings: raise it whenever one pixel of any image changes

_LOCAL_COLUMNS = np.array([COLUMN[name] for name in LOCAL])
_PLAN: dict[str, Callable[[Artist], None]] = dict(zip(PLANS, (four_legged, bird, fish, reptile), strict=True))
_HEIGHT = {"four-legged": 34.0, "bird-shaped": 32.0, "fish-shaped": 20.0, "reptile-shaped": 20.0}


@dataclass(frozen=True, eq=False)
class Painting:
    """An image, which attributes can be seen in it, and where (left, top, right, bottom; -1: nowhere in particular)."""

    pixels: UInt8[np.ndarray, "side side 3"]
    attributes: Bool[np.ndarray, " attributes"]
    boxes: Int16[np.ndarray, "attributes 4"]


def paint(species: Species, number: int, seed: int = 0) -> Painting:
    """Image `number` of a species; it depends on nothing but these arguments."""
    canvas, traits, dice = compose(species, number, seed)
    cast = np.array([dice.uniform(0.88, 1.12) for _ in range(3)], dtype=np.float32).reshape(3, 1, 1)
    canvas.pixels *= cast * np.float32(dice.uniform(0.8, 1.12))
    noise = dice.noise((3, SIDE, SIDE)) * np.float32(dice.uniform(2, 9))
    local = canvas.boxes(len(LOCAL))
    boxes = np.full((len(NAMES), 4), -1, dtype=np.int16)
    boxes[_LOCAL_COLUMNS] = local
    attributes = np.array([name in traits for name in NAMES])
    attributes[_LOCAL_COLUMNS] &= local[:, 0] >= 0  # what is hidden entirely is not in the image
    return Painting(canvas.finish(noise), attributes, boxes)


def compose(species: Species, number: int, seed: int = 0) -> tuple[Canvas, frozenset[str], Dice]:
    """The drawing before the camera adds a cast and noise; with the animal's traits, and the dice for what follows."""
    dice = Dice("menagerie", VERSION, seed, species.name, number)
    traits = species.sample(dice)
    canvas = Canvas()
    home = next(name for name in HABITATS if name in traits)
    scene = Scene(canvas, dice, home, "at night" in traits, dice.uniform(28, 60))
    frame = _place(traits, dice)
    below = "fish-shaped" in traits
    (habitat.under_water if below else habitat.behind)(scene)
    artist = Artist.of(canvas, frame, traits, dice)
    plan = next(name for name in PLANS if name in traits)
    if "in a group" in traits:
        _companions(artist, scene, plan)
    if not below:
        _ground(artist, scene)
    _PLAN[plan](artist)
    _water(artist, scene)
    habitat.front(scene)
    if scene.night:
        canvas.pixels *= np.array((0.7, 0.76, 0.98), dtype=np.float32).reshape(3, 1, 1)
    return canvas, traits, dice


def _place(traits: frozenset[str], dice: Dice) -> Frame:
    """Where the animal is, how large, which way it looks and how it leans."""
    plan = next(name for name in PLANS if name in traits)
    scale = dice.uniform(0.86, 1.24) * (0.8 if "small" in traits else 1.22 if "large" in traits else 1.0)
    height = _HEIGHT[plan] + 16 * ("long neck" in traits) + 8 * ("long legs" in traits) + 14 * ("antlers" in traits)
    scale = min(scale, 84 / height)
    low = dice.uniform(72, 92)
    if "flying" in traits:
        low = dice.uniform(52, 74)
    elif plan == "fish-shaped":
        low = 48 + 10 * scale + dice.uniform(-14, 14)
    low = max(low, height * scale + 4)
    room = max(46 - 27 * scale, 4.0)
    middle = 48 + dice.uniform(-room, room)
    return Frame(middle, min(low, 93.0), scale, dice.choose((-1.0, 1.0)), unit(1, dice.uniform(-0.1, 0.1)))


def _ground(artist: Artist, scene: Scene) -> None:
    """The animal's shadow on the ground."""
    if not artist.has("flying", "swimming", "in water"):
        x, y = artist.frame.point(0, 0)
        oval = scene.field().ellipse((x, y), (19 * artist.frame.scale, 2.6 * artist.frame.scale))
        scene.canvas.paint(oval, (40, 50, 50), opacity=0.3)


def _water(artist: Artist, scene: Scene) -> None:
    """What of the animal is under water: its lower half when it swims, its feet when it wades."""
    if artist.has("fish-shaped", "flying") or not artist.has("in water"):
        return
    scale = artist.frame.scale
    if artist.has("swimming"):
        scene.water_line(artist.frame.point(0, -5.0 if artist.has("reptile-shaped") else -7.5)[1])
    else:
        scene.shallows(artist.frame.point(0, -0.5), 22 * scale, 2.8 * scale)


def _companions(artist: Artist, scene: Scene, plan: str) -> None:
    """Others of its kind, small and hazy in the distance."""
    dice, colour = artist.dice, artist.colour
    for _ in range(2 + dice.below(2)):
        x, y = dice.uniform(6, 90), scene.horizon + dice.uniform(1, 8)
        if plan == "fish-shaped":
            y = dice.uniform(10, 84)
        side, size = dice.choose((-1, 1)), dice.uniform(0.9, 1.3)
        other = scene.field(1).ellipse((x, y - 4 * size), (4.4 * size, 2.4 * size))
        other.disc((x + side * 5.2 * size, y - 6 * size if plan != "fish-shaped" else y - 4 * size), 1.7 * size)
        if plan != "fish-shaped":
            for dx in (-2.5, 2.5):
                other.taper((x + dx * size, y - 3 * size), 0.9, (x + dx * size, y), 0.7)
        else:
            tip = x - side * 7 * size
            other.polygon([(x - side * 3 * size, y - 4 * size), (tip, y - 6.5 * size), (tip, y - 1.5 * size)])
        r, g, b = (c + (h - c) * 0.25 for c, h in zip(colour, scene.haze, strict=True))
        scene.canvas.paint(other, (r, g, b), rim=artist.rim)
