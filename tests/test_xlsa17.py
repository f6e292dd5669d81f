"""The field's own files are read as they are meant, and their traps are not fallen into."""

from __future__ import annotations

import gzip
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.matfiles import att_splits, cells, res101, save
from zslcache.data.benchmark_files import check_names, official_order
from zslcache.data.benchmark_specs import BENCHMARKS, find_benchmark
from zslcache.data.semantics import unit_rows
from zslcache.data.xlsa17 import clean_class_name, read_features, read_image_list, read_splits, read_texts
from zslcache.errors import DataError, NotFoundError, ZslError

LABELS = np.repeat(np.arange(5), 4)  # classes 0..2 seen, of which 2 is val; 3 and 4 unseen
STRENGTHS = np.array([[100, -1, 0], [50, 25, 10], [1, 2, 3], [0, 70, 0], [9, 9, 9]])
FOLDERS = ["004.Blue_winged_Bird", "grizzly+bear", "b_c", "001.A_B", "z"]
PARTS = {
    "trainval": [11, 0, 1, 2, 4, 5, 6, 8, 9],
    "test_seen": [3, 7, 10],
    "test_unseen": list(range(12, 20)),
    "train": [0, 1, 2, 3, 4, 5, 6, 7],  # as distributed: with test_seen images 3 and 7
    "val": [8, 9, 10, 11],
}


def saved(folder: Path, **changes: object) -> Path:
    content = att_splits(FOLDERS, STRENGTHS, **PARTS) | changes
    return save(folder / "att_splits.mat", {k: v for k, v in content.items() if v is not None})


def test_a_split_file_is_read_with_its_traps(tmp_path):
    found = read_splits(saved(tmp_path))
    assert found.class_names == ("Blue winged Bird", "grizzly bear", "b c", "A B", "z")
    assert found.class_folders == tuple(FOLDERS)
    assert np.allclose(found.class_attributes, np.maximum(STRENGTHS, 0) / 100)
    assert found.class_attributes.dtype == np.float32
    assert found.trainval.tolist() == sorted(PARTS["trainval"])
    assert found.train.tolist() == [0, 1, 2, 4, 5, 6]
    assert found.val.tolist() == [8, 9, 11]
    assert found.images == 20
    split = found.split(LABELS, val_classes=1)
    assert split.seen.tolist() == [0, 1, 2]
    assert split.unseen.tolist() == [3, 4]
    assert split.val.tolist() == [8, 9, 11]


def test_without_validation_classes_they_are_drawn(tmp_path):
    found = read_splits(saved(tmp_path, train_loc=None, val_loc=None))
    drawn = [found.split(LABELS, val_classes=1, seed=seed) for seed in range(20)]
    assert {tuple(np.unique(LABELS[split.val])) for split in drawn} == {(0,), (1,), (2,)}
    assert np.array_equal(found.split(LABELS, 1, seed=3).val, drawn[3].val)


def test_strengths_that_are_no_percentages_stay(tmp_path):
    low = save(tmp_path / "a.mat", att_splits(FOLDERS, STRENGTHS.clip(0) / 100, **PARTS))
    assert np.allclose(read_splits(low).class_attributes, STRENGTHS.clip(0) / 100)
    signed = save(tmp_path / "b.mat", att_splits(FOLDERS, STRENGTHS - 2, **PARTS))  # text embeddings, say
    assert np.allclose(read_splits(signed).class_attributes, STRENGTHS - 2)


