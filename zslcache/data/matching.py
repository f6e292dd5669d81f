"""Finding the same image under another machine's path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Int64


def match_names(given: Sequence[str], images: Sequence[str]) -> Int64[np.ndarray, " given"]:
    """For every given path the image that it means, or -1: one of the two must end in all parts of the other.

    Files made on other machines name images by absolute paths; a shorter name counts if only one image ends in it.
    """
    whole = {"/".join(_parts(name)): index for index, name in enumerate(images)}
    endings: dict[str, int] = {}
    for index, name in enumerate(images):
        for ending in _endings(name):
            endings[ending] = index if ending not in endings else -1
    found = np.full(len(given), -1, np.int64)
    for row, name in enumerate(given):
        found[row] = next((whole[e] for e in _endings(name) if e in whole), endings.get("/".join(_parts(name)), -1))
    return found


def _endings(name: str) -> Iterator[str]:
    """a/b/c, b/c, c."""
    parts = _parts(name)
    return ("/".join(parts[at:]) for at in range(len(parts)))


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts
