"""Fixtures that more than one test file needs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real files, or a skip where there is none."""
    beside = Path(__file__).parents[2] / "shared" / "real"
    folder = Path(os.environ.get("ZSLCACHE_REAL_DATA") or beside)
    if not folder.is_dir():
        pytest.skip("no folder of real data (ZSLCACHE_REAL_DATA)")
    return folder
