"""The cache commands as a user types them: text, JSON, exit codes, and what they say when they cannot."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli import zslcache
from tests.stores import fill, names, spec, truth
from tests.test_exchange import IMAGES, LABELS, dataset
from zslcache.cache.lock import writer_lock
from zslcache.data import registry
from zslcache.home import Home


@pytest.fixture
def home(tmp_path) -> Home:
    return Home.at(tmp_path / "home")


@pytest.fixture
def store(home) -> Path:
    wanted = spec(IMAGES)
    return fill(home.stores / "toy" / wanted.folder_name, wanted, skipped={5: "truncated file"}).path


def run(home, *words):
    return zslcache(*words, "--home", home.root)


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[2] ^= 8
    file.write_bytes(data)


def test_ls(home, store):
    (entry,) = run(home, "cache", "ls", "--json").document
    assert entry["name"] == f"toy/{store.name}"
    assert entry["path"] == str(store)
    assert (entry["dataset"], entry["backbone"], entry["store_dtype"]) == ("toy", "vit/toy", "float16")
    assert (entry["images"], entry["skipped"], entry["complete"]) == (IMAGES, 1, True)
    files = list((store / "features.zarr/tokens").glob("c.*"))
    tokens = entry["features"]["tokens"]
    assert tokens["bytes"] == sum(file.stat().st_size for file in files)
    assert (tokens["shape"], tokens["dtype"], tokens["images"]) == ([IMAGES, 3, 5], "float16", IMAGES)
    text = run(home, "cache", "ls").out
    assert f"toy/{store.name}" in text
    assert "11 x 3 x 5" in text


def test_ls_of_nothing_of_damage_and_of_unfinished_work(home, store):
    assert "no feature stores" in run(Home.at(home.root / "other"), "cache", "ls").out
    part = spec(IMAGES, "int8")
    fill(home.stores / "toy" / part.folder_name, part, shards=[2])
    entries = {entry["name"]: entry for entry in run(home, "cache", "ls", "--json").document}
    assert not entries[f"toy/{part.folder_name}"]["complete"]
    assert "3 images so far" in run(home, "cache", "ls").out
    (store / "store.json").write_bytes(b"")
    outcome = run(home, "cache", "ls")
    assert outcome.code == 0
    assert "store.json is damaged" in outcome.out


def test_show(home, store):
    document = run(home, "cache", "show", "toy", "--json").document
    assert document["skipped"] == [{"path": names(IMAGES)[5], "reason": "truncated file"}]
    assert document["spec"]["backbone"]["weights_sha256"] == "1" * 64
    assert document["provenance"]["batch_size"] == 2
    text = run(home, "cache", "show", store).out
    assert "backbone.weights_sha256 = 111" in text
    assert f"{names(IMAGES)[5]}: truncated file" in text


def test_how_a_store_is_named(home, store):
    other = spec(IMAGES, "int8")
    fill(home.stores / "toy" / other.folder_name, other)
    for text in (store, f"toy/{store.name}", f"toy/{store.name[:-6]}"):
        assert run(home, "cache", "show", text, "--json").document["path"] == str(store)
    outcome = run(home, "cache", "show", "toy", "--json")
    assert outcome.code == 1
    assert "'toy' means 2 stores" in outcome.document["message"]
    assert store.name in outcome.document["hint"]
    outcome = run(home, "cache", "show", "cub", "--json")
    assert outcome.document["code"] == "not-found"
    assert f"There is: toy/{min(store.name, other.folder_name)}" in outcome.document["hint"]
    assert "zslcache extract" in run(Home.at(home.root / "other"), "cache", "show", "cub").err


def test_explain(home, store):
    document = run(home, "cache", "explain", "toy", "--json").document
    fields = {field["field"]: field for field in document["fields"]}
    assert fields["store_dtype"] == {
        "field": "store_dtype",
        "value": "float16",
        "meaning": fields["store_dtype"]["meaning"],
    }
    assert "backbone.weights_sha256" in fields
    other = spec(IMAGES, "int8", shard_rows=5)
    path = fill(home.stores / "toy" / other.folder_name, other).path
    found = run(home, "cache", "explain", store, path, "--json").document["differences"]
    assert found == [
        {"field": "shard_rows", "store": 4, "other": 5},
        {"field": "store_dtype", "store": "float16", "other": "int8"},
    ]
    assert "store_dtype: 'float16' here, 'int8' there" in run(home, "cache", "explain", store, path).out
    assert "same specification" in run(home, "cache", "explain", store, store).out
    assert "share a store when all of this is equal" in run(home, "cache", "explain", store).out


def test_verify(home, store):
    outcome = run(home, "cache", "verify", "--json")
    assert outcome.code == 0
    assert outcome.document == {"ok": True, "checked": 3 * 3 + 4 + 3, "bad": []}
    flip(store / "features.zarr/tokens/c.1.0.0")
    outcome = run(home, "cache", "verify", "toy", "--json")
    assert outcome.code == 3
    assert outcome.document["ok"] is False
    assert outcome.document["bad"] == [
        {
            "store": str(store),
            "feature": "tokens",
            "shard": 1,
            "reason": "tokens/c.1.0.0 does not match its checksum",
        }
    ]
    outcome = run(home, "cache", "verify")
    assert outcome.code == 3
    assert "1 damaged" in outcome.out
    assert f"zslcache cache repair {store}" in outcome.out
    (store / "store.json").write_bytes(b"{")
    outcome = run(home, "cache", "verify", store, "--json")
    assert outcome.code == 3
    assert outcome.document["bad"][0]["feature"] == "store.json"


def test_export(home, store, tmp_path):
    outcome = run(home, "cache", "export", "toy", tmp_path / "x.npz", "--features", "global,tokens", "--json")
    assert outcome.document["features"] == ["global", "tokens"]
    assert set(np.load(tmp_path / "x.npz")) == {"global", "tokens", "valid", "image_names"}
    outcome = run(home, "cache", "export", "toy", tmp_path / "x.mat", "--json")
    assert outcome.code == 1
    assert "Prepare the dataset first" in outcome.document["hint"]
    registry.register(home, dataset(tmp_path))
    assert run(home, "cache", "export", "toy", tmp_path / "x.npz").code == 0
    assert np.array_equal(np.load(tmp_path / "x.npz")["labels"], LABELS)
    assert run(home, "cache", "export", "toy", tmp_path / "x.mat").code == 0


def test_convert(home, store):
    document = run(home, "cache", "convert", "toy", "--store-dtype", "int8", "--json").document
    assert Path(document["path"]).parent == store.parent
    assert document["store_dtype"] == "int8"
    outcome = run(home, "cache", "convert", store, "--store-dtype", "float16", "--json")
    assert outcome.code == 2
    assert "is float16 already" in outcome.document["message"]
    assert run(home, "cache", "verify").code == 0


def test_rm_asks_first_and_only_removes_what_is_its_own(home, store, monkeypatch):
    outcome = run(home, "cache", "rm", "toy")
    assert outcome.code == 2
    assert "--yes" in outcome.err
    with writer_lock(store / "writer.lock"):
        outcome = run(home, "cache", "rm", "toy", "--yes", "--json")
        assert (outcome.code, outcome.document["code"]) == (1, "busy")
    assert run(home, "cache", "verify").code == 0
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    for answer in (False, True):
        asked = []
        monkeypatch.setattr("typer.confirm", lambda text, err, answer=answer, asked=asked: asked.append(text) or answer)
        (store / "notes.txt").write_text("mine")
        assert run(home, "cache", "rm", "toy").code == (0 if answer else 1)
        assert asked == [f"Delete {store}?"]
        assert (store / "store.json").exists() != answer
    assert [file.name for file in store.iterdir()] == ["notes.txt"]
    assert run(home, "cache", "ls", "--json").document == []


def test_rm_of_a_damaged_store_leaves_no_folder(home, store):
    (store / "store.json").write_bytes(b"")
    assert run(home, "cache", "rm", store, "--yes", "--json").document == {"removed": str(store)}
    assert not store.exists()


def test_import(home, tmp_path):
    registry.register(home, dataset(tmp_path))
    order = np.random.default_rng(0).permutation(IMAGES)
    np.save(tmp_path / "f.npy", truth(IMAGES, (5,))[order])
    listed = [names(IMAGES)[row] for row in order[:-1]] + ["strange.jpg"]
    (tmp_path / "names.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")
    words = ("import", "--npy", tmp_path / "f.npy", "--dataset", "toy", "--backbone", "res101")
    document = run(home, *words, "--names", tmp_path / "names.txt", "--json").document
    assert document["unmatched"] == ["strange.jpg"]
    assert (document["images"], document["skipped"], document["backbone"]) == (IMAGES, 1, "res101")
    text = run(home, *words, "--names", tmp_path / "names.txt")
    assert "10 of 11 images have features" in text.out
    assert "the first is strange.jpg" in text.out
    assert "its order is taken to be that of toy" in run(home, *words).err
    assert run(home, "cache", "verify").code == 0
    assert run(home, "import", "--dataset", "toy", "--backbone", "b").code == 2
    outcome = run(home, *words[:-2], "--backbone", "../b", "--json")
    assert (outcome.code, outcome.document["code"]) == (2, "usage")
    assert (
        run(home, "import", "--npy", "f.npy", "--dataset", "cub", "--backbone", "b", "--json").document["code"]
        == "not-found"
    )
    (tmp_path / "names.txt").write_bytes(b"\xff\xfe")
    assert run(home, *words, "--names", tmp_path / "names.txt", "--json").document["code"] == "bad-data"


def test_what_the_system_refuses_is_a_message(home, store):
    (home.root / "file").write_text("")
    outcome = run(home, "cache", "export", "toy", home.root / "file" / "x", "--json")
    assert outcome.code == 1
    assert outcome.document["code"] == "disk"
    assert "Not a directory" in outcome.document["message"] or "File exists" in outcome.document["message"]
