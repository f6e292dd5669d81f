"""The home: one folder that holds prepared datasets, feature stores, runs and studies."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ENVIRONMENT = "ZSLCACHE_HOME"


@dataclass(frozen=True)
class Home:
    """Where everything lives; sub-folders are made when something is first put into them."""

    root: Path

    @classmethod
    def at(cls, path: Path | str | None = None) -> Home:
        """The given folder, else $ZSLCACHE_HOME, else ~/.cache/zslcache."""
        chosen = path or os.environ.get(ENVIRONMENT) or Path.home() / ".cache" / "zslcache"
        return cls(Path(chosen).expanduser().absolute())

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def stores(self) -> Path:
        return self.root / "stores"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"
