"""From a store back to what made it: the dataset, the encoder and the settings, or the reason why they are not here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zslcache.cache.spec import differences
from zslcache.cache.store import FeatureStore
from zslcache.data import registry
from zslcache.data.dataset import Dataset
from zslcache.errors import NotFoundError
from zslcache.extract.backbones import Backbone, build_backbone
from zslcache.home import Home
from zslcache.pipelines.store_for import Settings


@dataclass(frozen=True)
class Origin:
    """All that is needed to make rows of a store again."""

    store: FeatureStore
    dataset: Dataset
    backbone: Backbone
    settings: Settings


def origin(home: Home, path: Path, weights: str | None = None, hub_dir: Path | None = None) -> Origin:
    """Find the dataset and build the encoder of the store at `path`; both must be exactly those it was made with."""
    store = FeatureStore.open(path)
    spec = store.spec
    if not spec.backbone.get("model"):
        raise NotFoundError(f"{path} was imported: no encoder of ours made it.", "Import it again from its file.")
    made = spec.backbone
    backbone = build_backbone(
        made["name"],
        store.features,
        weights="random" if made["random_weights"] else weights,
        model_args={name: _spelled(value) for name, value in made["model_args"].items()},
        transform_args={name: _spelled(value) for name, value in made["transform"].items()},
        hub_dir=hub_dir,
        seed=made.get("seed", 0),
    )
    changed = list(differences({"name": made["name"], **backbone.identity}, made))
    if changed:
        field, now, then = changed[0]
        raise NotFoundError(
            f"{path} was made with another encoder than {made['name']} is here: {field} was {then!r} and is {now!r}.",
            "Give the weights it was made with: --weights FILE.",
        )
    settings = Settings(
        store_dtype=spec.store_dtype,
        precision=spec.precision,
        pool=spec.pool,
        shard_rows=spec.shard_rows,
        batch_size=store.provenance["batch_size"],
    )
    return Origin(store, _dataset(home, store), backbone, settings)


def _dataset(home: Home, store: FeatureStore) -> Dataset:
    name, images = store.spec.dataset["name"], store.rows
    dataset = registry.load(home, name)
    for candidate in (dataset, dataset.spread(images)):
        if candidate.images_fingerprint == store.spec.dataset["fingerprint"]:
            return candidate
    raise NotFoundError(
        f"The images of dataset {name} are not those that {store.path} was made from.",
        f"Prepare {name} as it was then, or extract into a new store.",
    )


def _spelled(value: Any) -> str:
    """As it would be typed on the command line."""
    return ",".join(map(_spelled, value)) if isinstance(value, list) else str(value)
