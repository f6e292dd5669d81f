"""A practitioner's own data: a folder of images and a spreadsheet of class attributes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from zslcache.data import registry
from zslcache.data.dataset import Dataset, FolderImages, Indices, Semantics, Split, draw_val_classes, stratified
from zslcache.data.folder_images import TRAINVAL, Entry, find_images, list_images
from zslcache.data.spreadsheet import SEEN, ClassSheet, read_attributes, read_classes
from zslcache.data.wordvectors import attribute_vectors, fill_rows
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
    problems: list[str] = []
    sheet = read_classes(classes, problems)
    if sheet is None:
        raise _refusal(name, problems)
    groups, vectors = read_attributes(attributes, sheet.attribute_names, problems) if attributes else ((), None)
    if vectors is not None and word_vectors is not None:
        raise UsageError(f"{attributes} has vectors, and word vectors are given too.", "Give one of the two.")
    if images_csv:
        entries = list_images(images, images_csv, sheet, problems)
    else:
        entries = find_images(images, sheet, problems, progress)
    if problems:
        raise _refusal(name, problems)
    for pair in _twins(sheet):
        progress.line(f"Note: {pair} have the same attributes; no method can tell them apart.")

    labels = np.array([entry.label for entry in entries], dtype=np.int64)
    split = _split(entries, labels, sheet, seed)
    if not len(split.test_seen):
        raise _refusal(name, ["no image is left for test_seen: at least one seen class needs 3 images"])
    provenance = {"source": "folder", "seed": str(seed)}
    provenance |= {path.name: f"sha256:{sha256_file(path)}" for path in (classes, attributes, images_csv) if path}
    if word_vectors is not None:
        vectors, report = attribute_vectors(sheet.attribute_names, word_vectors, progress)
    elif vectors is not None:
        vectors, report = fill_rows(sheet.attribute_names, vectors, str(attributes))
    else:
        report = None
    if report is not None:
        provenance["attribute_vectors"] = report.source
        for fill in report.fills:
            progress.line(f"Note: {fill}.")
    dataset = Dataset(
        name=name,
        images=FolderImages(images.absolute(), tuple(entry.path.decode() for entry in entries)),
        labels=labels,
        semantics=Semantics(
            class_names=sheet.names,
            class_attributes=sheet.attributes,
            attribute_names=sheet.attribute_names,
            attribute_groups=groups,
            attribute_vectors=vectors,
            seen=split.seen,
            unseen=split.unseen,
        ),
        split=split,
        provenance=provenance,
    )
    registry.register(home, dataset)
    return dataset


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


def _split(entries: Sequence[Entry], labels: Indices, sheet: ClassSheet, seed: int) -> Split:
    """The parts that images.csv names; else a share of every seen class's images is test_seen."""
    seen = np.flatnonzero([kind == SEEN for kind in sheet.kinds])
    parts = np.array([entry.part for entry in entries])
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
