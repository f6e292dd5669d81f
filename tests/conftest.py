"""What all tests share: shapes checked at run time, a home of their own, the real files where they exist."""

from __future__ import annotations

import os
from pathlib import Path

# Before torch is imported: several test processes share the cores, and threads that wait for each other spin.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from jaxtyping import install_import_hook

# Before the first import of the package: shape annotations become checked contracts, in tests only. The data layer is
# left out, because its constructors take whatever public files hold and bring it into the annotated form themselves.
install_import_hook([f"zslcache.{part}" for part in ("cache", "extract", "heads", "pipelines")], "beartype.beartype")

REAL_DATA = Path(os.environ.get("ZSLCACHE_REAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "real"))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real benchmark files; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real files in {REAL_DATA}; name their folder in ZSLCACHE_REAL_DATA")
    return REAL_DATA.resolve()


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test can reach a person's own home."""
    monkeypatch.setenv("ZSLCACHE_HOME", str(tmp_path_factory.mktemp("home")))
