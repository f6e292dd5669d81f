"""Feature stores: what is written is read, by us and by Zarr; what was never committed is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import zarr

from tests.stores import SHAPES, contents, fill, hashes, names, spec, truth
from zslcache.cache import manifest
from zslcache.cache.layout import ArraySpec
from zslcache.cache.lock import BusyError, writer_lock
from zslcache.cache.quantise import dequantise, quantise
from zslcache.cache.spec import MEANING, differences, leaves
from zslcache.cache.store import HASH, FeatureStore
from zslcache.cache.writer import create_store, writing
from zslcache.errors import DamageError, DataError, NotFoundError


@pytest.mark.parametrize("store_dtype", ["float32", "float16", "int8"])
def test_rows_come_back_in_every_dtype(tmp_path, store_dtype):
    store = fill(tmp_path / "s", spec(11, store_dtype))
    for feature, shape in SHAPES.items():
        expected = truth(11, shape, feature).astype(np.float64)
        read = store.read(feature).astype(np.float64)
        if store_dtype == "int8":
            step = np.abs(expected).max(-1, keepdims=True) / 127
            assert np.all(np.abs(read - expected) <= step / 2 * (1 + 1e-5))
        else:
            assert np.array_equal(read, expected.astype(store_dtype).astype(np.float64))
    assert np.array_equal(store.reader(HASH).gather(np.arange(11)), hashes(11))
    assert list(store.image_names) == names(11)
    assert store.features == list(SHAPES)


@pytest.mark.parametrize("store_dtype", ["float32", "float16", "int8"])
def test_any_zarr_library_reads_the_same_numbers(tmp_path, store_dtype):
    store = fill(tmp_path / "s", spec(11, store_dtype))
    group = zarr.open_group(str(store.path / "features.zarr"), mode="r")
    assert set(dict(group.arrays())) == set(store.arrays)
    assert group.attrs["spec"] == store.spec.document()
    for feature in SHAPES:
        stored = group[feature][:]
        if store_dtype == "int8":
            stored = dequantise(stored, group[f"{feature}.scale"][:])
        assert np.array_equal(store.read(feature), stored)
    assert group["tokens"].shards == (4, 3, 5)
    assert group["tokens"].chunks == (1, 3, 5)


def test_skipped_rows_are_refused_by_name_and_are_nan_to_zarr(tmp_path):
    store = fill(tmp_path / "s", spec(), skipped={5: "truncated file"})
    assert store.valid(["global"]).tolist() == [True] * 5 + [False, True]
    with pytest.raises(DataError, match=r"1 of the rows asked for have no tokens; the first is row 5: truncated file"):
        store.read("tokens")
    kept = np.array([6, 0, 4])
    assert np.array_equal(store.read("tokens", kept), truth(7, (3, 5), "tokens")[kept].astype("f2"))
    outside = zarr.open_group(str(store.path / "features.zarr"), mode="r")["tokens"][:]
    assert np.isnan(outside[5]).all()
    assert not np.isnan(outside[kept]).any()


def test_uncommitted_rows_are_refused_though_zarr_would_give_fill_values(tmp_path):
    store = fill(tmp_path / "s", spec(), shards=[1])
    assert store.valid(["global"]).tolist() == [False] * 4 + [True] * 3
    with pytest.raises(DataError, match="row 0: its shard was never committed") as refused:
        store.read("global")
    assert "zslcache extract" in refused.value.hint
    # A file alone means nothing: only the journal does.
    whole = fill(tmp_path / "other", spec())
    first = ("global/c.0.0", "tokens/c.0.0.0", f"{HASH}/c.0.0")
    for file in first:
        (store.path / "features.zarr" / file).write_bytes((whole.path / "features.zarr" / file).read_bytes())
    assert not FeatureStore.open(store.path).valid(["global"])[0]


def test_features_are_added_later_and_the_first_stay_untouched(tmp_path):
    path = tmp_path / "s"
    fill(path, spec(), {"global": (5,)})
    before = contents(path)
    store = fill(path, spec(), SHAPES)
    assert store.features == ["global", "tokens"]
    assert store.valid(["global", "tokens"]).all()
    after = contents(path)
    assert {file for file in before if before[file] != after[file]} == set()
    with writing(path) as writer, pytest.raises(DataError, match=r"tokens has shape \(3, 5\)"):
        writer.add_features({"tokens": (4, 5)})


def test_an_unknown_feature_comes_with_the_command_that_adds_it(tmp_path):
    store = fill(tmp_path / "s", spec())
    with pytest.raises(NotFoundError, match="no feature 'rollout'; it has global, tokens") as missing:
        store.read("rollout")
    assert "zslcache extract --backbone vit/toy --dataset toy --features rollout" in missing.value.hint


def test_attention_is_never_int8(tmp_path):
    store = fill(tmp_path / "s", spec(store_dtype="int8"), {"rollout": (6,), "global": (5,)})
    assert store.arrays["rollout"].dtype == "float16"
    assert store.arrays["global"].dtype == "int8"


def test_numbers_that_are_not_finite_are_counted(tmp_path):
    path = tmp_path / "s"
    create_store(path, spec(), names(7), {})
    with writing(path) as writer:
        writer.add_features({"global": (5,)})
        block = np.ones((4, 5), np.float32)
        block[0, 0], block[1, :2], block[2] = np.nan, 1e9, np.inf  # 1e9 is beyond float16
        writer.commit(0, {"global": block}, hashes(7)[:4], {2: "skipped rows do not count"})
    assert FeatureStore.open(path).not_finite["global"] == {0: 3}


@pytest.mark.parametrize("skipped", [{}, {1: "broken"}])
def test_images_that_changed_withdraw_the_features_made_of_the_old_ones(tmp_path, skipped):
    path = tmp_path / "s"
    fill(path, spec(), skipped=skipped)
    with writing(path) as writer:
        others = hashes(7)[:4].copy()
        others[1, 0] ^= 1
        writer.commit(0, {"global": truth(7, (5,))[:4]}, others)
    store = FeatureStore.open(path)
    assert store.valid(["global"]).all()
    assert not store.valid(["tokens"])[:4].any()
    assert store.valid(["tokens"])[4:].all()


def test_images_that_are_the_same_keep_the_features_made_of_them(tmp_path):
    path = tmp_path / "s"
    fill(path, spec())
    with writing(path) as writer:
        writer.withdraw(0, [HASH])
        assert not writer.store.valid(["tokens"])[0]
        writer.commit(0, {"global": truth(7, (5,))[:4]}, hashes(7)[:4])
    assert FeatureStore.open(path).valid(["global", "tokens"]).all()


def test_a_shard_that_is_written_again_does_not_count_meanwhile(tmp_path):
    path = tmp_path / "s"
    fill(path, spec())
    with writing(path) as writer:
        writer.disk.write_atomic = lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore
        with pytest.raises(KeyboardInterrupt):
            writer.commit(0, {"global": truth(7, (5,))[:4]}, hashes(7)[:4])
    store = FeatureStore.open(path)
    for feature in SHAPES:  # tokens too: which images they were made of is written again
        assert store.valid([feature]).tolist() == [False] * 4 + [True] * 3


def test_features_that_a_shard_has_stay_as_they_are(tmp_path):
    path = tmp_path / "s"
    before = contents(fill(path, spec()).path)
    with writing(path) as writer:
        writer.commit(0, {"global": np.zeros((4, 5), np.float32)})
    assert contents(path) == before


def test_rows_outside_the_store_are_an_index_error(tmp_path):
    store = fill(tmp_path / "s", spec())
    for row in (-1, 7):
        with pytest.raises(IndexError, match="of a store that has 7"):
            store.read("global", np.array([row]))
    assert store.read("global", np.array([], np.int64)).shape == (0, 5)


def test_a_committed_file_that_is_gone_is_damage(tmp_path):
    store = fill(tmp_path / "s", spec())
    (store.path / "features.zarr/global/c.1.0").unlink()
    assert store.read("global", np.arange(4)).shape == (4, 5)
    with pytest.raises(DamageError, match=r"c\.1\.0 was committed but cannot be read") as damage:
        store.read("global")
    assert "cache verify" in damage.value.hint


def test_a_row_that_its_shard_lacks_is_damage_and_never_zeros(tmp_path):
    store = fill(tmp_path / "s", spec())
    other = fill(tmp_path / "other", spec(), skipped={1: "broken"})
    file = "features.zarr/global/c.0.0"
    (store.path / file).write_bytes((other.path / file).read_bytes())
    assert store.read("global", np.array([0, 2])).shape == (2, 5)
    with pytest.raises(DamageError, match=r"global/c\.0\.0 lacks rows"):
        store.read("global", np.array([0, 1]))


def test_opening_says_what_is_wrong(tmp_path):
    with pytest.raises(NotFoundError, match="no feature store at"):
        FeatureStore.open(tmp_path)
    store = fill(tmp_path / "s", spec())
    (store.path / "images.txt").write_bytes(b"other\n")
    with pytest.raises(DamageError, match="is not the list of images"):
        _ = FeatureStore.open(store.path).image_names
    file = store.path / "store.json"
    body = manifest.decode(file.read_bytes())
    file.write_bytes(manifest.encode({**body, "format": 99, "written_by": "9.9"}))
    with pytest.raises(DataError, match=r"written by zslcache 9\.9, which is newer") as newer:
        FeatureStore.open(store.path)
    assert "pip install -U" in newer.value.hint
    for text in (b"", b"[]", b"{}", b"\xff", json.dumps({**body, "crc": 1}).encode()):
        file.write_bytes(text)
        with pytest.raises(DamageError, match=r"store\.json is damaged"):
            FeatureStore.open(store.path)


def test_making_a_store_twice_opens_it_and_never_replaces_another(tmp_path):
    path = tmp_path / "s"
    fill(path, spec())
    assert create_store(path, spec(), names(7), {}).valid(["global"]).all()
    with pytest.raises(DataError, match="holds another store"):
        create_store(path, spec(store_dtype="int8"), names(7), {})


def test_an_array_cannot_leave_the_store():
    for name in ("../x", "a/b", "", ".hidden", "a\nb"):
        with pytest.raises(DataError, match="cannot be the name"):
            ArraySpec(name, 1, (1,), "float16", 1)


HOLDER = """
import sys
from pathlib import Path
from zslcache.cache.lock import writer_lock
with writer_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_writer_is_refused_by_name_or_waits(tmp_path):
    path = fill(tmp_path / "s", spec()).path
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path / "writer.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"being written by process {holder.pid} on \S+") as busy, writing(path):
            pass
        assert "--wait" in busy.value.hint
        waiter = subprocess.Popen(
            [sys.executable, "-c", HOLDER.replace("[1])", "[1]), wait=True"), str(path / "writer.lock")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with waiter:
            holder.communicate("\n", timeout=20)
            assert waiter.stdout.readline() == "held\n"
            waiter.communicate("\n", timeout=20)
    with writing(path):
        pass


def test_a_dead_writers_lock_and_leftovers_are_no_obstacle(tmp_path):
    path = fill(tmp_path / "s", spec()).path
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path / "writer.lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        holder.stdout.readline()
        holder.kill()
    (path / "tmp" / ".c.0.0.1-ab.tmp").write_bytes(b"left")
    with writing(path):
        assert list((path / "tmp").iterdir()) == []


def test_the_lock_is_given_back_after_an_error(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), writer_lock(tmp_path / "lock"):
            raise ZeroDivisionError


def test_quantising_extreme_tokens():
    tiny = np.array([[1.9e-43, 0], [0, 0], [3e38, -3e38], [np.inf, 1], [np.nan, 1]], np.float32)
    values, scale = quantise(tiny)
    back = dequantise(values, scale)
    assert np.array_equal(back[:2], np.zeros((2, 2)))
    assert np.allclose(back[2], tiny[2])
    assert np.isnan(back[3:]).all()


def test_keys_depend_on_every_field_and_differences_name_it():
    one = spec()
    others = [
        spec(8),
        spec(store_dtype="int8"),
        spec(shard_rows=5),
        replace(one, pool="2x2"),
        replace(one, precision="bf16"),
        replace(one, backbone={**one.backbone, "weights_sha256": "2" * 64}),
    ]
    assert len({one.key, *(other.key for other in others)}) == 1 + len(others)
    assert spec().key == one.key
    assert one.folder_name.startswith("vit-toy-")
    assert list(differences(one.document(), others[-1].document())) == [("backbone.weights_sha256", "1" * 64, "2" * 64)]
    assert list(differences(one.document(), one.document())) == []
    assert {name.split(".")[0] for name, _ in leaves(one.document())} == set(MEANING)
