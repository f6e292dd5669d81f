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

import numpy as np
import pytest

from tests.extraction import array_digests, dataset_of, draw_pictures, tiny_vit
from zslcache.cache.store import JOURNAL, TMP, FeatureStore
from zslcache.data import registry
from zslcache.errors import ZslError
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
    count, home = 3000, Home.at(tmp_path / "home")
    dataset = dataset_of(tmp_path / "images", draw_pictures(tmp_path / "images", count, side=40))
    registry.register(home, dataset)
    words = ["-m", "zslcache", "extract", "--backbone", "nano_resnet", "--weights", "random"]
    words += ["--dataset", dataset.name, "--features", "global", "--device", "cpu", "--home", home.root]
    interrupted = python(*words)
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
    resumed = python(*words, "--json")
    out, err = resumed.communicate()
    assert resumed.returncode == 0, err
    assert (json.loads(out)["resumed"], json.loads(out)["images"]) == (done, count - done)
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


# One shard of tokens takes 8,352 bytes, the manifest about 3,000, a line of the journal about 120.
@pytest.mark.parametrize("size", [100, 3500, 8000, 8600])
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path, size: int) -> None:
    dataset = dataset_of(tmp_path / "images", draw_pictures(tmp_path / "images", 1000, side=40))
    home, backbone = Home.at(tmp_path / "home"), tiny_vit("global", "tokens")
    with largest_file(size), pytest.raises(ZslError, match=r"^Cannot write to .*: File too large\.$") as caught:
        extract(home, dataset, [backbone], SMALL)
    assert "run the same command again" in caught.value.hint
    for path in home.stores.glob("*/*"):
        assert not list((path / TMP).iterdir())
    done = [FeatureStore.open(path) for path in home.stores.glob("*/*") if (path / "store.json").exists()]
    committed = sum(int(store.complete(store.features).sum()) for store in done if store.features)
    assert bool(committed) == (size > 8352)
    (resumed,) = extract(home, dataset, [backbone], SMALL)
    (fresh,) = extract(Home.at(tmp_path / "fresh"), dataset, [backbone], SMALL)
    assert resumed.resumed == committed * SMALL.shard_rows
    assert array_digests(resumed.store) == array_digests(fresh.store)
    assert np.array_equal(resumed.store.read("tokens"), fresh.store.read("tokens"))