def test_without_names_and_raw_strengths_att_is_taken(tmp_path):
    found = read_splits(saved(tmp_path, original_att=None, allclasses_names=None, att=STRENGTHS.T * 7.0))
    assert found.class_names == ("class 1", "class 2", "class 3", "class 4", "class 5")
    assert np.array_equal(found.class_attributes, STRENGTHS * 7)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"original_att": None, "att": None}, "neither original_att nor att"),
        ({"original_att": np.full((3, 5), np.nan)}, "not a matrix of finite numbers"),
        ({"allclasses_names": cells(FOLDERS[:4])}, "names 4 classes but has attributes of 5"),
        ({"allclasses_names": np.arange(5)}, "allclasses_names are not a list of texts"),
        ({"trainval_loc": None}, "has no trainval_loc"),
        ({"trainval_loc": np.array([[0, 1]])}, "must count from 1"),
        ({"trainval_loc": np.array([[1.5]])}, "not whole numbers"),
        ({"test_seen_loc": np.array([[2, 2]])}, "names an image twice"),
        ({"test_unseen_loc": np.zeros((0, 1))}, "empty"),
        ({"test_seen_loc": np.array([[1, 2]])}, "its trainval_loc holds test images"),
    ],
)
def test_what_is_wrong_with_a_split_file_is_said(tmp_path, change, problem):
    with pytest.raises(DataError, match=problem) as refused:
        read_splits(saved(tmp_path, **change))
    assert str(tmp_path) in refused.value.message


def test_files_that_are_no_matlab_files_are_refused(tmp_path):
    with pytest.raises(NotFoundError, match="There is no file"):
        read_splits(tmp_path / "none.mat")
    for name, content in (
        ("text", b"<html>not found</html>"),
        ("empty", b""),
        ("v73", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="cannot be used"):
            read_splits(tmp_path / name)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_are_refused_or_harmless(tmp_path, data):
    # Uncompressed, so that damage reaches the numbers and not only a checksum.
    parts = att_splits(FOLDERS, STRENGTHS, **PARTS)
    path = save(tmp_path / "att_splits.mat", parts, compressed=data.draw(st.booleans()))
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    with suppress(ZslError):  # and no other error
        found = read_splits(path)
        split = found.split(LABELS, 1)
        assert not np.isin(split.trainval, np.union1d(split.test_seen, split.test_unseen)).any()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indices=st.dictionaries(st.sampled_from(sorted(PARTS)), st.lists(st.integers(-2, 25), max_size=12), min_size=1))
def test_any_indices_give_a_valid_split_or_an_error(tmp_path, indices):
    path = save(tmp_path / "att_splits.mat", att_splits(FOLDERS, STRENGTHS, **(PARTS | indices)))
    try:
        split = read_splits(path).split(LABELS, 1)
    except ZslError:
        return
    assert set(split.trainval) == set(split.train) | set(split.val)
    assert not set(split.trainval) & (set(split.test_seen) | set(split.test_unseen))
    assert not set(LABELS[split.train]) & set(LABELS[split.val])
    assert not set(LABELS[split.trainval]) & set(LABELS[split.test_unseen])


def test_features_are_rows_with_labels_from_zero(tmp_path):
    files = [f"/BS/x/xian//data/{n}.jpg" for n in "abcd"]
    path = save(tmp_path / "res101.mat", res101(files, np.array([2, 0, 1, 1])))
    features, labels, names = read_features(path)
    assert features.dtype == np.float32
    assert features.flags["C_CONTIGUOUS"]
    assert features.tolist() == [[0, 1, 2], [10, 11, 12], [20, 21, 22], [30, 31, 32]]
    assert labels.tolist() == [2, 0, 1, 1]
    assert names == tuple(files) == read_image_list(path).files


def test_boxes_of_one_photograph_get_names_of_their_own(tmp_path):
    path = save(tmp_path / "res101.mat", res101(["x/a.jpg", "x/b.jpg", "x/a.jpg", "x/a.jpg"], np.zeros(4)))
    assert read_image_list(path).files == ("x/a.jpg", "x/b.jpg", "x/a.jpg#2", "x/a.jpg#3")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"features": np.ones((3, 3))}, "features of 3 images but names 4"),
        ({"features": np.full((3, 4), np.inf)}, "not finite"),
        ({"features": cells(list("abcd"))}, "no matrix called features"),
        ({"labels": np.ones((5, 1))}, "5 labels for 4 image files"),
        ({"labels": np.zeros((4, 1))}, "count from 1"),
        ({"image_files": np.ones((4, 1))}, "not a list of texts"),
    ],
)
def test_what_is_wrong_with_features_is_said(tmp_path, change, problem):
    path = save(tmp_path / "res101.mat", res101(list("abcd"), np.zeros(4)) | change)
    with pytest.raises(DataError, match=problem):
        read_features(path)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("200.Common_Yellowthroat", "Common Yellowthroat"), ("persian+cat", "persian cat"), ("lean-to", "lean-to")],
)
def test_class_names_are_words(folder, name):
    assert clean_class_name(folder) == name


