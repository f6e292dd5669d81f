"""Makes the public benchmarks ready: finds an official download, checks it whole, and registers it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int64

from zslcache.data import registry
from zslcache.data.benchmark_files import check_names, fetch, image_names, locate
from zslcache.data.benchmark_specs import Benchmark, find_benchmark
from zslcache.data.dataset import Dataset
from zslcache.data.images import FolderImages
from zslcache.data.matching import match_names
from zslcache.data.semantics import Semantics
from zslcache.data.xlsa17 import ImageList, SplitFile, read_image_list, read_splits
from zslcache.errors import DataError, NotFoundError
from zslcache.files import sha256_file
from zslcache.home import Home
from zslcache.progress import SILENT, Progress


def prepare_benchmark(
    home: Home,
    name: str,
    root: Path | None = None,
    splits: Path | None = None,
    features: Path | None = None,
    download: bool = False,
    seed: int = 0,
    progress: Progress = SILENT,
) -> Dataset:
    """Check the official download at `root`, number its images as the split file does, and register the dataset.

    att_splits.mat and res101.mat are looked for around `root` unless they are named. Without `root` these two files
    make a dataset for imported features; its images are names only. `seed` draws the validation classes of split files
    that name none.
    """
    spec = find_benchmark(name)
    if download:
        root = (root or home.downloads / name).absolute()
        fetch(spec, root, progress)
    sources = locate(spec, root.absolute() if root else None, splits, features)
    split_file = _checked_splits(spec, sources.splits)
    listed = read_image_list(sources.features) if sources.features else None
    attribute_names = None
    if sources.images is not None:
        names = image_names(sources.images, progress)
        check_names(spec, sources.images, names)
        names, labels = _in_split_order(spec, names, split_file, listed)
        images = FolderImages(sources.images, names)
        attribute_names = spec.attribute_names(sources.images)
    else:
        assert listed is not None
        # Leading folders of another machine stay: imported features are matched by the ends of these names.
        names = tuple("/".join(part for part in file.split("/") if part) for file in listed.files)
        images, labels = FolderImages(registry.folder(home, name) / "no-images", names), listed.labels
    dataset = _dataset(spec, images, labels, split_file, attribute_names, seed)
    registry.register(home, dataset)
    return dataset


def _checked_splits(spec: Benchmark, path: Path) -> SplitFile:
    split_file = read_splits(path)
    found = (split_file.images, *split_file.class_attributes.shape)
    if found != (spec.images, spec.classes, spec.attributes):
        raise DataError(
            f"{path} is not the split file of {spec.title}: it has {found[0]} images, {found[1]} classes and "
            f"{found[2]} attributes, not {spec.images}, {spec.classes} and {spec.attributes}.",
            f"The right one is data/{spec.splits}/att_splits.mat of {spec.split_archive.url}",
        )
    return split_file


def _in_split_order(
    spec: Benchmark, names: tuple[str, ...], split_file: SplitFile, listed: ImageList | None
) -> tuple[tuple[str, ...], Int64[np.ndarray, " images"]]:
    """The images as the split counts them, with labels: from res101.mat if there is one, else by name and folder."""
    if listed is not None:
        names = _in_listed_order(names, listed)
    if spec.class_of is None:
        if listed is None:
            raise NotFoundError(
                f"{spec.title} needs res101.mat beside its split file: nothing else says which class an image is of.",
                f"It is in {spec.split_archive.url}; add --features res101.mat",
            )
        return names, listed.labels
    number = {folder: index for index, folder in enumerate(split_file.class_folders)}
    folders = [spec.class_of(name) for name in names]
    if unknown := sorted(set(folders) - set(number)):
        raise DataError(
            f"{split_file.path} does not know these classes:", "It is the split file of another dataset.", unknown
        )
    labels = np.array([number[folder] for folder in folders], dtype=np.int64)
    if listed is not None and not np.array_equal(labels, listed.labels):
        first = int(np.flatnonzero(labels != listed.labels)[0])
        raise DataError(f"res101.mat gives {names[first]} another class than its folder.")
    return names, labels


def _in_listed_order(names: tuple[str, ...], listed: ImageList) -> tuple[str, ...]:
    places = match_names(listed.files, names)
    problems = [f"not in the folder: {listed.files[row]}" for row in np.flatnonzero(places < 0)]
    problems += [f"not in res101.mat: {names[place]}" for place in np.setdiff1d(np.arange(len(names)), places)]
    if problems or len(listed.files) != len(names):
        raise DataError(
            f"res101.mat lists {len(listed.files)} images, the folder holds {len(names)}, and they are not the same:",
            "Take res101.mat and the images of the same release.",
            problems,
        )
    return tuple(names[place] for place in places)


def _dataset(
    spec: Benchmark,
    images: FolderImages,
    labels: Int64[np.ndarray, " images"],
    split_file: SplitFile,
    attribute_names: tuple[str, ...] | None,
    seed: int,
) -> Dataset:
    if len(labels) != spec.images or labels.max() >= spec.classes:
        raise DataError(f"res101.mat has {len(labels)} images of {labels.max() + 1} classes; {spec.title} does not.")
    split = split_file.split(labels, spec.val_classes, seed)
    if attribute_names is None or len(attribute_names) != spec.attributes:
        attribute_names = tuple(f"attribute {number}" for number in range(1, spec.attributes + 1))
    semantics = Semantics(
        class_names=split_file.class_names,
        class_attributes=split_file.class_attributes,
        attribute_names=attribute_names,
        attribute_groups=spec.attribute_groups,
        seen=split.seen,
        unseen=split.unseen,
    )
    drawn = split_file.train is None or split_file.val is None
    provenance = {
        "benchmark": spec.title,
        "splits_sha256": sha256_file(split_file.path),
        "validation": f"{spec.val_classes} classes drawn with seed {seed}" if drawn else "from the split file",
    }
    return Dataset(spec.name, images, labels, semantics, split, provenance)
