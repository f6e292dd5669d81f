"""A practitioner's own data: a folder of images and a spreadsheet of class attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zslcache.data import registry
from zslcache.data.dataset import Dataset
from zslcache.data.folder_images import TRAINVAL, Entry, find_images, list_images
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Indices, Split, draw_val_classes, stratified
from zslcache.data.spreadsheet import SEEN, ClassSheet, read_attributes, read_classes
from zslcache.data.wordvectors import AttributeVectors, attribute_vectors, fill_rows
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.files import check_name, sha256_file
from zslcache.home import Home
from zslcache.progress import Progress, Silent

TEST_SHARE = 0.2  # of the images of each seen class, as in the public benchmarks
VAL_SHARE = 0.25  # of the seen classes; the public benchmarks hold out 33 % (AwA2, CUB) and 10 % (SUN)


def prepare_folder(
    home: Home,
    name: str,
    images: Path,
    classes: Path,
    attributes: Path | None = None,
    images_csv: Path | None = None,
    word_vectors: Path | str | None = None,
    seed: int = 0,
    progress: Progress = Silent(),
) -> Dataset:
    """Check the folder and its tables, register them as dataset `name` and return it.

    Every inconsistency is reported, all of them in one `DataError`.
    """
    check_name("dataset", name)
    _must_exist(images, classes, attributes, images_csv)
    own = _read(name, images, classes, attributes, images_csv, progress)
    labels = np.array([entry.label for entry in own.entries], dtype=np.int64)
    split = _split(own, labels, seed)
    if not len(split.test_seen):
        raise _refusal(name, ["no image is left for test_seen: at least one seen class needs 3 images"])
    tables = {"classes": classes, "attributes": attributes, "images": images_csv}
    provenance = {"source": "folder", "seed": str(seed)}
    provenance |= {key: f"{path.name} sha256:{sha256_file(path)}" for key, path in tables.items() if path}
    if word_vectors is not None:
        provenance["attribute_vectors"] = str(word_vectors)
    dataset = Dataset(
        name=name,
        images=FolderImages(images.absolute(), tuple(entry.path.decode() for entry in own.entries)),
        labels=labels,
        semantics=Semantics(
            class_names=own.sheet.names,
            class_attributes=own.sheet.attributes,
            attribute_names=own.sheet.attribute_names,
            attribute_groups=own.groups,
            attribute_vectors=_vectors(own, word_vectors, progress),
            seen=split.seen,
            unseen=split.unseen,
        ),
        split=split,
        provenance=provenance,
    )
    registry.register(home, dataset)
    return dataset


@dataclass(frozen=True, eq=False)
class _Own:
    """What the folder and its tables say, after every check between them."""

    sheet: ClassSheet
    groups: tuple[str, ...]
    vectors: AttributeVectors | None
    entries: list[Entry]


def _read(
    name: str, images: Path, classes: Path, attributes: Path | None, images_csv: Path | None, progress: Progress
) -> _Own:
    problems: list[str] = []
    sheet = read_classes(classes, problems)
    if sheet is None:
        raise _refusal(name, problems)
    groups, vectors = read_attributes(attributes, sheet.attribute_names, problems) if attributes else ((), None)
    if images_csv:
        entries = list_images(images, images_csv, sheet, problems)
    else:
        entries = find_images(images, sheet, problems, progress)
    if problems:
        raise _refusal(name, problems)
    for pair in _twins(sheet):
        progress.line(f"Note: {pair} have the same attributes; no method can tell them apart.")
    return _Own(sheet, groups, vectors, entries)


def _vectors(own: _Own, source: Path | str | None, progress: Progress) -> AttributeVectors | None:
    names = own.sheet.attribute_names
    if own.vectors is not None and source is not None:
        raise UsageError("The attributes table has vectors, and word vectors are given too.", "Give one of the two.")
    if source is not None:
        vectors, report = attribute_vectors(names, source, progress)
    elif own.vectors is not None:
        vectors, report = fill_rows(names, own.vectors, "the attributes table")
    else:
        return None
    for fill in report.fills:
        progress.line(f"Note: {fill}.")
    return vectors


def _must_exist(images: Path, *tables: Path | None) -> None:
    if not images.is_dir():
        raise NotFoundError(f"There is no folder {images}.", "Give the folder that holds the images.")
    for path in tables:
        if path is not None and not path.is_file():
            raise NotFoundError(f"There is no file {path}.", "Give a table saved as CSV.")


def _refusal(name: str, problems: Sequence[str]) -> DataError:
    return DataError(f"Dataset {name} cannot be prepared:", "Mend these and run the command again.", problems)


def _twins(sheet: ClassSheet) -> list[str]:
    """Pairs of classes with the same attributes."""
    _, first, group = np.unique(sheet.attributes, axis=0, return_index=True, return_inverse=True)
    original = first[group.ravel()]
    return [
        f"{sheet.names[original[i]]!r} and {sheet.names[i]!r}"
        for i in np.flatnonzero(original != np.arange(len(group)))
    ]


def _split(own: _Own, labels: Indices, seed: int) -> Split:
    """The parts that images.csv names; else a share of every seen class's images is test_seen."""
    seen = np.flatnonzero([kind == SEEN for kind in own.sheet.kinds])
    parts = np.array([entry.part for entry in own.entries])
    val_classes = draw_val_classes(seen, min(max(round(len(seen) * VAL_SHARE), 1), len(seen) - 1), seed)
    if not parts.any():
        is_seen = np.isin(labels, seen)
        trainval, test_seen = stratified(labels, np.flatnonzero(is_seen), TEST_SHARE, seed)
        return Split.of_classes(labels, trainval, test_seen, np.flatnonzero(~is_seen), val_classes)
    if "val" in parts:
        val_classes = np.unique(labels[parts == "val"])
    return Split.of_classes(
        labels,
        np.flatnonzero(np.isin(parts, sorted(TRAINVAL))),
        np.flatnonzero(parts == "test_seen"),
        np.flatnonzero(parts == "test_unseen"),
        val_classes,
    )
