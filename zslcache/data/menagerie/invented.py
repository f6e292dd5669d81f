"""Animals that never were: random mixtures of the same attributes, to train encoders on."""

from __future__ import annotations

import numpy as np

from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.species import Species, complete, real_species
from zslcache.data.menagerie.vocabulary import ALWAYS, COLOURS, FAMILIES, GROUPS, HABITATS, PLANS

_DIFFERENCE = 4  # the least number of attributes, context apart, that tells two species apart

_ANY = {"small", "large", "stout", "slender", "striped", "spotted", "patched", "pale belly", "dark mask", "red breast"}
_ANY |= {"red crown", "dark crown", "white crown", "long tail", "ringed tail", "crest", "spines", "shell", "large eyes"}
_ANY |= {"at night", "in a group"}
_WALKING = _ANY | {"long legs", "short legs", "dark legs", "long neck"}
_HEADS = {"curved horns", "nose horn", "pointed ears", "round ears", "long ears", "long snout", "tusks"}
_FITS = {  # what can grow on which body
    "four-legged": _WALKING | _HEADS | {"antlers", "mane", "trunk", "hump", "bushy tail", "flat snout"},
    "bird-shaped": _WALKING | {"upright", "fan tail", "hooked beak", "long beak", "flat bill", "wing bar"},
    "fish-shaped": _ANY | {"fan tail", "tall fin", "long snout", "curved horns", "nose horn", "tusks"},
    "reptile-shaped": _WALKING | _HEADS | {"bushy tail", "fan tail"},
}
_MOVES = {
    "four-legged": ("running", "swimming"),
    "bird-shaped": ("flying", "swimming"),
    "reptile-shaped": ("swimming",),
}


def invented_classes(count: int, seed: int = 0) -> tuple[Species, ...]:
    """`count` species unlike each other and unlike every real one; more of them begin with the same ones."""
    taken = [_signature(species) for species in real_species()]
    species: list[Species] = []
    attempt = 0
    while len(species) < count:
        candidate = _invent(f"invented {seed}-{len(species)}", Dice("invented", seed, attempt))
        signature = _signature(candidate)
        if (np.abs(np.stack(taken) - signature).sum(axis=1) >= _DIFFERENCE).all():
            species.append(candidate)
            taken.append(signature)
        attempt += 1
    return tuple(species)


def _signature(species: Species) -> np.ndarray:
    """Which attributes the species usually has, context apart."""
    usual = species.attributes >= np.float32(0.45)
    return (usual & (np.array(GROUPS) != "context")).astype(np.int16)


def _invent(name: str, dice: Dice) -> Species:
    plan = dice.choose((PLANS[0], PLANS[0], PLANS[1], *PLANS))
    probability: dict[str, float] = {}
    for families in FAMILIES.values():
        for family in families:
            options = [option for option in family if option in _FITS[plan]]
            if family not in ALWAYS and options and dice.chance(0.3):
                probability |= _shares(options, dice)
    probability |= _shares(COLOURS, dice)
    if plan in _MOVES and dice.chance(0.5):
        probability[dice.choose(_MOVES[plan])] = dice.uniform(0.2, 0.5)
    if plan != "fish-shaped":
        probability[dice.choose(HABITATS)] = dice.uniform(0.3, 0.7)
    return Species(name, complete(plan, probability), frozenset())


def _shares(options: tuple[str, ...] | list[str], dice: Dice) -> dict[str, float]:
    """Mostly one option for certain, sometimes an uncertain one, sometimes two."""
    order = dice.shuffled(options)
    if dice.chance(0.65):
        return {order[0]: 0.95}
    first = dice.uniform(0.3, 0.8)
    return {order[0]: first} | dict.fromkeys(order[1:2], 0.95 - first)
