"""Repair makes exactly what was damaged again; audit tells an encoder's features from anything else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from tests.cli import zslcache
from zslcache.cache.store import GROUP, FeatureStore
from zslcache.cache.writer import writing
from zslcache.data import registry
from zslcache.data.menagerie import prepare_menagerie
from zslcache.errors import NotFoundError
from zslcache.extract.backbones import build_backbone
from zslcache.home import Home
from zslcache.pipelines.audit import audit
from zslcache.pipelines.extract import extract
from zslcache.pipelines.repair import repair
from zslcache.pipelines.store_for import Settings

SHARD_ROWS = 32


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    home = Home.at(tmp_path_factory.mktemp("repair"))
    dataset = prepare_menagerie(home, size=3)
    backbone = build_backbone("nano_resnet", ["global", "tokens"], weights="random", seed=7)
    settings = Settings(shard_rows=SHARD_ROWS, batch_size=16)
    (report,) = extract(home, dataset, [backbone], settings)
    return home, report.store.path


def contents(path):
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((path / GROUP).rglob("*")) if p.is_file()}


def test_repair_makes_the_same_bytes_again_and_only_those(world):
    home, path = world
    before = contents(path)
    damaged = path / GROUP / "tokens" / "c.2.0.0"
    data = bytearray(damaged.read_bytes())
    data[1000] ^= 4
    damaged.write_bytes(data)
    (path / GROUP / "global" / "c.4.0").unlink()
    (path / GROUP / "global" / "zarr.json").write_text("{}")

    outcome = zslcache("cache", "verify", path, "--home", home.root, "--json")
    assert outcome.code == 3
    assert {(b["feature"], b["shard"]) for b in outcome.document["bad"]} >= {("tokens", 2), ("global", 4)}

    outcome = zslcache("cache", "repair", path, "--home", home.root, "--json")
    assert outcome.code == 0
    assert outcome.document["images"] == SHARD_ROWS + (150 - 4 * SHARD_ROWS)  # shards 2 and 4, the last one shorter
    assert contents(path) == before
    assert zslcache("cache", "verify", path, "--home", home.root).code == 0
    assert repair(home, path).found == ()


def test_skipped_images_are_tried_again_when_asked(world):
    home, path = world
    dataset = registry.load(home, "menagerie")
    image = dataset.images.root / dataset.images.names[40]
    store = FeatureStore.open(path)
    content = image.read_bytes()
    image.unlink()
    with writing(path) as writer:
        writer.withdraw(1, list(store.arrays))
    assert repair(home, path).found == ()  # nothing is damaged, a shard is only missing
    backbone = build_backbone("nano_resnet", ["global", "tokens"], weights="random", seed=7)
    extract(home, dataset, [backbone], Settings(shard_rows=SHARD_ROWS))
    assert "cannot be read" in FeatureStore.open(path).skipped[40]
    image.write_bytes(content)
    assert repair(home, path, skipped=True).images == SHARD_ROWS
    assert FeatureStore.open(path).skipped == {}


def test_audit_agrees_with_an_honest_store_and_not_with_another(world):
    home, path = world
    outcome = zslcache("cache", "audit", path, "--home", home.root, "--images", 5, "--json")
    assert outcome.code == 0
    assert {one["feature"] for one in outcome.document["features"]} == {"global", "tokens"}
    store = FeatureStore.open(path)
    values = store.read("global").astype(np.float32)
    hashes = store.reader("image_hash").gather(np.arange(SHARD_ROWS))
    tokens = store.read("tokens")[:SHARD_ROWS]
    with writing(path) as writer:  # whole, checksummed, and wrong: the rows of other images
        writer.commit(0, {"global": values[SHARD_ROWS : 2 * SHARD_ROWS], "tokens": tokens}, hashes=hashes)
    assert zslcache("cache", "verify", path, "--home", home.root).code == 0
    found = {one.feature: one.ok for one in audit(home, path, images=150)}
    assert found == {"global": False, "tokens": True}
    assert zslcache("cache", "audit", path, "--home", home.root, "--images", 150).code == 3


def test_a_store_is_not_mended_with_other_images(world):
    home, path = world
    (path / GROUP / "global" / "c.1.0").unlink()
    prepare_menagerie(home, size=4)
    with pytest.raises(NotFoundError, match="not those that"):
        repair(home, path)
    assert FeatureStore.open(path).committed["global"][1]  # nothing was given up
