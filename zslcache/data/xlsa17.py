"""The field's own files: `att_splits.mat` (classes, attributes, proposed split) and `res101.mat` (features, labels).

Indices and labels in them count from 1, and images are numbered in an order the files do not state; see benchmarks.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Float64, Int64

from zslcache.data.matfile import MatError, read_mat
from zslcache.data.split import Indices, Split, draw_val_classes
from zslcache.errors import DataError, NotFoundError

_ATT = ("allclasses_names", "att", "original_att")
_PARTS = ("trainval_loc", "test_seen_loc", "test_unseen_loc")
_VALIDATION = ("train_loc", "val_loc")
_HUGE = 1e30  # nothing that means anything is larger, and single precision still holds it


@dataclass(frozen=True, eq=False)
class SplitFile:
    """What `att_splits.mat` says; row i of `class_attributes` belongs to class i of `class_folders`."""

    path: Path
    class_folders: tuple[str, ...]  # as written: 001.Black_footed_Albatross, grizzly+bear; empty when the file has none
    class_attributes: Float32[np.ndarray, "classes attributes"]
    trainval: Indices
    test_seen: Indices
    test_unseen: Indices
    train: Indices | None
    val: Indices | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in words: `001.` prefixes, `+` and `_` removed."""
        if not self.class_folders:
            return tuple(f"class {number}" for number in range(1, len(self.class_attributes) + 1))
        return tuple(clean_class_name(folder) for folder in self.class_folders)

    @property
    def images(self) -> int:
        """How many images the file counts: the largest index it names, plus one."""
        return 1 + max(int(part[-1]) for part in (self.trainval, self.test_seen, self.test_unseen))

    def split(self, labels: Int64[np.ndarray, " images"], val_classes: int, seed: int = 0) -> Split:
        """The split over images with these labels; `val_classes` are drawn from `seed` if the file names none."""
        if self.images > len(labels):
            raise _bad(self.path, f"it counts {self.images} images, but there are only {len(labels)}")
        if self.train is None or self.val is None:
            seen = np.unique(labels[self.trainval])
            chosen = draw_val_classes(seen, min(val_classes, len(seen) - 1), seed)
            split = Split.of_classes(labels, self.trainval, self.test_seen, self.test_unseen, chosen)
        else:
            seen, unseen = np.unique(labels[self.trainval]), np.unique(labels[self.test_unseen])
            split = Split(self.trainval, self.train, self.val, self.test_seen, self.test_unseen, seen, unseen)
        split.check(labels)
        return split


@dataclass(frozen=True, eq=False)
class ImageList:
    """The images of `res101.mat` in the order that the split's indices count, with their labels (from 0)."""

    files: tuple[str, ...]
    labels: Int64[np.ndarray, " images"]


def clean_class_name(folder: str) -> str:
    """`001.Black_footed_Albatross` -> `Black footed Albatross`, `grizzly+bear` -> `grizzly bear`."""
    return re.sub(r"[+_\s]+", " ", re.sub(r"^\d+\.", "", folder)).strip()


def read_splits(path: Path) -> SplitFile:
    """Read `att_splits.mat`; train and val are cut down to trainval, because the distributed ones hold test images."""
    content = _load(path, (*_ATT, *_PARTS, *_VALIDATION))
    if "original_att" in content:
        attributes = _raw_strengths(_matrix(path, content["original_att"]))
    elif "att" in content:
        attributes = _matrix(path, content["att"]).astype(np.float32)
    else:
        raise _bad(path, "it has neither original_att nor att", "Is it an att_splits.mat of the xlsa17 archive?")
    folders = _texts(path, "allclasses_names", content["allclasses_names"]) if "allclasses_names" in content else ()
    if folders and len(folders) != len(attributes):
        raise _bad(path, f"it names {len(folders)} classes but has attributes of {len(attributes)}")
    trainval, test_seen, test_unseen = (_indices(path, name, content) for name in _PARTS)
    train = val = None
    if all(name in content for name in _VALIDATION):
        train, val = (np.intersect1d(_indices(path, name, content), trainval) for name in _VALIDATION)
        tests = np.concatenate([test_seen, test_unseen])
        if np.isin(train, tests).any() or np.isin(val, tests).any():
            raise _bad(path, "its trainval_loc holds test images")
    return SplitFile(path, folders, attributes, trainval, test_seen, test_unseen, train, val)


def read_image_list(path: Path) -> ImageList:
    """The image files and labels of a `res101.mat`, without its features."""
    return _image_list(path, _load(path, ("labels", "image_files")))


