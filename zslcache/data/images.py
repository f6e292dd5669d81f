"""A list of encoded images, wherever they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from zslcache.data.split import Indices
from zslcache.errors import NotFoundError
from zslcache.files import check_relative


@runtime_checkable
class Images(Protocol):
    """A list of encoded images: each has a stable name and bytes that can be decoded."""

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes: ...

    def select(self, indices: Indices) -> Images: ...


@dataclass(frozen=True)
class FolderImages:
    """Image files below one folder, named by their relative path."""

    root: Path
    names: Sequence[str]

    def __post_init__(self) -> None:
        for name in self.names:
            check_relative(name)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image."""
        try:
            return (self.root / self.names[index]).read_bytes()
        except FileNotFoundError:
            if self.root.is_dir():
                raise
            raise NotFoundError(
                f"The image folder {self.root} is gone.", "Bring it back, or run zslcache prepare with its new place."
            ) from None

    def select(self, indices: Indices) -> FolderImages:
        """Only the images at these places."""
        return replace(self, names=tuple(self.names[i] for i in indices))
