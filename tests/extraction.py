"""Small things to extract from and with: folders of pictures, a dataset of them, encoders of a few thousand weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from zslcache.cache.store import GROUP, FeatureStore
from zslcache.data.dataset import Dataset
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.extract.backbones import Backbone, build_backbone
from zslcache.progress import Silent

TINY = {"img_size": "32", "patch_size": "8", "embed_dim": "32", "depth": "2", "num_heads": "2"}
CLASSES = 4  # the last one unseen, the one before it for validation


class Lines(Silent):
    """Keeps the lines that a person would be shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def line(self, text: str) -> None:
        self.shown.append(text)


def draw_pictures(root: Path, count: int, seed: int = 0, side: int = 80) -> tuple[str, ...]:
    """Smooth random pictures in many sizes, PNG and JPEG in turn; returns their names."""
    rng = np.random.default_rng(seed)
    names = tuple(f"{row % CLASSES}/{row:05}.{'jpg' if row % 2 else 'png'}" for row in range(count))
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        blobs = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        size = int(rng.integers(side // 2, side)), int(rng.integers(side // 2, side))
        blobs.resize(size, Image.Resampling.BICUBIC).save(path)
    return names


def dataset_of(root: Path, names: tuple[str, ...]) -> Dataset:
    """The images with four classes and every sixth seen one for testing."""
    rows = np.arange(len(names))
    labels = rows % CLASSES
    unseen = labels == CLASSES - 1
    test = ~unseen & (rows // CLASSES % 6 == 5)
    split = Split.of_classes(
        labels, np.flatnonzero(~unseen & ~test), np.flatnonzero(test), np.flatnonzero(unseen), [CLASSES - 2]
    )
    attributes = np.eye(CLASSES, 3, dtype=np.float32)
    semantics = Semantics(tuple("abcd"), attributes, ("x", "y", "z"), split.seen, split.unseen)
    return Dataset("pictures", FolderImages(root, names), labels, semantics, split)


def tiny_vit(*features: str, seed: int = 0, **changes: str) -> Backbone:
    """Two blocks of width 32 on 4 x 4 patches, with random weights."""
    return build_backbone(
        "timm:vit_tiny_patch16_224", features or ("global", "tokens"), "random", TINY | changes, seed=seed
    )


def array_digests(store: FeatureStore) -> dict[str, str]:
    """The sha256 of every file of every array; the group's own metadata tells the time and is left out."""
    group = store.path / GROUP
    files = sorted(path for path in group.glob("*/*") if path.is_file())
    return {str(path.relative_to(group)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
