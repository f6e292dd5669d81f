"""Small stores for tests: their content follows from a seed, so that it can be computed again for comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from zslcache.cache.spec import StoreSpec
from zslcache.cache.store import FeatureStore
from zslcache.cache.writer import create_store, writing
from zslcache.files import Disk

SHAPES = {"global": (5,), "tokens": (3, 5)}


def spec(images: int = 7, store_dtype: str = "float16", shard_rows: int = 4) -> StoreSpec:
    return StoreSpec(
        dataset={"name": "toy", "images": images, "fingerprint": "0" * 64},
        backbone={"name": "vit/toy", "weights_sha256": "1" * 64},
        precision="fp32",
        store_dtype=store_dtype,
        shard_rows=shard_rows,
    )


def names(images: int) -> list[str]:
    return [f"class {row % 3}/bild-ü{row}.jpg" for row in range(images)]


def truth(images: int, shape: Sequence[int], feature: str = "global") -> np.ndarray:
    """What the encoder is said to have seen: float32, rows of very different sizes."""
    rng = np.random.default_rng([images, len(feature), *shape])
    return (rng.standard_normal((images, *shape)) * 10 ** rng.uniform(-3, 3, (images, *shape[:-1], 1))).astype("f4")


def hashes(images: int) -> np.ndarray:
    return np.random.default_rng(images).integers(0, 256, (images, 32), np.uint8)


def fill(
    path: Path,
    wanted: StoreSpec,
    shapes: Mapping[str, Sequence[int]] = SHAPES,
    skipped: Mapping[int, str] | None = None,
    shards: Sequence[int] | None = None,
    disk: Disk | None = None,
) -> FeatureStore:
    """Make the store or go on with it: every shard (of those named) that lacks any of the features is committed."""
    images, size = int(wanted.dataset["images"]), wanted.shard_rows
    create_store(path, wanted, names(images), {"batch_size": 2}, disk)
    with writing(path, disk=disk) as writer:
        writer.add_features(shapes)
        todo = np.flatnonzero(~writer.store.complete(list(shapes))).tolist()
        for shard in todo if shards is None else shards:
            rows = slice(shard * size, min((shard + 1) * size, images))
            blocks = {feature: truth(images, shape, feature)[rows] for feature, shape in shapes.items()}
            here = {row: reason for row, reason in (skipped or {}).items() if rows.start <= row < rows.stop}
            first_time = not writer.store.committed["image_hash"][shard]
            writer.commit(shard, blocks, hashes(images)[rows] if first_time else None, here)
    return FeatureStore.open(path)


def contents(path: Path) -> dict[str, bytes]:
    """Every file of the Zarr group."""
    group = path / "features.zarr"
    return {str(file.relative_to(group)): file.read_bytes() for file in sorted(group.rglob("*")) if file.is_file()}
