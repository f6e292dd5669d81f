"""What a store is a store of: a declared specification whose hash is the store's key."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

STORE_DTYPES = ("float16", "float32", "int8")
PRECISIONS = ("fp32", "bf16", "fp16")
POOLS = ("none", "2x2", "merge")
SHARD_ROWS = 256


@dataclass(frozen=True)
class StoreSpec:
    """Everything that decides the stored numbers, as plain JSON values; two equal specs share a store."""

    dataset: Mapping[str, Any]  # name, number of images, fingerprint of their names in order
    backbone: Mapping[str, Any]  # resolved model, sha256 of the weights, preprocessing, constructor arguments
    precision: str  # fp32, bf16 or fp16: what the encoder computes in
    store_dtype: str  # float16, float32 or int8: what is kept
    pool: str = "none"  # how token grids are reduced before they are kept
    shard_rows: int = SHARD_ROWS

    def document(self) -> dict[str, Any]:
        """The specification as plain JSON values."""
        return asdict(self)

    @property
    def key(self) -> str:
        """Twelve hex digits that name this specification."""
        return hashlib.sha256(canonical(self.document())).hexdigest()[:12]

    @property
    def folder_name(self) -> str:
        """A folder's name that a person can recognise: backbone, then key."""
        backbone = re.sub(r"[^A-Za-z0-9_.-]+", "-", str(self.backbone["name"])).strip("-.")
        return f"{backbone}-{self.key}"


def canonical(document: Any) -> bytes:
    """One JSON text per value: sorted keys, no spaces, no NaN."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def differences(asked: Mapping[str, Any], stored: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every field in which two specifications differ: (dotted name, asked, stored)."""
    for name in sorted({*asked, *stored}):
        one, other = asked.get(name), stored.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            yield from differences(one, other, f"{path}{name}.")
        elif canonical(one) != canonical(other):
            yield f"{path}{name}", one, other


MEANING = {
    "dataset": "which images, in which order: a fingerprint of their names",
    "backbone": "the resolved model, the sha256 of its weights, its preprocessing and its options",
    "precision": "what the encoder computes in",
    "store_dtype": "what is kept of the numbers it computes",
    "pool": "how grids of tokens are reduced before they are kept",
    "shard_rows": "images per shard file, the unit of writing and of resuming",
}


def leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a specification: (dotted name, value)."""
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
