"""What a practitioner says about the classes: classes.csv and attributes.csv."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
from jaxtyping import Float32

from zslcache.data.table import Row, Table, read_table

SEEN, UNSEEN = "seen", "unseen"
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class ClassSheet:
    """The rows of classes.csv, in order: `kinds` holds seen or unseen, `where` the place for messages."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    where: tuple[str, ...]
    attribute_names: tuple[str, ...]
    attributes: Float32[np.ndarray, "classes attributes"]


def read_classes(path: Path, problems: list[str]) -> ClassSheet | None:
    """The classes in `path`, as far as they can be read; None if not even its header can."""
    table = read_table(path, ("class", "split"), problems)
    if table is None:
        return None
    attribute_names = tuple(column for column in table.columns if column not in ("class", "split"))
    if not attribute_names:
        problems.append(f"{path.name}: has no attribute columns, expected at least one beside class and split")
    rows = _first_of_each(table, "class", problems)
    kinds = tuple(row.cells["split"].lower() for row in rows.values())
    for row, kind in zip(rows.values(), kinds, strict=True):
        if kind not in (SEEN, UNSEEN):
            problems.append(f"{row.where}: split is {row.cells['split']!r}, expected seen or unseen")
    for kind, least in ((SEEN, 2), (UNSEEN, 1)):
        if kinds.count(kind) < least:
            problems.append(f"{path.name}: has {kinds.count(kind)} {kind} classes, expected at least {least}")
    return ClassSheet(
        names=tuple(rows),
        kinds=kinds,
        where=tuple(row.where for row in rows.values()),
        attribute_names=attribute_names,
        attributes=_varied_matrix(path.name, tuple(rows.values()), attribute_names, problems),
    )


def read_attributes(
    path: Path, names: Sequence[str], problems: list[str]
) -> tuple[tuple[str, ...], Float32[np.ndarray, "attributes words"] | None]:
    """The group of each of `names`, and their vectors if `path` has columns beyond attribute and group."""
    table = read_table(path, ("attribute", "group"), problems)
    if table is None:
        return (), None
    rows = _first_of_each(table, "attribute", problems)
    for name, row in rows.items():
        if name not in names:
            problems.append(f"{row.where}: attribute {name!r} is not a column of the classes file")
        if not row.cells["group"]:
            problems.append(f"{row.where}: the group of {name!r} is empty, expected a name")
    problems += [f"{path.name}: has no row for attribute {name!r}" for name in names if name not in rows]
    ordered = [rows[name] for name in names if name in rows]
    columns = [column for column in table.columns if column not in ("attribute", "group")]
    vectors = _matrix(ordered, columns, problems) if columns else None
    return tuple(row.cells["group"] for row in ordered), vectors


def parse_number(cell: str) -> float:
    """The number in `cell`; the ValueError says what was expected instead."""
    if _DECIMAL_COMMA.fullmatch(cell):
        raise ValueError(f"expected a decimal point: {cell.replace(',', '.')}")
    if cell.lstrip("+-").lower() in ("nan", "inf", "infinity"):
        raise ValueError("expected a finite number")
    if not _NUMBER.fullmatch(cell):
        raise ValueError("expected a number such as 0.5" if cell else "expected a number; write 0 if it is absent")
    value = float(cell)
    if abs(value) > _LARGEST:
        raise ValueError("expected a number that single precision can hold")
    return value


def _first_of_each(table: Table, column: str, problems: list[str]) -> dict[str, Row]:
    """Rows by their name in `column`; a row without a name or with an earlier one's is a problem."""
    rows: dict[str, Row] = {}
    for row in table.rows:
        name = normalize("NFC", row.cells[column])
        if not name:
            problems.append(f"{row.where}: the {column} is empty, expected a name")
        elif name in rows:
            problems.append(f"{row.where}: {column} {name!r} is there twice, first at {rows[name].where}")
        else:
            rows[name] = row
    return rows


def _matrix(rows: Sequence[Row], columns: Sequence[str], problems: list[str]) -> Float32[np.ndarray, "rows columns"]:
    """The numbers in `columns`, NaN where a cell is no number."""
    matrix = np.full((len(rows), len(columns)), np.nan, dtype=np.float32)
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            try:
                matrix[i, j] = parse_number(row.cells[column])
            except ValueError as error:
                problems.append(f"{row.where}: {column!r} is {row.cells[column]!r}, {error}")
    return matrix


def _varied_matrix(
    file: str, rows: Sequence[Row], columns: Sequence[str], problems: list[str]
) -> Float32[np.ndarray, "rows columns"]:
    """As `_matrix`; a column that is the same for every class tells no class from another and is a problem."""
    matrix = _matrix(rows, columns, problems)
    constant = np.flatnonzero((matrix == matrix[:1]).all(axis=0)).tolist() if len(rows) > 1 else []
    if constant:
        listed = ", ".join(repr(columns[j]) for j in constant)
        problems.append(f"{file}: the same for every class, so they tell none apart; remove these columns: {listed}")
    return matrix
