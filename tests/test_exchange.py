"""Features go out to other programs and come in from them: .npy, .npz, .mat, and other dtypes."""

from __future__ import annotations

import json
import pickle
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import loadmat

from tests.stores import SHAPES, fill, hashes, names, spec, truth
from zslcache.cache.convert import convert
from zslcache.cache.export import export
from zslcache.cache.importing import ForeignFeatures, import_features, match_names, read_foreign
from zslcache.cache.store import FeatureStore
from zslcache.cache.verify import verify
from zslcache.data.dataset import Dataset
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.errors import DamageError, DataError, NotFoundError, UsageError

IMAGES = 11
LABELS = np.arange(IMAGES) % 4
SKIPPED = {5: "truncated"}
VALID = np.arange(IMAGES) != 5


@pytest.fixture
def store(tmp_path):
    return fill(tmp_path / "s", spec(IMAGES), skipped=SKIPPED)


def dataset(root, images=None) -> Dataset:
    semantics = Semantics(("a", "b", "c", "d"), np.eye(4, dtype=np.float32), tuple("wxyz"), np.arange(3), np.array([3]))
    split = Split.of_classes(
        LABELS, np.flatnonzero(LABELS < 3)[:-1], np.flatnonzero(LABELS < 3)[-1:], np.flatnonzero(LABELS == 3), [2]
    )
    return Dataset("toy", FolderImages(root, tuple(images or names(IMAGES))), LABELS, semantics, split)


@pytest.mark.parametrize("form", ["folder", "x.npz"])
@pytest.mark.parametrize("store_dtype", ["float16", "int8"])
def test_numpy_files(tmp_path, form, store_dtype):
    store = fill(tmp_path / "s", spec(IMAGES, store_dtype), skipped=SKIPPED)
    target = export(store, ["global", "tokens"], tmp_path / "out" / form, LABELS)
    if form == "folder":
        assert {file.name for file in target.iterdir()} == {
            f"{n}.npy" for n in (*SHAPES, "valid", "labels", "image_names")
        }
        arrays = {file.stem: np.load(file, allow_pickle=False) for file in target.iterdir()}
    else:
        arrays = dict(np.load(target, allow_pickle=False))
        assert [file.name for file in target.parent.iterdir()] == [form]
    for feature in SHAPES:
        assert arrays[feature].dtype == ("float32" if store_dtype == "int8" else "float16")
        assert np.array_equal(arrays[feature][VALID], store.read(feature, np.flatnonzero(VALID)))
        assert np.isnan(arrays[feature][5]).all()
    assert np.array_equal(arrays["valid"], VALID)
    assert np.array_equal(arrays["labels"], LABELS)
    assert arrays["image_names"].tolist() == names(IMAGES)


def test_mat_has_the_form_of_the_public_files(tmp_path, store):
    file = loadmat(export(store, ["global"], tmp_path / "res101.mat", LABELS))
    assert file["features"].shape == (5, IMAGES)
    assert np.array_equal(file["features"].T[VALID], truth(IMAGES, (5,)).astype("f2").astype("f4")[VALID])
    assert np.isnan(file["features"][:, 5]).all()
    assert file["labels"].shape == (IMAGES, 1)
    assert np.array_equal(file["labels"].ravel(), LABELS + 1)
    assert [cell[0] for cell in file["image_files"].ravel()] == names(IMAGES)
    assert np.array_equal(file["valid"].ravel(), VALID)


def test_refused_exports(tmp_path, store):
    for feature, target, labels, message in (
        ("tokens", "x.mat", LABELS, "one vector per image, not tokens"),
        ("global", "x.mat", None, "holds the labels"),
        ("global", "x.csv", LABELS, "no known form"),
        ("rollout", "x.npz", LABELS, "no feature 'rollout'"),
    ):
        with pytest.raises((UsageError, DataError, NotFoundError), match=message) as refused:
            export(store, [feature], tmp_path / target, labels)
        assert refused.value.hint
        assert not (tmp_path / target).exists()
    empty = fill(tmp_path / "empty", spec(IMAGES), shards=[])
    with pytest.raises(DataError, match="no finished global"):
        export(empty, ["global"], tmp_path / "x.npz")


def test_damage_is_never_copied(tmp_path, store):
    file = store.path / "features.zarr/global/c.1.0"
    data = bytearray(file.read_bytes())
    data[3] ^= 1
    file.write_bytes(data)
    with pytest.raises(DamageError, match=r"global/c\.1\.0 does not match its checksum"):
        export(store, ["global"], tmp_path / "x.npz")
    assert not (tmp_path / "x.npz").exists()
    with pytest.raises(DamageError):
        convert(store, "int8", tmp_path / "converted")
    assert not FeatureStore.open(tmp_path / "converted").valid(["global"])[4:8].any()


