"""Species: what each class of animals looks like, as probabilities; the fifty real ones."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32

from zslcache.data.menagerie.dice import Dice
from zslcache.data.menagerie.table import TABLE
from zslcache.data.menagerie.vocabulary import COLOURS, COLUMN, FAMILIES, HABITATS, NAMES, POSTURES

_USUAL = 0.95  # the probability of an attribute written without one


@dataclass(frozen=True)
class Species:
    """A class of animals: the probability of each attribute, and which of them only males have."""

    name: str
    probability: Mapping[str, float]
    male: frozenset[str] = frozenset()

    def sample(self, dice: Dice) -> frozenset[str]:
        """The attributes of one animal; correlated as far as families, sex and swimming make them so."""
        is_male = dice.chance(0.5)
        traits: set[str] = set()
        for families in FAMILIES.values():
            for family in families:
                left = dice.uniform()
                for name in family:
                    left -= self._given_sex(name, is_male)
                    if left < 0:
                        traits.add(name)
                        break
        if "swimming" in traits:
            traits = traits.difference(HABITATS) | {"in water"}
        return frozenset(traits)

    def _given_sex(self, name: str, is_male: bool) -> float:
        probability = self.probability.get(name, 0.0)
        if name in self.male:
            return 2 * probability if is_male else 0.0
        return probability

    @property
    def attributes(self) -> Float32[np.ndarray, " attributes"]:
        """The probability of every attribute, in the order of the vocabulary."""
        swims = self.probability.get("swimming", 0.0)
        row = np.zeros(len(NAMES), dtype=np.float32)
        for name, probability in self.probability.items():
            row[COLUMN[name]] = probability * (1 - swims) if name in HABITATS else probability
        row[COLUMN["in water"]] += swims
        return row


@cache
def real_species() -> tuple[Species, ...]:
    """The fifty animals of the table, in alphabetical order."""
    found = []
    for plan, lines in re.findall(r"\[(.+)\]\n([^\[]+)", TABLE):
        for line in lines.replace("\n    ", " ").splitlines():
            name, _, listed = line.partition(": ")
            found.append(_parse(name, plan, listed.split(", ")))
    return tuple(sorted(found, key=lambda species: species.name))


def _parse(name: str, plan: str, listed: list[str]) -> Species:
    probability, male = {}, set()
    for entry in listed:
        match = re.fullmatch(r"(.+?)(?: (\.\d+))?( \(m\))?", entry)
        assert match is not None, entry
        assert match[1] in COLUMN, entry
        probability[match[1]] = float(match[2] or _USUAL) * (0.5 if match[3] else 1)
        if match[3]:
            male.add(match[1])
    return Species(name, complete(plan, probability), frozenset(male))


def complete(plan: str, probability: Mapping[str, float]) -> dict[str, float]:
    """Make the families of which every animal has exactly one add up to 1."""
    full = {**probability, plan: 1.0}
    if plan == "fish-shaped":
        full["swimming"] = 1.0
    full["standing"] = 1 - math.fsum(full.get(posture, 0.0) for posture in POSTURES[1:])
    colours = math.fsum(full.get(colour, 0.0) for colour in COLOURS)
    full |= {colour: full[colour] / colours for colour in COLOURS if colour in full}
    rest = (1 - math.fsum(full.get(habitat, 0.0) for habitat in HABITATS)) / len(HABITATS)
    return full | {habitat: full.get(habitat, 0.0) + rest for habitat in HABITATS}
