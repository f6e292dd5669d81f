"""Which images a practitioner's folder holds: found in class sub-folders, or listed in images.csv."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from zslcache.data.spreadsheet import UNSEEN, ClassSheet
from zslcache.data.table import Row, Table, read_table
from zslcache.errors import DataError
from zslcache.files import check_relative
from zslcache.progress import Progress

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
TRAINVAL = frozenset({"trainval", "train", "val"})
PARTS = ("trainval", "train", "val", "test_seen", "test_unseen")


@dataclass(frozen=True, order=True)
class Entry:
    """One image: its path in the folder, its class, and the part of the split it was given (or "")."""

    path: bytes  # UTF-8: entries sort byte by byte on every machine
    label: int
    part: str = ""


def find_images(root: Path, sheet: ClassSheet, problems: list[str], progress: Progress) -> list[Entry]:
    """The images in the sub-folders of `root` that are named like the classes, sorted by path."""
    label_of = {name: label for label, name in enumerate(sheet.names)}
    for name, where in zip(sheet.names, sheet.where, strict=True):
        if "/" in name or "\\" in name or name in (".", ".."):
            problems.append(f"{where}: class {name!r} cannot be the name of a sub-folder; rename it or list the images")
    entries: list[Entry] = []
    loose = 0
    top = _listing(root, problems)
    inside = frozenset({os.path.realpath(root)})
    with progress.task("Looking for images", len(top), "folders") as task:
        for item in top:
            if item.is_dir():
                paths = list(_walk(item.path, inside, problems))
                label = label_of.get(normalize("NFC", item.name))
                if label is not None:
                    entries += [Entry(path, label) for path in _relative(root, paths, problems)]
                elif paths:
                    close = get_close_matches(item.name, sheet.names, n=1)
                    near = f"; is it class {close[0]!r}?" if close else ""
                    problems.append(f"folder {item.name!r} holds {len(paths)} images but is no class{near}")
            else:
                loose += _is_image(item.name)
            task.advance()
    if loose:
        problems.append(f"{loose} images lie directly in {str(root)!r}, expected them in a sub-folder for each class")
    _no_class_without(entries, sheet, "images, expected some in its sub-folder", problems)
    return sorted(entries)


def list_images(root: Path, path: Path, sheet: ClassSheet, problems: list[str]) -> list[Entry]:
    """The images that the table `path` lists, sorted by path, with the part it gives to each."""
    table = read_table(path, ("image", "class", "split"), problems)
    if table is None:
        return []
    entries = _entries(root, table, sheet, problems)
    fit = [entry for entry in entries if entry.part in TRAINVAL]
    _no_class_without(entries, sheet, f"images in {path.name}", problems)
    kinds = {entry.part for entry in fit}
    if kinds not in ({"trainval"}, {"train", "val"}):
        problems.append(
            f"{path.name}: the images to learn from are called {', '.join(sorted(kinds)) or 'nothing'}, expected "
            "either all trainval (validation classes are then drawn) or both train and val"
        )
    both = {e.label for e in fit if e.part == "train"} & {e.label for e in fit if e.part == "val"}
    problems += [
        f"{path.name}: class {sheet.names[label]!r} is in train and in val, expected every class in one of them"
        for label in sorted(both)
    ]
    tested = {entry.label for entry in entries if entry.part == "test_seen"}
    problems += [
        f"{path.name}: seen class {sheet.names[label]!r} is in test_seen but has no images to learn from"
        for label in sorted(tested - {entry.label for entry in fit})
    ]
    return sorted(entries)


def _entries(root: Path, table: Table, sheet: ClassSheet, problems: list[str]) -> list[Entry]:
    label_of = {name: label for label, name in enumerate(sheet.names)}
    first: dict[str, Row] = {}
    entries = []
    for row in table.rows:
        image, name, part = row.cells["image"], normalize("NFC", row.cells["class"]), row.cells["split"].lower()
        label = label_of.get(name)
        before = len(problems)
        try:
            image = PurePosixPath(check_relative(image)).as_posix()
        except DataError as error:
            problems.append(f"{row.where}: {error.message}")
        else:
            if image in first:
                problems.append(f"{row.where}: image {image!r} is there twice, first at {first[image].where}")
            elif not (root / image).is_file():
                problems.append(f"{row.where}: image {image!r} is not in the image folder")
            first.setdefault(image, row)
        if label is None:
            problems.append(f"{row.where}: class {name!r} is not in the classes file")
        if part not in PARTS:
            problems.append(f"{row.where}: split is {row.cells['split']!r}, expected one of {', '.join(PARTS)}")
        elif label is not None and (part == "test_unseen") != (sheet.kinds[label] == UNSEEN):
            problems.append(f"{row.where}: {sheet.kinds[label]} class {name!r} cannot be in {part}")
        if label is not None and len(problems) == before:
            entries.append(Entry(image.encode(), label, part))
    return entries


def _no_class_without(entries: Sequence[Entry], sheet: ClassSheet, what: str, problems: list[str]) -> None:
    present = {entry.label for entry in entries}
    problems += [
        f"{sheet.where[label]}: class {name!r} has no {what}"
        for label, name in enumerate(sheet.names)
        if label not in present
    ]


def _is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES


def _listing(folder: str | Path, problems: list[str]) -> list[os.DirEntry[str]]:
    """What is in `folder`, without hidden things."""
    try:
        with os.scandir(folder) as items:
            return [item for item in items if not item.name.startswith(".")]
    except OSError as error:
        problems.append(f"folder {str(folder)!r} cannot be read: {error.strerror}")
        return []


def _walk(folder: str, above: frozenset[str], problems: list[str]) -> Iterator[str]:
    """Paths of all images below `folder`; follows links, but never back to a folder it is already inside."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for item in _listing(folder, problems):
        if item.is_dir():
            yield from _walk(item.path, above | {real}, problems)
        elif _is_image(item.name):
            yield item.path


def _relative(root: Path, paths: Sequence[str], problems: list[str]) -> Iterator[bytes]:
    for path in paths:
        name = PurePosixPath(*Path(path).relative_to(root).parts).as_posix()
        try:
            yield check_relative(name).encode()
        except (DataError, UnicodeEncodeError):
            problems.append(f"image {os.fsencode(name)!r}: its name holds a line break or is not UTF-8; rename it")