@pytest.mark.parametrize("before", ["float16", "float32", "int8"])
@pytest.mark.parametrize("after", ["float16", "float32", "int8"])
def test_conversion(tmp_path, before, after):
    store = fill(tmp_path / "s", spec(IMAGES, before), skipped=SKIPPED, shards=[0, 1])
    if before == after:
        with pytest.raises(UsageError, match=f"is {after} already"):
            convert(store, after, tmp_path / "t")
        return
    made = convert(store, after, tmp_path / "t")
    assert made.spec.document() == {**store.spec.document(), "store_dtype": after}
    assert made.provenance["converted_from"] == store.spec.key
    assert made.provenance["batch_size"] == 2
    assert (made.skipped, made.features) == (store.skipped, store.features)
    rows = np.flatnonzero(VALID[:8])
    assert np.array_equal(made.reader("image_hash").gather(rows), hashes(IMAGES)[rows])
    for feature in SHAPES:
        assert np.array_equal(made.valid([feature]), store.valid([feature]))
        source = store.read(feature, rows).astype(np.float64)
        step = np.abs(source).max(-1, keepdims=True)
        tolerance = {"int8": step / 254 * 1.00001, "float16": np.abs(source) / 2000 + 1e-7, "float32": 0}[after]
        assert np.all(np.abs(made.read(feature, rows) - source) <= tolerance)
    assert verify(made.path).bad == ()


def test_conversion_goes_on_where_it_stopped(tmp_path):
    part = fill(tmp_path / "s", spec(IMAGES), shards=[1])
    convert(part, "int8", tmp_path / "t")
    before = (tmp_path / "t/features.zarr/tokens/c.1.0.0").stat().st_mtime_ns
    whole = fill(tmp_path / "s", spec(IMAGES))
    made = convert(whole, "int8", tmp_path / "t")
    assert made.valid(["global", "tokens"]).all()
    assert (tmp_path / "t/features.zarr/tokens/c.1.0.0").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="'float8' is not a store dtype"):
        convert(whole, "float8", tmp_path / "u")


def save_npz(path, order, **more):
    values = truth(IMAGES, (5,))[order]
    np.savez(path, features=values, names=np.array(names(IMAGES))[order], **more)
    return path


def test_imported_rows_are_matched_by_name_not_by_place(tmp_path):
    order = np.random.default_rng(0).permutation(IMAGES)[:-2]
    found = import_features(
        read_foreign(save_npz(tmp_path / "f.npz", order)), dataset(tmp_path), "res101", tmp_path / "stores"
    )
    assert found.unmatched == ()
    assert np.array_equal(np.flatnonzero(found.store.valid(["global"])), np.sort(order))
    assert np.array_equal(found.store.read("global", order), truth(IMAGES, (5,))[order])
    assert set(found.store.skipped.values()) == {"not in f.npz"}
    assert found.store.spec.store_dtype == "float32"
    assert found.store.path.parent == tmp_path / "stores"
    assert found.store.spec.dataset["fingerprint"] == dataset(tmp_path).images_fingerprint
    assert verify(found.store.path).bad == ()


def test_a_mat_is_read_by_its_own_reader(tmp_path, monkeypatch):
    foreign = [f"/BS/somebody/xian//data/{name}" for name in names(IMAGES)]
    reader = SimpleNamespace(read_features=lambda path: (truth(IMAGES, (5,)), LABELS, tuple(foreign)))
    monkeypatch.setitem(sys.modules, "zslcache.data.xlsa17", reader)
    (tmp_path / "res101.mat").write_bytes(b"")
    found = import_features(read_foreign(tmp_path / "res101.mat"), dataset(tmp_path), "res101", tmp_path / "stores")
    assert np.array_equal(found.store.read("global"), truth(IMAGES, (5,)))


def test_what_export_writes_import_reads(tmp_path, store):
    file = export(store, ["global"], tmp_path / "x.npz", LABELS)
    found = import_features(read_foreign(file), dataset(tmp_path), "again", tmp_path / "stores", "float16")
    rows = np.flatnonzero(VALID)
    assert np.array_equal(found.store.valid(["global"]), VALID)
    assert np.array_equal(found.store.read("global", rows), store.read("global", rows))


def test_a_mat_comes_back(tmp_path):
    whole = fill(tmp_path / "s", spec(IMAGES, "float32"))
    file = export(whole, ["global"], tmp_path / "res101.mat", LABELS)
    found = import_features(read_foreign(file), dataset(tmp_path), "again", tmp_path / "stores")
    assert np.array_equal(found.store.read("global"), truth(IMAGES, (5,)))


