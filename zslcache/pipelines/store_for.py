"""Which store an extraction means: the settings, the specification they amount to, and the store that has it."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from zslcache import __version__
from zslcache.cache.spec import SHARD_ROWS, StoreSpec, differences
from zslcache.cache.store import MANIFEST
from zslcache.data.dataset import Dataset
from zslcache.extract.backbones import Backbone
from zslcache.home import Home

VERSIONS = ("torch", "torchvision", "timm", "open_clip_torch", "numpy", "pillow")


@dataclass(frozen=True)
class Settings:
    """How to extract; of these only precision, store_dtype, pool and shard_rows decide what is stored."""

    store_dtype: str = "float16"
    precision: str = "auto"  # as an existing store has it, else bf16 on CUDA and fp32 on the CPU
    pool: str = "none"
    shard_rows: int = SHARD_ROWS
    device: str = "auto"
    batch_size: int | None = None  # None: what an existing store was begun with, else as large as fits
    workers: int | None = None  # None: one per core
    strict: bool = False
    wait: bool = False
    compiled: bool = False


def store_for(
    home: Home, dataset: Dataset, backbone: Backbone, settings: Settings, device: torch.device
) -> tuple[Path, StoreSpec]:
    """Where the store that the settings mean is, or would be, and its specification."""
    spec = StoreSpec(
        dataset={"name": dataset.name, "images": len(dataset.images), "fingerprint": dataset.images_fingerprint},
        backbone={"name": backbone.spec.name, **backbone.identity},
        precision={"cuda": "bf16"}.get(device.type, "fp32") if settings.precision == "auto" else settings.precision,
        store_dtype=settings.store_dtype,
        pool=settings.pool,
        shard_rows=settings.shard_rows,
    )
    folder = home.stores / dataset.name
    if settings.precision == "auto" and not (folder / spec.folder_name / MANIFEST).exists():
        # A store made on another kind of device is as good as one made here.
        for path, stored in _specs(folder):
            if [field for field, _, _ in differences(spec.document(), stored)] == ["precision"]:
                return path, replace(spec, precision=stored["precision"])
    return folder / spec.folder_name, spec


def what_differs(folder: Path, spec: StoreSpec) -> Iterator[str]:
    """For every other store of the same backbone, the fields that keep it from being used."""
    for path, stored in _specs(folder):
        if stored["backbone"].get("name") == spec.backbone["name"]:
            fields = "; ".join(
                f"{f}: {was!r} there, {is_!r} asked" for f, is_, was in differences(spec.document(), stored)
            )
            yield f"{path.name} is not used, since it differs in {fields}."


def provenance(dataset: Dataset, backbone: Backbone, device: torch.device, batch_size: int) -> dict[str, Any]:
    """How a store came about; nothing here decides whether it is the right one."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "dataset_fingerprint": dataset.fingerprint,
        "dataset_provenance": dict(dataset.provenance),
        "backbone": backbone.provenance,
        "device": name,
        "batch_size": batch_size,
        "zslcache": __version__,
        "versions": {package: importlib.metadata.version(package) for package in VERSIONS},
        "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def _specs(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")):
        try:
            yield manifest.parent, json.loads(manifest.read_bytes())["spec"]
        except (ValueError, KeyError, OSError):
            continue  # a damaged manifest is for `cache verify` to report
