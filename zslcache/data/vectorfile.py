"""Word vectors in text files (GloVe, word2vec), read line by line: only the wanted words are kept."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from jaxtyping import Float32

from zslcache.errors import DataError
from zslcache.progress import Progress, Task

WordVector = Float32[np.ndarray, " dimensions"]

_LONGEST_LINE = 1 << 18
_MANY = 20  # this many malformed lines settle that the file is of another kind
_STEP = 10_000  # lines between two signs of progress


def read_text_vectors(path: Path, wanted: Collection[str], progress: Progress) -> dict[str, WordVector]:
    """The vectors of those of the `wanted` words that `path` has: one `word number number ...` a line.

    A first line `words dimensions` may precede them; of a word that is there twice the first counts.
    """
    known: dict[str, WordVector] = {}
    problems: list[str] = []
    try:
        with _open(path) as file, progress.task(f"Reading {path.name}", None, "lines") as task:
            _scan(_lines(file, task), {word.encode(): word for word in wanted}, known, problems)
    except (OSError, EOFError, zlib.error) as error:
        problems.append(f"cannot be read to its end: {error}")
    if problems:
        raise DataError(
            f"{path} is not a whole text file of word vectors:",
            "Expected a word and its numbers on each line, as GloVe and word2vec write them.",
            problems,
        )
    return known


def _scan(
    lines: Iterator[tuple[int, bytes]], wanted: dict[bytes, str], known: dict[str, WordVector], problems: list[str]
) -> None:
    number, first = next(lines, (0, b""))
    declared, dimension = _header(first)
    if not dimension:
        problems.append(f"line {number}: expected a word and its numbers" if number else "it is empty")
        return
    words = 0 if declared else _take(number, first, dimension, wanted, known, problems)
    for number, line in lines:
        words += _take(number, line, dimension, wanted, known, problems)
        if len(problems) >= _MANY:
            return
    if declared and words != declared:
        problems.append(f"line 1 announces {declared} words, but {words} follow: is the file cut off?")


def _take(
    number: int,
    line: bytes,
    dimension: int,
    wanted: dict[bytes, str],
    known: dict[str, WordVector],
    problems: list[str],
) -> int:
    """Keep the line's vector if its word is wanted; always 1, the number of words that the line holds."""
    blanks = line.count(b" ")
    word = wanted.get(line[: line.find(b" ")])
    if blanks < dimension:
        problems.append(f"line {number}: has {blanks} numbers, expected {dimension}")
    elif blanks == dimension and word is not None and word not in known:  # more blanks: a word with blanks inside
        vector = _numbers(line)
        if vector is None:
            problems.append(f"line {number}: {word!r} is not followed by {dimension} finite numbers")
        else:
            known[word] = vector
    return 1


def _header(first: bytes) -> tuple[int, int]:
    """How many words the first line announces (0 if it is no header), and the dimension."""
    fields = first.split(b" ")
    if len(fields) == 2 and len(first) < 40 and all(field.isdigit() for field in fields):
        return int(fields[0]), int(fields[1])
    return 0, len(fields) - 1


def _numbers(line: bytes) -> WordVector | None:
    try:
        with np.errstate(over="ignore"):
            vector = np.array([float(field) for field in line.split(b" ")[1:]]).astype(np.float32)
    except ValueError:
        return None
    return vector if np.isfinite(vector).all() else None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else open(path, "rb")


def _lines(file: BinaryIO, task: Task) -> Iterator[tuple[int, bytes]]:
    """Numbered lines that are not blank, without the blanks at their end."""
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        if number % _STEP == 0:
            task.advance(_STEP)
        if len(line) == _LONGEST_LINE:
            raise OSError(f"line {number} is longer than {_LONGEST_LINE} bytes")
        if line := line.rstrip():
            yield number, line
