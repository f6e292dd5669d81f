"""Finds the parts of an official download, and tells whether the image folder holds exactly what was published."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zslcache.data.benchmark_specs import Benchmark
from zslcache.data.download import download
from zslcache.data.unpack import unpack
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.progress import SILENT, Progress

_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Sources:
    """Where the parts of a benchmark are; there are images, or features, or both."""

    images: Path | None
    splits: Path
    features: Path | None


def fetch(spec: Benchmark, root: Path, progress: Progress = SILENT) -> None:
    """Download the official archives into `root` and unpack them there, each into a folder of its name."""
    for archive in (*spec.archives, spec.split_archive):
        file = download(archive.url, root / archive.name, md5=archive.md5, progress=progress)
        unpack(file, root / archive.stem, progress)


def locate(spec: Benchmark, root: Path | None, splits: Path | None, features: Path | None) -> Sources:
    """The images below or around `root`, and the two .mat files: those that were named, or else the nearest ones."""
    by_features = f"zslcache prepare {spec.name} --splits att_splits.mat --features res101.mat"
    if root is None and not (splits and features):
        raise UsageError(
            f"prepare {spec.name} needs the folder of the official download, or the published features.",
            f"zslcache prepare {spec.name} --root DIR   or   {by_features}",
        )
    images = image_folder(spec, root) if root and spec.folder else None
    around = [root] if root else []
    around += [images, *images.parents[:2]] if images else []
    if splits is None or splits.is_dir():
        around = [splits] if splits else around
        splits = find_mat(spec, around, "att_splits.mat")
    features = features or find_mat(spec, [splits.parent, *around] if splits else around, "res101.mat")
    if images is None and features is None:
        raise NotFoundError(
            f"The images of {spec.title} cannot be prepared, only its published features: the images are boxes cut out "
            "of larger photographs, and only res101.mat says in which order.",
            f"{by_features}   (both are in {spec.split_archive.url})",
        )
    if splits is None:
        raise NotFoundError(
            f"att_splits.mat of {spec.title} is not at {around[0]}.",
            f"Get {spec.split_archive.url}, unpack it, add --splits {spec.splits}/att_splits.mat; or add --download.",
        )
    return Sources(images, splits, features)


def image_folder(spec: Benchmark, root: Path) -> Path:
    """The image folder, also when `root` is a folder around it, a part of the official path, or a folder inside it."""
    if not root.is_dir():
        raise NotFoundError(f"There is no folder {root}.", "Give the folder into which the download was unpacked.")
    tails = [Path(*spec.folder[start:]) for start in range(len(spec.folder) + 1)]
    below = sorted(path for path in root.iterdir() if path.is_dir())
    candidates = [base / tail for base in (root, *below) for tail in tails] + list(root.parents[:3])
    for candidate in candidates:
        if (candidate / spec.probe).exists():
            return candidate
    raise NotFoundError(
        f"{root} does not hold the images of {spec.title}: there is no {'/'.join(spec.folder)}/{spec.probe} in it.",
        f"Unpack {' and '.join(archive.url for archive in spec.archives)} there, or add --download.",
    )


def find_mat(spec: Benchmark, around: Sequence[Path], name: str) -> Path | None:
    """The first `name` in these folders, or where the split archive puts it below them."""
    stem = spec.split_archive.stem
    inside = f"{stem}/data/{spec.splits}"  # of the archive; unpacking may have put a folder of its name around it
    below = ("", spec.splits, f"data/{spec.splits}", inside, f"{stem}/{inside}")
    return next((path for base in around for place in below if (path := base / place / name).is_file()), None)


def image_names(folder: Path, progress: Progress = SILENT) -> tuple[str, ...]:
    """Every image file below `folder`, in the order in which the split files count."""
    found: list[str] = []
    with progress.task(f"Listing {folder}", None, "images") as task:
        for place, folders, files in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = Path(place).relative_to(folder)
            images = [f for f in files if f.lower().endswith(_SUFFIXES) and not f.startswith(".")]
            found += [(inside / name).as_posix() for name in images]
            task.advance(len(images))
    return official_order(found)


def official_order(names: Sequence[str]) -> tuple[str, ...]:
    """Sorted byte by byte: how AwA2, CUB and SUN number their images, whatever their own lists say."""
    return tuple(sorted(names, key=os.fsencode))


def check_names(spec: Benchmark, folder: Path, names: Sequence[str]) -> None:
    """Raise unless these are exactly the official images of the folder, and say which are missing or surplus."""
    digest = hashlib.sha256(b"".join(os.fsencode(name) + b"\n" for name in names)).hexdigest()
    if digest == spec.names_sha256:
        return
    problems = [f"{len(names)} images instead of {spec.images}"] if len(names) != spec.images else []
    if (listed := spec.listed(folder)) is not None:
        problems += [f"missing: {name}" for name in sorted(set(listed) - set(names))]
        problems += [f"surplus: {name}" for name in sorted(set(names) - set(listed))]
    elif spec.class_of and spec.images % spec.classes == 0:  # then every class has as many
        usual = spec.images // spec.classes
        counts = sorted(Counter(map(spec.class_of, names)).items())
        problems += [f"{count} images of {name} instead of {usual}" for name, count in counts if count != usual]
    if problems or spec.names_sha256:
        raise DataError(
            f"{folder} does not hold {spec.title} as it was published:",
            "Move surplus files away, and unpack the archive again to bring back missing or renamed ones.",
            problems or ["some images have other names"],
        )
