"""Menagerie as a dataset: drawn into the home once, with its split, semantics and truth."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt8

from zslcache.data import registry
from zslcache.data.dataset import Dataset, InstanceTruth
from zslcache.data.images import FolderImages
from zslcache.data.menagerie import png
from zslcache.data.menagerie.painting import VERSION, paint
from zslcache.data.menagerie.raster import SIDE
from zslcache.data.menagerie.species import Species, real_species
from zslcache.data.menagerie.table import UNSEEN
from zslcache.data.menagerie.vocabulary import GROUPS, NAMES, word_vectors
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split, draw_val_classes, stratified
from zslcache.errors import DataError, UsageError
from zslcache.home import Home
from zslcache.progress import SILENT, Progress

NAME = "menagerie"
_VAL_CLASSES = 10
_TEST_SHARE = 0.2


def draw(
    count_per_class: int = 60, seed: int = 0, species: Sequence[Species] | None = None
) -> tuple[UInt8[np.ndarray, "images side side 3"], Int64[np.ndarray, " images"], InstanceTruth]:
    """Pixels, labels and truth of the real species (or of those given), class by class.

    All of it is in memory, 27 KiB an image: `paint` draws images one at a time.
    """
    chosen = real_species() if species is None else species
    labels = np.repeat(np.arange(len(chosen)), count_per_class)
    pixels = np.empty((len(labels), SIDE, SIDE, 3), dtype=np.uint8)
    truth = _empty_truth(len(labels))
    for row, label in enumerate(labels.tolist()):
        painting = paint(chosen[label], row % count_per_class, seed)
        pixels[row], truth.attributes[row], truth.boxes[row] = painting.pixels, painting.attributes, painting.boxes
    return pixels, labels, truth


def prepare_menagerie(home: Home, size: int = 60, seed: int = 0, progress: Progress = SILENT) -> Dataset:
    """Draw `size` images of each of the 50 classes into the home and register them; reuses what is already there."""
    if size < 3:
        raise UsageError(
            f"Menagerie cannot have {size} images a class.", "Ask for 3 or more: a fifth, rounded, is for testing."
        )
    provenance = {"source": "drawn by zslcache", "size": str(size), "seed": str(seed), "drawing": str(VERSION)}
    if (ready := _ready(home, provenance)) is not None:
        return ready
    target = registry.folder(home, NAME)
    (target / registry.MANIFEST).unlink(missing_ok=True)  # until the end there is no dataset rather than a mixed one
    shutil.rmtree(target / "images", ignore_errors=True)
    names = [f"{one.name.replace(' ', '_')}/{number:03}.png" for one in real_species() for number in range(size)]
    truth = _empty_truth(len(names))
    with progress.task("drawing menagerie", len(names), "images") as task:
        for row, name in enumerate(names):
            painting = paint(real_species()[row // size], row % size, seed)
            path = target / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png.encode(painting.pixels))
            truth.attributes[row], truth.boxes[row] = painting.attributes, painting.boxes
            task.advance()
    dataset = _dataset(FolderImages(target / "images", tuple(names)), size, seed, truth, provenance)
    registry.register(home, dataset)
    return dataset


def _ready(home: Home, provenance: dict[str, str]) -> Dataset | None:
    """The registered dataset, if it was drawn with just these settings and all its files are there."""
    if NAME not in registry.names(home):
        return None
    try:
        dataset = registry.load(home, NAME)
    except DataError:
        return None
    bytes_of_one = len(png.encode(np.zeros((SIDE, SIDE, 3), dtype=np.uint8)))
    assert isinstance(dataset.images, FolderImages)
    paths = [dataset.images.root / name for name in dataset.images.names]
    whole = all(path.is_file() and path.stat().st_size == bytes_of_one for path in paths)
    return dataset if whole and dict(dataset.provenance) == provenance else None


def _empty_truth(count: int) -> InstanceTruth:
    attributes, boxes = np.zeros((count, len(NAMES)), dtype=bool), np.zeros((count, len(NAMES), 4), dtype=np.int16)
    return InstanceTruth(attributes, boxes)


def _dataset(images: FolderImages, size: int, seed: int, truth: InstanceTruth, provenance: dict[str, str]) -> Dataset:
    labels = np.repeat(np.arange(len(real_species())), size)
    split = split_of(labels, seed)
    return Dataset(NAME, images, labels, _semantics(split), split, provenance, truth)


def split_of(labels: Int64[np.ndarray, " images"], seed: int) -> Split:
    """Ten fixed unseen classes; of every seen class a fifth for testing; ten seen classes for validation."""
    unseen = [row for row, species in enumerate(real_species()) if species.name in UNSEEN]
    is_unseen = np.isin(labels, unseen)
    trainval, test_seen = stratified(labels, np.flatnonzero(~is_unseen), _TEST_SHARE, seed)
    val_classes = draw_val_classes(np.unique(labels[~is_unseen]), _VAL_CLASSES, seed)
    return Split.of_classes(labels, trainval, test_seen, np.flatnonzero(is_unseen), val_classes)


def _semantics(split: Split) -> Semantics:
    return Semantics(
        class_names=tuple(species.name for species in real_species()),
        class_attributes=np.stack([species.attributes for species in real_species()]),
        attribute_names=NAMES,
        seen=split.seen,
        unseen=split.unseen,
        attribute_groups=GROUPS,
        attribute_vectors=word_vectors(),
    )