def test_lists_of_texts(tmp_path):
    path = save(tmp_path / "attributes.mat", {"attributes": cells(["sailing/ boating", "driving"])})
    assert read_texts(path, "attributes") == ("sailing/ boating", "driving")
    with pytest.raises(DataError, match="has no images"):
        read_texts(path, "images")


REAL = {  # images, trainval, test_seen, test_unseen, seen, unseen; clean train and val, and their classes
    "AWA2": (37322, 23527, 5882, 7913, 40, 10, 16187, 7340, 27, 13),
    "CUB": (11788, 7057, 1764, 2967, 150, 50, None, None, 100, 50),
    "SUN": (14340, 10320, 2580, 1440, 645, 72, 9280, 1040, 580, 65),
}


def real_list(real_data: Path, name: str) -> tuple[np.ndarray, list[str]]:
    """Labels and image names, in the order of the split, as others extracted them from res101.mat."""
    with gzip.open(real_data / "splits" / f"{name}_image_files.tsv.gz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    cut = "JPEGImages/" if name == "AWA2" else "images/"
    return np.array([int(label) for label, _ in rows]), [path.split(cut)[1] for _, path in rows]


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_files_have_the_published_counts(real_data, name):
    images, trainval, test_seen, test_unseen, seen, unseen, train, val, train_classes, val_classes = REAL[name]
    spec, (labels, names) = find_benchmark(name.lower()), real_list(real_data, name)
    with_val = real_data / "splits" / f"{name}_att_splits_with_val.mat"
    found = read_splits(with_val if train else real_data / "splits" / f"{name}_att_splits.mat")
    split = found.split(labels, spec.val_classes)
    assert (len(labels), found.images) == (images, images) == (spec.images, len(names))
    assert [len(p) for p in (split.trainval, split.test_seen, split.test_unseen)] == [trainval, test_seen, test_unseen]
    assert (len(split.seen), len(split.unseen)) == (seen, unseen)
    if train:
        assert (len(split.train), len(split.val)) == (train, val)
    assert [len(np.unique(labels[p])) for p in (split.train, split.val)] == [train_classes, val_classes]
    assert found.class_attributes.shape == (spec.classes, spec.attributes)
    if name == "AWA2":
        assert split.unseen.tolist() == [6, 8, 22, 23, 29, 30, 33, 40, 46, 49]


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_attributes_are_att_before_it_was_normalised(real_data, name):
    from scipy.io import loadmat

    path = real_data / "splits" / f"{name}_att_splits.mat"
    strengths = read_splits(path).class_attributes
    assert strengths.min() == 0
    assert 0.9 < strengths.max() <= 1
    att = np.maximum(loadmat(path)["att"].T, 0)
    assert np.abs(unit_rows(strengths) - att / np.linalg.norm(att, axis=1, keepdims=True)).max() < 1e-6


@pytest.mark.real
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_order_and_labels_follow_from_the_names(real_data, name):
    spec, (labels, names) = BENCHMARKS[name.lower()], real_list(real_data, name)
    shuffled = np.random.default_rng(0).permutation(names).tolist()
    assert list(official_order(shuffled)) == names
    check_names(spec, real_data, names)
    folders = read_splits(real_data / "splits" / f"{name}_att_splits.mat").class_folders
    assert [folders[label] for label in labels] == [spec.class_of(image) for image in names]


@pytest.mark.real
def test_the_numbers_of_awa2_images_are_known(real_data):
    assert sorted(BENCHMARKS["awa2"].listed(real_data)) == real_list(real_data, "AWA2")[1]
