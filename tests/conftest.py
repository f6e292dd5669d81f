"""Fixtures that several parts share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files, for tests marked `real`; skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "real"
    folder = Path(os.environ.get("ZSLCACHE_REAL_DATA") or beside)
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}")
    return folder
