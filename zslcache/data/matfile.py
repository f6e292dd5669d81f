"""Reads numbers and texts from MATLAB files of version 5 to 7, and nothing else.

scipy's reader trusts what a file says of itself and can crash the interpreter on a damaged one; here every length is
checked, and variables that are not asked for are neither unpacked nor read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np

_NUMBERS = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_ENCODINGS = {1: "latin-1", 2: "latin-1", 4: "utf-16-le", 16: "utf-8", 17: "utf-16-le", 18: "utf-32-le"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _NUMERIC = 1, 4, range(6, 16)
_HEAD = 512  # bytes that surely hold a variable's name


class MatError(Exception):
    """What is wrong with a file; the reader of the file says which file it is."""


def read_mat(path: Path, names: Collection[str]) -> dict[str, np.ndarray]:
    """Those of the named variables that the file has; cells are object arrays, a text is an array of one string."""
    found = {}
    size = path.stat().st_size
    with open(path, "rb") as file:
        _check_header(file.read(128))
        while tag := file.read(8):
            kind, length = struct.unpack("<II", tag) if len(tag) == 8 else (0, 0)
            end = file.tell() + length
            if kind not in (_MATRIX, _COMPRESSED) or end > size:
                raise MatError("it is damaged or was cut short")
            head = _matrix(kind, file.read(min(length, _HEAD)), _HEAD)
            name, _, _, _ = _describe(head)
            if name in names:
                file.seek(end - length)
                found[name] = _array(_matrix(kind, file.read(length)), cells=True)
            file.seek(end)
    return found


def _check_header(header: bytes) -> None:
    if header[124:128] == b"\x00\x02IM" or header.startswith(b"\x89HDF"):
        raise MatError("it is in MATLAB's v7.3 format; save it again with save(..., '-v7')")
    if header[124:128] != b"\x00\x01IM":
        raise MatError("it is no MATLAB file of version 5 to 7")


def _matrix(kind: int, data: bytes, limit: int | None = None) -> memoryview:
    """The content of a matrix element, or its first `limit` bytes; unpacks no more than the element says it holds."""
    if kind == _MATRIX:
        return memoryview(data)
    try:
        unpacker = zlib.decompressobj()
        inner, length = struct.unpack("<II", unpacker.decompress(data, 8))
        wanted = length if limit is None else min(length, limit)
        content = unpacker.decompress(unpacker.unconsumed_tail, wanted) if wanted else b""
        surplus = b"" if limit else unpacker.decompress(unpacker.unconsumed_tail, 1)  # the checksum comes last
    except (zlib.error, struct.error) as error:
        raise MatError(f"a packed variable is damaged ({error})") from error
    if inner != _MATRIX or (limit is None and (len(content) != length or surplus or not unpacker.eof)):
        raise MatError("a packed variable is damaged")
    return memoryview(content)


def _element(content: memoryview, at: int) -> tuple[int, memoryview, int]:
    """Type, data and end of the element at `at`; up to four bytes of data are packed into the tag."""
    if at + 8 > len(content):
        raise MatError("it is damaged or was cut short")
    kind, length = struct.unpack_from("<II", content, at)
    if kind >> 16:
        kind, length, first = kind & 0xFFFF, kind >> 16, at + 4
        end = at + 8
    else:
        first = at + 8
        end = first + length + -length % 8
    if first + length > len(content) or (first == at + 4 and length > 4):
        raise MatError("it is damaged or was cut short")
    return kind, content[first : first + length], end


def _describe(content: memoryview) -> tuple[str, int, tuple[int, ...], int]:
    """Name, class and shape of a matrix, and where its data begins."""
    if not len(content):  # how an empty cell is written
        return "", 0, (0, 0), 0
    _, flags, at = _element(content, 0)
    kind, shape, at = _element(content, at)
    _, name, at = _element(content, at)
    if len(flags) != 8 or kind != 5 or len(shape) % 4:
        raise MatError("it is damaged")
    dims = np.frombuffer(shape, "<i4")
    if not 2 <= len(dims) <= 8 or dims.min() < 0 or flags[1] & 0x08:
        raise MatError("a variable has an impossible shape or complex numbers")
    return bytes(name).decode("latin-1"), flags[0], tuple(dims.tolist()), at


def _array(content: memoryview, cells: bool = False) -> np.ndarray:
    """The value of a matrix; cells may hold anything but cells."""
    _, kind, shape, at = _describe(content)
    if kind == _CELL and cells:
        values = list(_members(content, at, int(np.prod(shape, dtype=object))))
        column = np.empty(len(values), dtype=object)
        column[:] = values
        return column.reshape(shape, order="F")
    if kind == 0 and not len(content):
        return np.empty((0, 0))
    if kind not in (_CHAR, *_NUMERIC):
        raise MatError("a variable is neither numbers, nor texts, nor a list of such")
    stored, data, _ = _element(content, at)
    if kind == _CHAR:
        if stored not in _ENCODINGS or shape[0] > 1 or len(shape) > 2:
            raise MatError("a text is damaged")
        try:
            return np.array([bytes(data).decode(_ENCODINGS[stored])])
        except UnicodeDecodeError as error:
            raise MatError(f"a text is damaged ({error})") from error
    if stored not in _NUMBERS or len(data) != np.dtype(_NUMBERS[stored]).itemsize * int(np.prod(shape, dtype=object)):
        raise MatError("a variable has another size than it says")
    return np.frombuffer(data, _NUMBERS[stored]).reshape(shape, order="F")


def _members(content: memoryview, at: int, count: int) -> Iterator[np.ndarray]:
    if count > len(content):
        raise MatError("a list is longer than the file")
    for _ in range(count):
        kind, data, at = _element(content, at)
        if kind != _MATRIX:
            raise MatError("a list is damaged")
        yield _array(data)
