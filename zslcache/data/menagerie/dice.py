"""Random numbers that are the same on every machine: PCG64's raw stream, scaled by exact operations only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Choice = TypeVar("Choice")


class Dice:
    """A stream of draws named by its key; one key gives one stream, whatever else is drawn."""

    def __init__(self, *key: str | int) -> None:
        digest = hashlib.sha256("/".join(map(str, key)).encode()).digest()
        # NumPy promises the raw stream for ever, but not what a Generator makes of it.
        self._stream = np.random.PCG64(int.from_bytes(digest[:16], "little"))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * ((self._stream.random_raw() >> 11) * 2.0**-53)

    def chance(self, probability: float) -> bool:
        return self.uniform() < probability

    def below(self, count: int) -> int:
        """A whole number in 0..count-1."""
        return int(self.uniform() * count)

    def choose(self, options: Sequence[Choice]) -> Choice:
        return options[self.below(len(options))]

    def around(self, value: float, spread: float = 0.08) -> float:
        """`value`, up to `spread` (a share of it) larger or smaller."""
        return value * self.uniform(1 - spread, 1 + spread)

    def shuffled(self, options: Sequence[Choice]) -> list[Choice]:
        return [options[i] for _, i in sorted((self.uniform(), i) for i in range(len(options)))]

    def noise(self, shape: tuple[int, ...]) -> np.ndarray:
        """Triangular noise in -1..1, float32: the difference of two random bytes."""
        size = 1
        for length in shape:
            size *= length
        words = np.asarray(self._stream.random_raw(size // 4 + 1), dtype="<u8")
        values = words.view(np.uint8)[: 2 * size].astype(np.float32).reshape(2, *shape)
        return (values[0] - values[1]) / np.float32(255)
