"""Which stores there are in a home, and which one a person means."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from zslcache.cache.lock import writer_lock
from zslcache.cache.store import GROUP, IMAGES, JOURNAL, LOCK, MANIFEST, TMP, FeatureStore
from zslcache.errors import NotFoundError
from zslcache.home import Home


def stores(home: Home) -> list[Path]:
    """Every store in the home, damaged ones too, in order of dataset and backbone."""
    return sorted(manifest.parent for manifest in home.stores.glob(f"*/[!.]*/{MANIFEST}"))


def name_of(path: Path) -> str:
    """A store as a person names it: DATASET/BACKBONE-KEY."""
    return f"{path.parent.name}/{path.name}"


def find(home: Home, text: str) -> Path:
    """The store at a path, or the one whose name DATASET/BACKBONE-KEY begins with `text`."""
    if (Path(text) / MANIFEST).exists():
        return Path(text).absolute()
    known = {name_of(path): path for path in stores(home)}
    matching = [name for name in known if name.startswith(text)]
    exact = [name for name in matching if name == text or name.startswith(f"{text.rstrip('/')}/")]
    matching = exact or matching
    if len(matching) == 1:
        return known[matching[0]]
    if matching:
        raise NotFoundError(f"{text!r} means {len(matching)} stores.", f"Choose one: {', '.join(matching)}.")
    hint = f"There is: {', '.join(known)}." if known else "Make one: zslcache extract --backbone B --dataset D"
    raise NotFoundError(f"There is no feature store {text!r}.", hint)


def summary(store: FeatureStore) -> dict[str, Any]:
    """What a store holds and how much of it is there, as plain JSON values."""
    features = {name: _feature(store, name) for name in store.features}
    return {
        "name": name_of(store.path),
        "path": str(store.path),
        "dataset": store.spec.dataset["name"],
        "backbone": store.spec.backbone["name"],
        "store_dtype": store.spec.store_dtype,
        "images": store.rows,
        "skipped": len(store.skipped),
        "complete": bool(features) and all(entry["images"] == store.rows for entry in features.values()),
        "bytes": sum(entry["bytes"] for entry in features.values()),
        "features": features,
    }


def _feature(store: FeatureStore, feature: str) -> dict[str, Any]:
    arrays = [store.arrays[name] for name in store.arrays_of(feature)]
    shards = np.flatnonzero(store.complete([feature])).tolist()
    return {
        "shape": [store.rows, *arrays[0].row_shape],
        "dtype": arrays[0].dtype,
        "images": sum(arrays[0].rows_in(shard) for shard in shards),  # in finished shards, skipped ones included
        "not_finite": sum(store.not_finite[feature].values()),
        "bytes": sum(array.shard_bytes(shard) for array in arrays for shard in shards),
    }


def remove(path: Path) -> None:
    """Delete a store, and nothing in its folder that does not belong to it; refused while someone writes to it."""
    with writer_lock(path / LOCK):
        (path / MANIFEST).unlink(missing_ok=True)  # from here on it is no store, even if the rest is interrupted
        for folder in (path / GROUP, path / TMP):
            if folder.exists():
                shutil.rmtree(folder)
        for name in (IMAGES, JOURNAL, LOCK):
            (path / name).unlink(missing_ok=True)
    if not any(path.iterdir()):
        path.rmdir()