def read_features(
    path: Path,
) -> tuple[Float32[np.ndarray, "images features"], Int64[np.ndarray, " images"], tuple[str, ...]]:
    """The features of a `res101.mat`, one row an image, with the labels (from 0) and files of the rows."""
    content = _load(path, ("features", "labels", "image_files"))
    images = _image_list(path, content)
    features = content.get("features")
    if features is None or features.dtype.kind not in "fiu" or features.ndim != 2:
        raise _bad(path, "it has no matrix called features")
    if not np.all(np.abs(features) < _HUGE):
        raise _bad(path, "some of its features are not finite numbers")
    rows = np.ascontiguousarray(features.T, dtype=np.float32)  # the file's columns are images
    if len(rows) != len(images.files):
        raise _bad(path, f"it has features of {len(rows)} images but names {len(images.files)}")
    return rows, images.labels, images.files


def read_texts(path: Path, name: str) -> tuple[str, ...]:
    """The list of texts called `name` in a MATLAB file."""
    content = _load(path, (name,))
    if name not in content:
        raise _bad(path, f"it has no {name}")
    return _texts(path, name, content[name])


def _load(path: Path, names: Sequence[str]) -> Mapping[str, np.ndarray]:
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", "Give an att_splits.mat or res101.mat of the xlsa17 archive.")
    try:
        return read_mat(path, names)
    except MatError as error:
        raise _bad(path, str(error), "Download it again.") from error


def _image_list(path: Path, content: Mapping[str, np.ndarray]) -> ImageList:
    if "labels" not in content or "image_files" not in content:
        raise _bad(path, "it has no labels and image_files", "Is it a res101.mat of the xlsa17 archive?")
    labels, files = _from_one(path, "labels", content["labels"]), _texts(path, "image_files", content["image_files"])
    if len(labels) != len(files):
        raise _bad(path, f"it has {len(labels)} labels for {len(files)} image files")
    return ImageList(_distinct(files), labels)


def _distinct(files: Sequence[str]) -> tuple[str, ...]:
    """Rows of aPY are boxes, several in one photograph: the second one of x.jpg becomes x.jpg#2."""
    seen: Counter[str] = Counter()
    names = []
    for file in files:
        seen[file] += 1
        names.append(file if seen[file] == 1 else f"{file}#{seen[file]}")
    return tuple(names)


def _matrix(path: Path, att: np.ndarray) -> Float64[np.ndarray, "classes attributes"]:
    if att.ndim != 2 or att.dtype.kind not in "fiu" or not att.size or not np.all(np.abs(att) < _HUGE):
        raise _bad(path, "its class attributes are not a matrix of finite numbers")
    return att.T.astype(np.float64)  # the file's columns are classes


def _raw_strengths(rows: Float64[np.ndarray, "classes attributes"]) -> Float32[np.ndarray, "classes attributes"]:
    """Strengths in 0..1, also where the file has percentages; its -1, which marks missing values, becomes 0."""
    if np.all((rows >= 0) | (rows == -1)):
        rows = np.maximum(rows, 0)
        if 1 < rows.max() <= 100:
            rows = rows / 100
    return rows.astype(np.float32)


def _indices(path: Path, name: str, content: Mapping[str, np.ndarray]) -> Indices:
    if name not in content:
        raise _bad(path, f"it has no {name}", "Is it an att_splits.mat of the xlsa17 archive?")
    indices = np.sort(_from_one(path, name, content[name]))
    if not len(indices) or np.any(indices[1:] == indices[:-1]):
        raise _bad(path, f"its {name} is empty or names an image twice")
    return indices


def _from_one(path: Path, name: str, array: np.ndarray) -> Indices:
    """Whole numbers that count from 1, as int64 that count from 0 (cast first: the file's uint16 would wrap)."""
    flat = array.ravel()
    if flat.dtype.kind not in "fiu" or not np.isfinite(flat).all() or np.any(flat != np.floor(flat)):
        raise _bad(path, f"its {name} are not whole numbers")
    if len(flat) and not 1 <= flat.min() <= flat.max() < 2**31:
        raise _bad(path, f"its {name} must count from 1, but they span {flat.min()} to {flat.max()}")
    return flat.astype(np.int64) - 1


def _texts(path: Path, name: str, cells: np.ndarray) -> tuple[str, ...]:
    """The strings of a column of cells, each of which is an array of one string."""
    texts = [np.asarray(cell).ravel() for cell in cells.ravel()]
    if not texts or any(len(text) != 1 or text.dtype.kind != "U" or not text[0].strip() for text in texts):
        raise _bad(path, f"its {name} are not a list of texts")
    return tuple(str(text[0]).strip() for text in texts)


def _bad(path: Path, problem: str, hint: str = "") -> DataError:
    return DataError(f"{path} cannot be used: {problem}.", hint)
