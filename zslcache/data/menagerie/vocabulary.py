"""The attributes: families of names of which an animal has one at most, in three groups."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Float32

FAMILIES: dict[str, tuple[tuple[str, ...], ...]] = {
    "global": (
        ("four-legged", "bird-shaped", "fish-shaped", "reptile-shaped"),
        ("small", "large"),
        ("stout", "slender"),
        ("long legs", "short legs"),
        ("standing", "running", "flying", "swimming"),
        ("upright",),
    ),
    "context": (
        ("in grassland", "in forest", "in snow", "in desert", "in water", "on a farm"),
        ("at night",),
        ("in a group",),
    ),
    "local": (
        ("white body", "grey body", "black body", "brown body", "orange body", "green body", "pink body"),
        ("red crown", "dark crown", "white crown"),
        ("striped", "spotted", "patched"),
        ("pale belly",),
        ("dark mask",),
        ("red breast",),
        ("dark legs",),
        ("long tail", "bushy tail", "fan tail"),
        ("ringed tail",),
        ("curved horns", "antlers", "nose horn"),
        ("pointed ears", "round ears", "long ears"),
        ("mane",),
        ("tusks",),
        ("hump",),
        ("crest",),
        ("spines",),
        ("shell",),
        ("long neck",),
        ("hooked beak", "long beak", "flat bill"),
        ("long snout", "flat snout", "trunk"),
        ("wing bar",),
        ("large eyes",),
        ("tall fin",),
    ),
}
PLANS, _, _, _, POSTURES, _ = FAMILIES["global"]
HABITATS = FAMILIES["context"][0]
COLOURS = FAMILIES["local"][0]
ALWAYS = (PLANS, POSTURES, HABITATS, COLOURS)  # families of which every animal has exactly one

NAMES = tuple(name for families in FAMILIES.values() for family in families for name in family)
GROUPS = tuple(group for group, families in FAMILIES.items() for family in families for _ in family)
FAMILY = {name: family for families in FAMILIES.values() for family in families for name in family}
COLUMN = {name: column for column, name in enumerate(NAMES)}
LOCAL = tuple(name for name, group in zip(NAMES, GROUPS, strict=True) if group == "local")
MARK = {name: 1 << place for place, name in enumerate(LOCAL)}  # the bit of a local attribute on the canvas


def word_vectors(size: int = 64) -> Float32[np.ndarray, "attributes words"]:
    """A vector for each attribute name: the sum of fixed random directions of its words, family and group.

    Names that share words ("long tail", "long neck"), a family or a group are therefore closer than others, as
    they would be in vectors learned from text.
    """
    vectors = np.zeros((len(NAMES), size))
    for row, name in enumerate(NAMES):
        parts = [(f"word:{word}", 1.0) for word in name.replace("-", " ").split()]
        parts += [(f"family:{FAMILY[name][0]}", 0.7), (f"group:{GROUPS[row]}", 0.5)]
        for part, weight in parts:
            vectors[row] += weight * _direction(part, size)
    return vectors.astype(np.float32)


def _direction(text: str, size: int) -> np.ndarray:
    """A corner of the unit hypercube chosen by a hash, at length one."""
    bits = np.frombuffer(hashlib.shake_256(text.encode()).digest(size), dtype=np.uint8) & 1
    return (bits.astype(np.float64) * 2 - 1) / np.sqrt(np.float64(size))
