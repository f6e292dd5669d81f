"""Verification reports what is damaged, by feature and shard, and nothing else."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from tests.stores import SHAPES, fill, spec
from zslcache.cache import verify as module
from zslcache.cache.store import FeatureStore
from zslcache.cache.verify import Bad, disown, require_intact, verify
from zslcache.errors import DamageError, NotFoundError


@pytest.fixture
def store(tmp_path):
    return fill(tmp_path / "s", spec(11, "int8"))


def test_an_intact_store_and_how_much_was_compared(store):
    report = verify(store.path)
    assert report.bad == ()
    assert report.checked == 5 * 3 + 6 + 3  # shards, zarr.json, and store.json, images.txt, journal.jsonl


def test_an_unfinished_store_is_intact(tmp_path):
    store = fill(tmp_path / "s", spec(11), shards=[1])
    (store.path / "features.zarr/global/c.0.0").write_bytes(b"never committed")
    assert verify(store.path).bad == ()


def test_lost_short_long_and_changed_shards(store):
    group = store.path / "features.zarr"
    (group / "global/c.2.0").unlink()
    cut = group / "tokens/c.0.0.0"
    cut.write_bytes(cut.read_bytes()[:-1])
    long = group / "tokens.scale/c.1.0"
    long.write_bytes(long.read_bytes() + b"x")
    (group / "global.scale/c.1").write_bytes((group / "global.scale/c.0").read_bytes())  # whole, but not its own
    found = {(bad.feature, bad.shard): bad.reason for bad in verify(store.path).bad}
    assert found == {
        ("global", 2): "global/c.2.0 cannot be read: No such file or directory",
        ("tokens", 0): f"tokens/c.0.0.0 has {len(cut.read_bytes())} bytes instead of {len(cut.read_bytes()) + 1}",
        ("tokens.scale", 1): f"tokens.scale/c.1.0 has {len(long.read_bytes())} bytes instead of "
        f"{len(long.read_bytes()) - 1}",
        ("global.scale", 1): "global.scale/c.1 does not match its checksum",
    }
    with pytest.raises(DamageError, match=r"global/c\.2\.0 cannot be read") as damage:
        require_intact(store, store.arrays_of("global"), 2)
    assert "cache repair" in damage.value.hint
    require_intact(store, store.arrays_of("global"), 0)


def test_a_list_of_images_of_the_wrong_length(store):
    (store.path / "images.txt").write_bytes(b"")
    (bad,) = verify(store.path).bad
    assert (bad.feature, bad.shard) == ("images.txt", None)


def test_a_damaged_manifest_is_a_finding_and_a_missing_store_an_error(store):
    (store.path / "store.json").write_bytes(b"{}")
    (bad,) = verify(store.path).bad
    assert bad.feature == "store.json"
    with pytest.raises(NotFoundError):
        verify(store.path.parent)


def test_memory_stays_small(store, monkeypatch):
    sizes = []
    whole = module.file_checksum
    monkeypatch.setattr(module, "BLOCK", 64)
    monkeypatch.setattr(module, "file_checksum", lambda block, start: sizes.append(len(block)) or whole(block, start))
    assert verify(store.path).bad == ()
    assert max(sizes) == 64


def test_progress_counts_shards(store):
    steps = []

    class Counting:
        def advance(self, amount=1):
            steps.append(amount)

        def note(self, text): ...

    class Seen:
        @contextmanager
        def task(self, title, total, unit=""):
            assert (total, unit) == (15, "shards")
            yield Counting()

        def line(self, text): ...

    verify(store.path, Seen())
    assert sum(steps) == 15


def test_disowned_shards_are_uncommitted(store):
    disown(store.path, [Bad("tokens.scale", 1, ""), Bad("global", 1, ""), Bad("images.txt", None, "")])
    reopened = FeatureStore.open(store.path)
    for feature in SHAPES:
        assert reopened.complete([feature]).tolist() == [True, False, True]
    assert not np.isin([4, 5, 6, 7], np.flatnonzero(reopened.valid(["tokens"]))).any()
