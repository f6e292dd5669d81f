"""Does a store still hold what its encoder sees? Some images are encoded again and compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from zslcache.errors import DataError
from zslcache.extract.encode import Encoder, choose_device
from zslcache.extract.feed import Feed
from zslcache.home import Home
from zslcache.pipelines.extract import KEPT
from zslcache.pipelines.origin import origin

# Batch size and device move the last bits, int8 the last hundredth; another encoder moves far more than this.
LEAST_COSINE = {"fp32": 0.9999, "fp16": 0.999, "bf16": 0.99}
LEAST_COSINE_INT8 = 0.99


@dataclass(frozen=True)
class Comparison:
    """One feature, stored against encoded again."""

    feature: str
    least_cosine: float
    largest_difference: float
    ok: bool


def audit(
    home: Home,
    path: Path,
    images: int = 16,
    seed: int = 0,
    device: str = "auto",
    weights: str | None = None,
    hub_dir: Path | None = None,
) -> list[Comparison]:
    """Encode `images` random images of the store at `path` again and compare every feature."""
    made = origin(home, path, weights, hub_dir)
    store = made.store
    valid = np.flatnonzero(store.valid(store.features))
    if not len(valid):
        raise DataError(f"{path} holds no row with all its features yet.", "Finish it: run zslcache extract again.")
    rows = np.sort(np.random.default_rng(seed).permutation(valid)[:images])
    place = choose_device(device)
    encoder = Encoder(made.backbone, place, store.spec.precision, store.spec.pool, KEPT[store.spec.store_dtype])
    feed = Feed(made.dataset.images.select(rows), [made.backbone.transform], len(rows), len(rows), workers=1)
    (batch,) = feed.batches([0])
    if batch.skipped:
        row, reason = min(batch.skipped.items())
        raise DataError(f"The image of row {rows[row]} cannot be encoded again: {reason}.")
    least = LEAST_COSINE[store.spec.precision]
    if store.spec.store_dtype == "int8":
        least = min(least, LEAST_COSINE_INT8)
    fresh = encoder(batch.pixels[made.backbone.transform])
    return [_compare(name, store.read(name, rows), fresh[name], least) for name in store.features]


def _compare(feature: str, stored: np.ndarray, fresh: torch.Tensor, least: float) -> Comparison:
    one = stored.reshape(len(stored), -1).astype(np.float64)
    other = fresh.cpu().numpy().reshape(len(stored), -1).astype(np.float64)
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosine = float(((one * other).sum(1) / np.where(lengths > 0, lengths, 1)).min())
    return Comparison(feature, cosine, float(np.abs(one - other).max()), cosine >= least)
