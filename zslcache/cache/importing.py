"""Features that others computed, as a store of our own: read from .mat, .npz or .npy, matched by image name."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, Shaped

from zslcache.cache.spec import StoreSpec
from zslcache.cache.store import FeatureStore
from zslcache.cache.writer import create_store, writing
from zslcache.data.dataset import Dataset
from zslcache.data.matching import match_names
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.files import check_name, sha256_file
from zslcache.progress import SILENT, Progress

FEATURE_KEYS = ("global", "features")
NAME_KEYS = ("image_names", "names", "image_files")


@dataclass(frozen=True, eq=False)
class ForeignFeatures:
    """One vector per image, as found in a file; without names its order has to be trusted."""

    path: Path
    values: Shaped[np.ndarray, "rows dim"]
    names: tuple[str, ...] | None


@dataclass(frozen=True)
class Imported:
    """The store that was made, and the rows of the file that belong to no image of the dataset."""

    store: FeatureStore
    unmatched: tuple[str, ...]
    order_trusted: bool


def read_foreign(path: Path, names: Sequence[str] | None = None) -> ForeignFeatures:
    """The features in a .mat, .npz or .npy file; `names` are the images of its rows if the file has none."""
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.")
    if path.suffix == ".mat":
        from zslcache.data.xlsa17 import read_features

        values, _, files = read_features(path)
        found: tuple[str, ...] | None = files
    elif path.suffix == ".npz":
        values, found = _read_npz(path)
    elif path.suffix == ".npy":
        with _reading(path):
            values, found = np.load(path, mmap_mode="r", allow_pickle=False), None
    else:
        raise UsageError(f"{path.name} has no known form.", "Features are imported from .mat, .npz and .npy files.")
    chosen = tuple(names) if names is not None else found
    if values.ndim != 2 or values.dtype.kind != "f":
        raise DataError(f"{path} holds {values.dtype} of shape {values.shape}, not one vector of floats per image.")
    if chosen is not None and len(chosen) != len(values):
        raise DataError(f"{path} has {len(values)} rows, but {len(chosen)} image names.")
    return ForeignFeatures(path, values, chosen)


def read_names(path: Path) -> list[str]:
    """A text file with one image per line."""
    try:
        return path.read_bytes().decode().splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no UTF-8 text: {error}.") from error


def import_features(
    source: ForeignFeatures,
    dataset: Dataset,
    backbone: str,
    folder: Path,
    store_dtype: str = "float32",
    progress: Progress = SILENT,
) -> Imported:
    """Make a store of `dataset` in `folder` whose feature `global` comes from `source`; begun again, it goes on."""
    rows, unmatched = _rows_of_images(source, dataset.images.names)
    digest = sha256_file(source.path)
    spec = StoreSpec(
        dataset={"name": dataset.name, "images": len(dataset.images), "fingerprint": dataset.images_fingerprint},
        backbone={"name": check_name("backbone", backbone), "imported_sha256": digest},
        precision="unknown",
        store_dtype=store_dtype,
    )
    provenance = {
        "dataset_fingerprint": dataset.fingerprint,
        "imported_from": source.path.name,
        "order_trusted": source.names is None,
    }
    path = folder / spec.folder_name
    create_store(path, spec, dataset.images.names, provenance)
    with writing(path) as writer:
        writer.add_features({"global": source.values.shape[1:]})
        todo = np.flatnonzero(~writer.store.complete(["global"])).tolist()
        with progress.task(f"Importing {source.path.name}", len(todo), "shards") as task:
            for shard in todo:
                here = rows[shard * spec.shard_rows : (shard + 1) * spec.shard_rows]
                first = shard * spec.shard_rows
                skipped = {first + int(at): f"not in {source.path.name}" for at in np.flatnonzero(here < 0)}
                # The images that these features were made of are unknown: hashes of zeros.
                writer.commit(shard, {"global": source.values[here]}, np.zeros((len(here), 32), np.uint8), skipped)
                task.advance()
    return Imported(FeatureStore.open(path), unmatched, source.names is None)


def _rows_of_images(
    source: ForeignFeatures, images: Sequence[str]
) -> tuple[Int64[np.ndarray, " images"], tuple[str, ...]]:
    """For every image the row of the file that belongs to it, or -1; and the names of rows that belong to none."""
    if source.names is None:
        if len(source.values) != len(images):
            raise DataError(
                f"{source.path} has {len(source.values)} rows for {len(images)} images, and no names to match them by.",
                "Give the images of its rows, one per line: --names FILE",
            )
        return np.arange(len(images)), ()
    found = match_names(source.names, images)
    rows = np.full(len(images), -1, np.int64)
    problems = []
    for row in np.flatnonzero(found >= 0).tolist():
        if rows[found[row]] >= 0:
            problems.append(f"rows {rows[found[row]] + 1} and {row + 1} are both {images[found[row]]}")
        rows[found[row]] = row
    if problems:
        raise DataError(f"{source.path} names images twice:", problems=problems)
    if not (found >= 0).any():
        raise DataError(
            f"No image in {source.path} belongs to the dataset: it has {source.names[0]!r}, the dataset {images[0]!r}.",
            "Is it the file of another dataset?",
        )
    return rows, tuple(source.names[row] for row in np.flatnonzero(found < 0))


def _read_npz(path: Path) -> tuple[np.ndarray, tuple[str, ...] | None]:
    with _reading(path), open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise ValueError("it is no .npz archive")
        features = next((key for key in FEATURE_KEYS if key in archive), None)
        if features is None:
            held = ", ".join(archive) or "nothing"
            raise DataError(f"{path} holds {held}, but no array called {' or '.join(FEATURE_KEYS)}.")
        names = next((key for key in NAME_KEYS if key in archive), None)
        values = archive[features]
        if names is None:
            return values, None
        found = archive[names].ravel()
        if "valid" in archive:  # as `export` marks images without features
            known = archive["valid"].astype(bool)
            values, found = values[known], found[known]
        return values, tuple(map(str, found.tolist()))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What numpy says of files that are damaged, or that it would have to unpickle."""
    try:
        yield
    except (ValueError, EOFError, IndexError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{path} cannot be read: {error}", "Write numbers and text, no objects, with np.save or np.savez."
        ) from error
