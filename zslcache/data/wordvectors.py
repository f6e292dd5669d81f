"""Vectors for the attributes: sums of word vectors, as the field uses them, or texts encoded by CLIP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from zslcache.data.vectorfile import WordVector, read_text_vectors
from zslcache.data.words import words_of
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.progress import Progress, Silent

AttributeVectors = Float32[np.ndarray, "attributes dimensions"]

_CLIP = "clip:"
_LONGEST_GLUED = 40  # letters; the pieces of a word are as many as the square of its letters
_SHORTEST_PART = 3  # letters; every dictionary has all shorter strings, and they mean nothing


@dataclass(frozen=True)
class Fill:
    """What the source has no vector for, and what stands in for it."""

    attribute: str
    missing: str
    stand_in: str

    def __str__(self) -> str:
        return f"{self.attribute}: no vector for {self.missing!r}, filled with {self.stand_in}"


@dataclass(frozen=True)
class VectorReport:
    """Where the vectors came from and everything that had to be filled in."""

    source: str
    fills: tuple[Fill, ...] = ()


def attribute_vectors(
    names: Sequence[str], source: Path | str, progress: Progress = Silent()
) -> tuple[AttributeVectors, VectorReport]:
    """One vector for each attribute name, and a report of what was missing.

    `source` is an .npy file with a row for each name, a GloVe or word2vec text file (.gz too), or
    `clip:MODEL/WEIGHTS`. A vector is the sum over the name's words and never silently zero.
    """
    if str(source).startswith(_CLIP):
        from zslcache.data.cliptext import encode_texts  # loads torch

        model, _, weights = str(source).removeprefix(_CLIP).partition("/")
        texts = [" ".join(words_of(name)) or name for name in names]
        return encode_texts(texts, model, weights), VectorReport(str(source))
    path = Path(source)
    if not path.is_file():
        raise NotFoundError(f"There is no file {path}.", "Give an .npy file, a text file or clip:MODEL/WEIGHTS.")
    if path.suffix == ".npy":
        return fill_rows(names, _load_npy(path, len(names)), str(path))
    if path.suffix == ".bin":
        raise UsageError(f"{path} is a binary file of word vectors.", "Convert it to the text format of word2vec.")
    wanted = {spelling for name in names for word in words_of(name) for spelling in _spellings(word)}
    return sum_words(names, read_text_vectors(path, wanted, progress), str(path))


def sum_words(
    names: Sequence[str], known: Mapping[str, WordVector], source: str
) -> tuple[AttributeVectors, VectorReport]:
    """The sum of the known vectors of each name's words; unknown words and names are filled and reported."""
    sums: list[WordVector | None] = []
    fills: list[Fill] = []
    for name in names:
        vector, missing = _sum(name, known)
        sums.append(vector)
        fills += missing
    found = [vector for vector in sums if vector is not None]
    if not found:
        raise DataError(f"{source} knows no word of any attribute.", "Is it a dictionary of the attributes' language?")
    mean = np.mean(found, axis=0, dtype=np.float64).astype(np.float32)
    fills += [
        Fill(name, name, "the mean of the other attributes")
        for name, vector in zip(names, sums, strict=True)
        if vector is None
    ]
    return np.stack([mean if vector is None else vector for vector in sums]), VectorReport(source, tuple(fills))


def fill_rows(names: Sequence[str], rows: AttributeVectors, source: str) -> tuple[AttributeVectors, VectorReport]:
    """`rows`, those of zeros replaced: by their words where other rows are one of them, else by the mean row."""
    given = rows.any(axis=1)
    if not given.any():
        raise DataError(f"All attribute vectors in {source} are zero.", "Give vectors that tell attributes apart.")
    words = [words_of(name) for name in names]
    known = {words[i][0]: rows[i] for i in np.flatnonzero(given).tolist() if len(words[i]) == 1}
    mean = rows[given].mean(axis=0, dtype=np.float64).astype(np.float32)
    result, fills = rows.copy(), list[Fill]()
    for i in np.flatnonzero(~given).tolist():
        vector, missing = _sum(names[i], known)
        result[i] = mean if vector is None else vector
        stand_in = "the mean of the other attributes" if vector is None else "its words, from other rows"
        fills += [Fill(names[i], names[i], stand_in), *missing]
    return result, VectorReport(source, tuple(fills))


def _sum(name: str, known: Mapping[str, WordVector]) -> tuple[WordVector | None, list[Fill]]:
    """The sum over the name's words, None where no word is known, and what was filled in for unknown ones."""
    vectors, fills, unknown = list[WordVector](), list[Fill](), list[str]()
    for word in words_of(name):
        parts = _parts(word, known)
        vectors += [known[part] for part in parts]
        if not parts:
            unknown.append(word)
        elif len(parts) > 1:
            fills.append(Fill(name, word, " + ".join(parts)))
    if not vectors:
        return None, []
    fills += [Fill(name, word, "the mean of the other words") for word in unknown]
    total = np.stack(vectors).sum(axis=0, dtype=np.float64)
    return (total * (1 + len(unknown) / len(vectors))).astype(np.float32), fills


def _parts(word: str, known: Mapping[str, WordVector]) -> tuple[str, ...]:
    """The known words that `word` is, or is glued from, the longest first; none if a letter would be left over."""
    for spelling in _whole(word):
        if spelling in known:
            return (spelling,)
    for end in range(len(word) - _SHORTEST_PART, _SHORTEST_PART - 1, -1):
        if word[:end] in known and (rest := _parts(word[end:], known)):
            return (word[:end], *rest)
    return ()


def _whole(word: str) -> tuple[str, ...]:
    """How dictionaries may spell the word; words_of has made every grey gray."""
    return (word, word.replace("gray", "grey"), word.capitalize())


def _spellings(word: str) -> Iterator[str]:
    """Every string that `_parts` may look up."""
    for start in range(len(word) if len(word) <= _LONGEST_GLUED else 0):
        for end in range(start + _SHORTEST_PART, len(word) + 1):
            yield from _whole(word[start:end])
    yield from _whole(word)  # it may be shorter than any part


def _load_npy(path: Path, attributes: int) -> AttributeVectors:
    try:
        # A map compares the announced size with the file's before any memory is taken.
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise DataError(f"{path} cannot be read as an .npy file: {error}") from error
    if rows.ndim != 2 or len(rows) != attributes or not rows.shape[1] or rows.dtype.kind not in "fiu":
        raise DataError(
            f"{path} holds {rows.dtype} of shape {rows.shape}, expected numbers of shape ({attributes}, dimensions).",
            "One row for each attribute, in their order.",
        )
    with np.errstate(over="ignore"):
        vectors = np.asarray(rows).astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        raise DataError(f"{path} has {len(bad)} rows with numbers that are not finite, the first is row {bad[0]}.")
    return vectors
