"""Features in the forms that other programs read: .npy, .npz, and .mat as the public benchmark files have it."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Bool, Int64

from zslcache.cache.store import FeatureStore
from zslcache.cache.verify import require_intact
from zslcache.errors import DataError, UsageError
from zslcache.files import atomic_path
from zslcache.progress import SILENT, Progress

MAT_LIMIT = 1 << 32  # bytes of one variable in MATLAB's format 5


def export(
    store: FeatureStore,
    features: Sequence[str],
    target: Path,
    labels: Int64[np.ndarray, " images"] | None = None,
    progress: Progress = SILENT,
) -> Path:
    """Write features to `target`: X.npz, X.mat (one flat feature, with labels) or a folder of .npy files.

    Images without features become rows of NaN; `valid` says which have them.
    """
    valid = store.valid(features)
    if not valid.any():
        raise DataError(f"{store.path} has no finished {' and '.join(features)}.", "Run its zslcache extract again.")
    if target.suffix == ".mat":
        _export_mat(store, features, target, labels, valid, progress)
    elif target.suffix == ".npz":
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".export-") as folder, atomic_path(target) as temporary:
            _export_folder(store, features, Path(folder), labels, valid, progress)
            with zipfile.ZipFile(temporary, "w") as archive:  # which is all that an .npz is
                for file in sorted(Path(folder).iterdir()):
                    archive.write(file, file.name)
    elif target.suffix in ("", "."):
        target.mkdir(parents=True, exist_ok=True)
        _export_folder(store, features, target, labels, valid, progress)
    else:
        raise UsageError(f"{target.name} has no known form.", "Name a file .npz or .mat, or a folder for .npy files.")
    return target


def _export_folder(
    store: FeatureStore,
    features: Sequence[str],
    folder: Path,
    labels: Int64[np.ndarray, " images"] | None,
    valid: Bool[np.ndarray, " rows"],
    progress: Progress,
) -> None:
    for feature in features:
        array = store.arrays[feature]
        dtype = np.float32 if array.dtype == "int8" else array.numpy_dtype
        shape = (store.rows, *array.row_shape)
        with atomic_path(folder / f"{feature}.npy") as temporary:
            out = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
            for rows in _shards(store, feature, progress):
                keep = valid[rows]
                out[rows[keep]] = store.read(feature, rows[keep])
                out[rows[~keep]] = np.nan
            out.flush()
            del out
    tables = {"valid": valid, "image_names": np.array(store.image_names, dtype=np.str_)}
    for name, table in (tables | ({} if labels is None else {"labels": labels})).items():
        with atomic_path(folder / f"{name}.npy") as temporary, open(temporary, "wb") as file:
            np.save(file, table, allow_pickle=False)


def _export_mat(
    store: FeatureStore,
    features: Sequence[str],
    target: Path,
    labels: Int64[np.ndarray, " images"] | None,
    valid: Bool[np.ndarray, " rows"],
    progress: Progress,
) -> None:
    from scipy.io import savemat

    if len(features) != 1 or len(store.arrays[features[0]].row_shape) != 1:
        raise UsageError(f"A .mat holds one vector per image, not {', '.join(features)}.", "Export global, or to .npz.")
    if labels is None:
        raise DataError("A .mat holds the labels of its images.", "Prepare the dataset first, or export to .npz.")
    shape = (store.arrays[features[0]].row_shape[0], store.rows)
    if 4 * shape[0] * shape[1] >= MAT_LIMIT:
        raise DataError(f"{shape[1]} images are too many for one .mat file.", "Export to .npz.")
    table = np.full(shape, np.nan, np.float32)
    for rows in _shards(store, features[0], progress):
        keep = rows[valid[rows]]
        table[:, keep] = store.read(features[0], keep).T
    names = np.empty((store.rows, 1), object)
    names[:, 0] = store.image_names
    document = {"features": table, "labels": labels[:, None] + 1.0, "image_files": names, "valid": valid[:, None]}
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary, open(temporary, "wb") as file:
        savemat(file, document, do_compression=True)


def _shards(store: FeatureStore, feature: str, progress: Progress) -> Iterator[Int64[np.ndarray, " rows"]]:
    """The rows of every shard in turn; a damaged shard is refused, lest the copy hide the damage."""
    size = store.spec.shard_rows
    with progress.task(f"Exporting {feature}", store.shards, "shards") as task:
        for shard in range(store.shards):
            if store.complete([feature])[shard]:
                require_intact(store, store.arrays_of(feature), shard)
            yield np.arange(shard * size, min((shard + 1) * size, store.rows))
            task.advance()