def test_rows_that_belong_to_no_image_are_reported(tmp_path):
    values = np.ones((3, 5), np.float32)
    source = ForeignFeatures(tmp_path / "f.npy", values, ("other/x.jpg", names(IMAGES)[2], "y.jpg"))
    np.save(source.path, values)
    found = import_features(source, dataset(tmp_path), "res101", tmp_path / "stores")
    assert found.unmatched == ("other/x.jpg", "y.jpg")
    assert np.flatnonzero(found.store.valid(["global"])).tolist() == [2]
    with pytest.raises(DataError, match=r"No image in .* belongs to the dataset: it has 'q\.jpg'"):
        import_features(ForeignFeatures(source.path, values[:1], ("q.jpg",)), dataset(tmp_path), "b", tmp_path / "t")
    twice = ForeignFeatures(source.path, values, (names(IMAGES)[2], names(IMAGES)[3], f"/z/{names(IMAGES)[2]}"))
    with pytest.raises(DataError, match=r"rows 1 and 3 are both class 2/bild-ü2\.jpg"):
        import_features(twice, dataset(tmp_path), "b", tmp_path / "t")


def test_without_names_the_order_is_trusted_only_if_the_number_is_right(tmp_path):
    np.save(tmp_path / "f.npy", truth(IMAGES, (5,)))
    found = import_features(read_foreign(tmp_path / "f.npy"), dataset(tmp_path), "res101", tmp_path / "stores")
    assert found.order_trusted
    assert found.store.provenance["order_trusted"] is True
    assert np.array_equal(found.store.read("global"), truth(IMAGES, (5,)))
    np.save(tmp_path / "f.npy", truth(IMAGES, (5,))[1:])
    with pytest.raises(DataError, match="10 rows for 11 images, and no names") as refused:
        import_features(read_foreign(tmp_path / "f.npy"), dataset(tmp_path), "res101", tmp_path / "stores")
    assert "--names" in refused.value.hint
    assert read_foreign(tmp_path / "f.npy", names(IMAGES)[1:]).names == tuple(names(IMAGES)[1:])
    with pytest.raises(DataError, match="10 rows, but 11 image names"):
        read_foreign(tmp_path / "f.npy", names(IMAGES))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled_and_damaged_files_are_errors(tmp_path):
    np.save(tmp_path / "bomb.npy", np.array([Bomb()], object), allow_pickle=True)
    np.savez(tmp_path / "bomb.npz", features=np.array([Bomb()], object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "empty.npy").write_bytes(b"")
    whole = save_npz(tmp_path / "cut.npz", np.arange(IMAGES)).read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    damaged = bytearray(whole)
    damaged[150] ^= 1
    (tmp_path / "flipped.npz").write_bytes(damaged)
    for file in ("bomb.npy", "bomb.npz", "raw.npz", "empty.npy", "cut.npz", "flipped.npz"):
        with pytest.raises(DataError, match=f"{file} cannot be read"):
            read_foreign(tmp_path / file)
    np.savez(tmp_path / "x.npz", other=np.ones((2, 2)))
    with pytest.raises(DataError, match="holds other, but no array called global or features"):
        read_foreign(tmp_path / "x.npz")
    np.save(tmp_path / "x.npy", np.ones((2, 2, 2)))
    with pytest.raises(DataError, match=r"float64 of shape \(2, 2, 2\), not one vector of floats"):
        read_foreign(tmp_path / "x.npy")
    with pytest.raises(NotFoundError):
        read_foreign(tmp_path / "absent.npy")
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(UsageError, match="no known form"):
        read_foreign(tmp_path / "x.h5")


PART = st.sampled_from(["a", "b", "1.jpg"])
PATH = st.lists(PART, min_size=1, max_size=4)


@settings(max_examples=100, deadline=None)
@given(st.lists(PATH, min_size=1, max_size=6, unique_by=tuple), st.lists(PATH, max_size=6))
def test_matching_names_against_the_rule_in_its_plain_form(images, given_names):
    found = match_names(["/".join(name) for name in given_names], ["/".join(image) for image in images])
    for name, index in zip(given_names, found.tolist(), strict=True):
        whole = [image for image in images if name[-len(image) :] == image]
        longer = [image for image in images if image[-len(name) :] == name]
        if whole:
            assert images[index] == max(whole, key=len)
        elif len(longer) == 1:
            assert images[index] == longer[0]
        else:
            assert index == -1


def test_names_of_other_systems():
    images = ["CUB/images/001.A/x.jpg", "CUB/images/002.B/x.jpg"]
    assert match_names(
        ["/BS/xian//CUB/images/002.B/x.jpg", r"C:\data\CUB\images\001.A\x.jpg", "x.jpg", "001.A/x.jpg"], images
    ).tolist() == [1, 0, -1, 0]


def test_provenance_is_plain_json(store):
    assert json.loads(json.dumps(dict(store.provenance)))["images_sha256"]
