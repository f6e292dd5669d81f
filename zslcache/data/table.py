"""Tables people keep in spreadsheets: read with their usual quirks, or refused with file and line."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

_SEPARATORS = ",;\t"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Row:
    """One row: its cells by column, and where it stands, for messages."""

    where: str
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A header and the rows below it; every row has exactly the header's cells."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: Path, required: Sequence[str], problems: list[str]) -> Table | None:
    """The table in `path`, or None where it is beyond reading; what is wrong with it joins `problems`.

    Comma, semicolon or tab; any line ends; a byte-order mark, empty rows and empty trailing columns are passed over.
    """
    text = _decode(path, problems)
    if text is None:
        return None
    lines = _lines(path.name, text, _separator(text, required), problems)
    where, header = next(lines, ("", []))
    if not header:
        problems.append(f"{path.name}: is empty, expected a header with {', '.join(required)}")
        return None
    columns = tuple(_column(cell, required) for cell in _trimmed(header))
    if not _header_fits(columns, where, required, problems):
        return None
    rows = []
    for where, cells in lines:
        if len(cells) < len(columns) or len(_trimmed(cells)) > len(columns):
            comma = " (decimal commas? write 0.5, or put ';' between the cells)" if len(cells) > len(columns) else ""
            problems.append(f"{where}: has {len(cells)} cells, expected {len(columns)} as in the header{comma}")
        else:
            rows.append(Row(where, dict(zip(columns, cells, strict=False))))
    return Table(columns, tuple(rows))


def _decode(path: Path, problems: list[str]) -> str | None:
    try:
        content = path.read_bytes()
    except OSError as error:
        problems.append(f"{path.name}: cannot be read: {error.strerror}")
        return None
    try:
        return content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.append(
            f"{path.name} line {line}: byte {error.start} is not UTF-8 text; save the file as 'CSV UTF-8' and try again"
        )
        return None


def _separator(text: str, required: Sequence[str]) -> str:
    """The separator that makes the most sense of the first line that holds anything."""
    first = next((line for line in io.StringIO(text) if line.strip(f'{_SEPARATORS}" \r\n')), "")

    def fit(separator: str) -> tuple[int, int]:
        cells = [_column(cell.strip(' "\r\n'), required) for cell in first.split(separator)]
        return sum(name in cells for name in required), len(cells)

    return max(_SEPARATORS, key=fit)


def _lines(name: str, text: str, separator: str, problems: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Where and what: the cells of every line that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        for raw in reader:
            where, line = f"{name} line {line}", reader.line_num + 1
            cells = [cell.strip() for cell in raw]
            if any(_CONTROL.search(cell) for cell in cells):
                problems.append(f"{where}: a cell holds a line break or another control character, expected plain text")
            elif any(cells):
                yield where, cells
    except csv.Error as error:
        problems.append(f"{name} line {line}: {error}; expected cells between '{separator}' with closed quotes")


def _trimmed(cells: list[str]) -> list[str]:
    """Without the empty cells at the end that spreadsheets like to write."""
    return cells[: max((i for i, cell in enumerate(cells, 1) if cell), default=0)]


def _column(cell: str, required: Sequence[str]) -> str:
    """The column's name; the required ones may be written in any case."""
    return cell.lower() if cell.lower() in required else normalize("NFC", cell)


def _header_fits(columns: tuple[str, ...], where: str, required: Sequence[str], problems: list[str]) -> bool:
    before = len(problems)
    for number, column in enumerate(columns, 1):
        if not column:
            problems.append(f"{where}: column {number} has no name")
        elif column in columns[: number - 1]:
            problems.append(f"{where}: column {column!r} is there twice")
    missing = [name for name in required if name not in columns]
    if missing:
        problems.append(
            f"{where}: there is no column {' or '.join(map(repr, missing))}; the header reads {', '.join(columns[:6])}"
        )
    return len(problems) == before
