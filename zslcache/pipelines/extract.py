"""Stage one: dataset -> decoded batches -> frozen encoders -> shards -> stores, in one pass over the images."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zslcache.cache.store import MANIFEST, FeatureStore
from zslcache.cache.writer import create_store, writing
from zslcache.data.dataset import Dataset
from zslcache.errors import DataError, UsageError, ZslError
from zslcache.extract.backbones import Backbone
from zslcache.extract.encode import Encoder, choose_device, largest_batch
from zslcache.extract.feed import DecodedBatch, Feed
from zslcache.home import Home
from zslcache.machine import available_cores
from zslcache.pipelines.extract_job import Job
from zslcache.pipelines.store_for import Settings, provenance, store_for, what_differs
from zslcache.progress import SILENT, Progress

KEPT = {"float16": torch.float16, "float32": torch.float32, "int8": torch.float32}  # int8 is made on the way to disk
CPU_BATCH = 32
CUDA_BATCHES = (256, 128, 64, 32, 16, 8, 4, 2, 1)
DEFAULTS = Settings()
TIMED = {"cpu": 1, "cuda": 64}  # images of the trial that the estimate of time rests on


@dataclass(frozen=True)
class Report:
    """What one extraction did to one store."""

    store: FeatureStore
    features: tuple[str, ...]
    resumed: int  # images that were already there
    images: int  # images that were worked on now
    seconds: float
    waited: Mapping[str, float]  # seconds spent waiting, by what for

    def document(self) -> dict[str, Any]:
        """The stable JSON form."""
        store = self.store
        names = store.image_names
        return {
            "dataset": store.spec.dataset["name"],
            "backbone": store.spec.backbone["name"],
            "store": str(store.path),
            "features": {name: _describe(store, name) for name in self.features},
            "images": self.images,
            "skipped": [{"path": names[row], "reason": reason} for row, reason in sorted(store.skipped.items())],
            "not_finite": {name: count for name in store.arrays if (count := sum(store.not_finite[name].values()))},
            "seconds": round(self.seconds, 3),
            "images_per_second": round(self.images / self.seconds, 2) if self.seconds else 0.0,
            "resumed": self.resumed,
            "waited": {name: round(seconds / self.seconds, 3) for name, seconds in self.waited.items()},
            "random_weights": bool(store.spec.backbone["random_weights"]),
        }


def _describe(store: FeatureStore, feature: str) -> dict[str, Any]:
    arrays = [store.arrays[name] for name in store.arrays_of(feature)]
    return {
        "shape": [store.rows, *arrays[0].row_shape],
        "dtype": arrays[0].dtype,
        "bytes": sum(a.rows * a.stride + a.shards * a.index_bytes for a in arrays),
    }


def extract(
    home: Home,
    dataset: Dataset,
    backbones: Sequence[Backbone],
    settings: Settings = DEFAULTS,
    progress: Progress = SILENT,
) -> list[Report]:
    """Bring the store of every backbone to hold its features for all images; what is there already is kept."""
    device = choose_device(settings.device)
    places = [store_for(home, dataset, backbone, settings, device) for backbone in backbones]
    if len({path for path, _ in places}) < len(places):
        raise UsageError("The same backbone is given twice.", "Name it once, with all the features it is to give.")
    encoders = [
        Encoder(backbone, device, spec.precision, spec.pool, KEPT[spec.store_dtype], settings.compiled)
        for backbone, (_, spec) in zip(backbones, places, strict=True)
    ]
    batch_size = _batch_size([path for path, _ in places], encoders, settings)
    with ExitStack() as stack:
        for backbone, (path, spec) in zip(backbones, places, strict=True):
            if not (path / MANIFEST).exists():
                for line in what_differs(path.parent, spec):
                    progress.line(line)
                create_store(path, spec, dataset.images.names, provenance(dataset, backbone, device, batch_size))
        # Everyone locks in the same order, or two that wait for several stores could wait for each other.
        writers = {path: stack.enter_context(writing(path, settings.wait)) for path in sorted(p for p, _ in places)}
        jobs = [Job(writers[path], encoder) for (path, _), encoder in zip(places, encoders, strict=True)]
        begun = time.monotonic()
        waited = _run(jobs, dataset, batch_size, settings, progress)
        seconds = time.monotonic() - begun
    return [Report(job.store, job.features, job.resumed, job.images, seconds, waited) for job in jobs]


def _batch_size(stores: Sequence[Path], encoders: Sequence[Encoder], settings: Settings) -> int:
    """As asked; else what the stores were begun with, so that a shard done again has the same bytes; else what fits."""
    if settings.batch_size is not None:
        return min(settings.batch_size, settings.shard_rows)
    begun_with = [FeatureStore.open(path).provenance["batch_size"] for path in stores if (path / MANIFEST).exists()]
    if begun_with:
        return min(begun_with)
    if encoders[0].device.type != "cuda":
        return min(CPU_BATCH, settings.shard_rows)
    return min(*(largest_batch(encoder, CUDA_BATCHES) for encoder in encoders), settings.shard_rows)


def _run(
    jobs: Sequence[Job], dataset: Dataset, batch_size: int, settings: Settings, progress: Progress
) -> dict[str, float]:
    """One pass over the images that any job still needs; returns the seconds spent waiting."""
    waited = {"decode": 0.0, "disk": 0.0}
    jobs = [job for job in jobs if job.todo]
    if not jobs:
        progress.line("Everything asked for is in the store already.")
        return waited
    device = jobs[0].encoder.device
    shards = sorted({shard for job in jobs for shard in job.todo})
    images = sum(min(settings.shard_rows, len(dataset.images) - shard * settings.shard_rows) for shard in shards)
    _announce(jobs, images, device, progress)
    feed = Feed(
        dataset.images,
        [job.encoder.backbone.transform for job in jobs],
        batch_size,
        settings.shard_rows,
        workers=settings.workers or available_cores(),
        device=device.type,
        strict=settings.strict,
    )
    with ExitStack() as stack, progress.task(f"Extracting on {device}", images, "images") as task:
        for job in jobs:
            job.start_writing()
            stack.callback(job.stop_writing)
        batches = stack.enter_context(closing(feed.batches(shards)))
        begun = mark = time.monotonic()
        for batch in batches:
            waited["decode"] += time.monotonic() - mark
            _refuse_if_nothing_was_readable(batch, dataset)
            waited["disk"] += sum(job.take(batch) for job in jobs)
            mark = time.monotonic()
            task.advance(len(batch))
            task.note("waiting: " + ", ".join(f"{what} {wait / (mark - begun):.0%}" for what, wait in waited.items()))
    return waited


def _announce(jobs: Sequence[Job], images: int, device: torch.device, progress: Progress) -> None:
    """Before the long work: the device, and an estimate of bytes and time against the free space."""
    needed = sum(job.bytes_to_write() for job in jobs)
    free = shutil.disk_usage(jobs[0].store.path).free
    seconds = sum(job.seconds_per_image(TIMED.get(device.type, 1)) for job in jobs) * images
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    progress.line(
        f"{', '.join(job.encoder.backbone.spec.name for job in jobs)} on {device} ({name}): {images:,} images, "
        f"{needed / 1e9:.2f} GB of {free / 1e9:.0f} GB free, about {seconds / 60:.1f} minutes."
    )
    if needed > free:
        raise ZslError(
            f"The features need {needed / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free at {jobs[0].store.path}.",
            "Free some space, choose another --home, or store less: --features global, --pool 2x2, --store-dtype int8.",
        )


def _refuse_if_nothing_was_readable(batch: DecodedBatch, dataset: Dataset) -> None:
    """One bad image is skipped; a whole batch of them is a folder that has gone away."""
    if len(batch.skipped) == len(batch) > 1 and not np.any(batch.hashes):
        row, reason = min(batch.skipped.items())
        raise DataError(
            f"None of {len(batch)} images in a row can be read; the first is {dataset.images.names[row]}: {reason}.",
            f"Is the image folder still where it was? Else run zslcache prepare {dataset.name} again.",
        )
