"""Small files in the form of the public benchmarks, for the tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.io import savemat


def cells(texts: list[str]) -> np.ndarray:
    """A column of MATLAB cells, each with one text."""
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


def att_splits(folders: list[str] | None, original: np.ndarray, **parts: list[int]) -> dict[str, np.ndarray]:
    """The content of att_splits.mat; `original` has a row for each class, indices count from 0 here."""
    content = {
        "original_att": original.T.astype(float),
        "att": (original / np.linalg.norm(original, axis=1)[:, None]).T,
    }
    if folders is not None:
        content["allclasses_names"] = cells(folders)
    return content | {f"{name}_loc": (np.array([part]).T + 1).astype(np.uint16) for name, part in parts.items()}


def save(path: Path, content: dict[str, np.ndarray], compressed: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, content, do_compression=compressed)
    return path


def res101(files: list[str], labels: np.ndarray, dim: int = 3) -> dict[str, np.ndarray]:
    """The content of res101.mat; feature j of image i is 10 i + j."""
    features = 10.0 * np.arange(len(files)) + np.arange(dim)[:, None]
    return {"features": features, "labels": (labels[:, None] + 1).astype(float), "image_files": cells(files)}
