"""Extractions that end badly: killed, interrupted, out of disk. What was committed stays; the rest is done again."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli import zslcache
from tests.extraction import array_digests, dataset_of, draw_pictures, tiny_vit
from zslcache.cache.store import IMAGES, JOURNAL, TMP, FeatureStore
from zslcache.data import registry
from zslcache.data.dataset import Dataset
from zslcache.errors import DiskError
from zslcache.home import Home
from zslcache.pipelines.extract import extract
from zslcache.pipelines.store_for import Settings

ROOT = Path(__file__).parents[1]
SMALL = Settings(shard_rows=8, batch_size=4, device="cpu", workers=1)


def python(*words: object) -> subprocess.Popen[str]:
    """A Python process of its own, with one thread of arithmetic."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *map(str, words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kills", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_kill_9_at_any_moment_costs_no_byte(tmp_path: Path, kills: int) -> None:
    driver = python("-m", "tests.crash_driver", tmp_path, kills, 0)
    out, err = driver.communicate()
    assert driver.returncode == 0, err
    assert json.loads(out)["struck"] == kills


def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    count, home = 1500, Home.at(tmp_path / "home")
    dataset = dataset_of(tmp_path / "images", draw_pictures(tmp_path / "images", count, side=40))
    registry.register(home, dataset)
    words = ["extract", "--backbone", "nano_resnet", "--weights", "random", "--features", "global"]
    words += ["--dataset", dataset.name, "--device", "cpu", "--home", str(home.root)]
    interrupted = python("-m", "zslcache", *words)
    while not list(home.stores.glob(f"*/*/{JOURNAL}")) and interrupted.poll() is None:
        time.sleep(0.01)
    interrupted.send_signal(signal.SIGINT)
    _, err = interrupted.communicate()
    assert interrupted.returncode == 130, err
    assert "Run the same command again: it goes on where it stopped." in err
    assert "Traceback" not in err
    (path,) = home.stores.glob("*/*")
    done = int(FeatureStore.open(path).valid(["global"]).sum())
    assert 0 < done < count
    resumed = zslcache(*words, "--json")
    assert (resumed.code, resumed.document["resumed"], resumed.document["images"]) == (0, done, count - done)
    assert FeatureStore.open(path).valid(["global"]).all()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: what a full disk or a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("pictures")
    return dataset_of(root, draw_pictures(root, 500, side=40))


@pytest.fixture(scope="module")
def undisturbed(pictures: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    home = Home.at(tmp_path_factory.mktemp("undisturbed"))
    return array_digests(extract(home, pictures, [tiny_vit("global", "tokens")], SMALL)[0].store)


# 500 names take 6,000 bytes, a shard of tokens 8,356 and the 63 lines of the journal over 10,000.
@pytest.mark.parametrize(("size", "file"), [(4000, IMAGES), (8000, r"tokens/c\.0\.0\.0"), (9000, JOURNAL)])
def test_a_full_disk_is_told_and_nothing_is_lost(
    pictures: Dataset, undisturbed: dict[str, str], tmp_path: Path, size: int, file: str
) -> None:
    home, backbone = Home.at(tmp_path / "home"), tiny_vit("global", "tokens")
    with largest_file(size), pytest.raises(DiskError, match=rf"{file}: File too large\.$") as caught:
        extract(home, pictures, [backbone], SMALL)
    assert "ulimit -f" in caught.value.hint
    (path,) = home.stores.glob("*/*")
    assert not list((path / TMP).iterdir())
    (resumed,) = extract(home, pictures, [backbone], SMALL)
    assert (resumed.resumed > 0) == (file == JOURNAL)
    assert resumed.store.valid(["global", "tokens"]).all()
    assert array_digests(resumed.store) == undisturbed
