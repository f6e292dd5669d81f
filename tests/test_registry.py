"""The registry gives back what was registered, or says what is wrong with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zslcache.data import registry
from zslcache.data.dataset import Dataset, InstanceTruth
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.errors import DataError, NotFoundError, UsageError, ZslError
from zslcache.home import Home


def tiny(root: Path, name: str = "tiny") -> Dataset:
    """Six images of three classes, with everything that a dataset can have."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    split = Split.of_classes(labels, [0, 2], [1, 3], [4, 5], [1])
    return Dataset(
        name=name,
        images=FolderImages(root, tuple(f"å {i}/\u2028{i}.png" for i in labels.cumsum() + np.arange(6))),
        labels=labels,
        semantics=Semantics(
            class_names=("a", "b", "c"),
            class_attributes=np.arange(6, dtype=np.float32).reshape(3, 2),
            attribute_names=("x", "y"),
            attribute_groups=("g", "g"),
            attribute_vectors=np.ones((2, 4), dtype=np.float32),
            class_vectors=np.ones((3, 5), dtype=np.float32),
            seen=split.seen,
            unseen=split.unseen,
        ),
        split=split,
        provenance={"source": "test"},
        truth=InstanceTruth(np.ones((6, 2), dtype=bool), np.zeros((6, 2, 4), dtype=np.int16)),
    )


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def target(home: Home, tmp_path: Path) -> Path:
    return registry.register(home, tiny(tmp_path / "images"))


def edit(target: Path, **changes: object) -> None:
    manifest = target / registry.MANIFEST
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))


def test_loading_gives_back_what_was_registered(home: Home, target: Path, tmp_path: Path) -> None:
    original, loaded = tiny(tmp_path / "images"), registry.load(home, "tiny")
    assert loaded.fingerprint == original.fingerprint
    assert loaded.images == original.images
    assert loaded.provenance == original.provenance
    np.testing.assert_array_equal(loaded.truth.boxes, original.truth.boxes)
    assert registry.names(home) == ["tiny"]


def test_registering_again_replaces_and_leaves_no_litter(home: Home, target: Path, tmp_path: Path) -> None:
    again = replace(tiny(tmp_path / "elsewhere"), provenance={"source": "again"})
    registry.register(home, again)
    assert registry.load(home, "tiny").images.root == tmp_path / "elsewhere"
    assert len(list(target.iterdir())) == 3


def test_a_dataset_inside_the_home_moves_with_it(home: Home, tmp_path: Path) -> None:
    registry.register(home, tiny(home.datasets / "tiny" / "images"))
    home.root.rename(tmp_path / "moved")
    assert registry.load(Home(tmp_path / "moved"), "tiny").images.root == tmp_path / "moved/datasets/tiny/images"


@pytest.mark.parametrize("name", ["../tiny", "/etc", ".", "..", "", "tiny/../tiny", ".tiny", "ti\nny"])
def test_names_cannot_leave_the_home(home: Home, target: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        registry.load(home, name)
    with pytest.raises(UsageError, match="cannot be the name of a dataset"):
        registry.register(home, tiny(tmp_path, name))
    with pytest.raises(UsageError):
        registry.folder(home, name)


def test_a_misspelt_name_gets_a_suggestion(home: Home, target: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        registry.load(home, "tinny")
    assert caught.value.hint == "Did you mean tiny?"


def test_a_newer_format_asks_for_an_upgrade(home: Home, target: Path) -> None:
    edit(target, format=registry.FORMAT + 1, arrays=None)
    with pytest.raises(DataError, match="registered by a newer zslcache") as caught:
        registry.load(home, "tiny")
    assert "Upgrade" in caught.value.hint


@pytest.mark.parametrize("part", ["arrays", "images"])
@pytest.mark.parametrize("harm", ["absent", "empty", "half", "one bit"])
def test_damaged_files_are_noticed(home: Home, target: Path, part: str, harm: str) -> None:
    path = target / json.loads((target / registry.MANIFEST).read_text())[part]
    content = bytearray(path.read_bytes())
    if harm == "absent":
        path.unlink()
    elif harm == "one bit":
        content[-2] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: 0 if harm == "empty" else len(content) // 2])
    with pytest.raises(DataError, match="dataset tiny cannot be read") as caught:
        registry.load(home, "tiny")
    assert caught.value.hint == "Run zslcache prepare tiny again."


@pytest.mark.parametrize(
    "changes",
    [
        {"class_names": ["a", "b", "d"]},
        {"class_names": ["a", "b", "b"]},
        {"class_names": 3},
        {"attribute_names": [1, 2]},
        {"fingerprint": None},
        {"format": "1"},
        {"root": None},
        {"name": "other"},
        {"arrays": "../../arrays.safetensors"},
        {"images": "/etc/hostname"},
    ],
    ids=str,
)
def test_an_edited_manifest_is_noticed(home: Home, target: Path, changes: dict[str, object]) -> None:
    edit(target, **changes)
    with pytest.raises(DataError, match="dataset tiny cannot be read"):
        registry.load(home, "tiny")


@pytest.mark.parametrize("removed", ["fingerprint", "format", "arrays", "provenance"])
def test_a_manifest_without_an_entry_is_noticed(home: Home, target: Path, removed: str) -> None:
    manifest = target / registry.MANIFEST
    document = json.loads(manifest.read_text())
    del document[removed]
    manifest.write_text(json.dumps(document))
    with pytest.raises(DataError, match=f"cannot be read: KeyError.'{removed}'"):
        registry.load(home, "tiny")


@given(st.data())
def test_a_manifest_of_any_bytes_never_gives_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    target = registry.register(Home(folder), tiny(folder))
    json_values = st.recursive(
        st.none() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
    (target / registry.MANIFEST).write_bytes(
        data.draw(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
    )
    with pytest.raises(ZslError, match="cannot be read"):
        registry.load(Home(folder), "tiny")


def test_a_missing_image_folder_is_named_only_when_images_are_read(home: Home, target: Path, tmp_path: Path) -> None:
    images = registry.load(home, "tiny").images
    with pytest.raises(NotFoundError, match=r"The image folder .*images is gone") as caught:
        images.read(0)
    assert "prepare" in caught.value.hint
    (tmp_path / "images").mkdir()
    with pytest.raises(FileNotFoundError):  # one image of many: for the reader to skip or to report
        images.read(0)


def test_the_fingerprint_covers_everything_that_can_change_a_result(tmp_path: Path) -> None:
    base = tiny(tmp_path)
    s = base.semantics
    variants = [
        base,
        replace(base, images=FolderImages(tmp_path, tuple(reversed(base.images.names)))),
        base.with_split(Split.of_classes(base.labels, [0, 2], [1, 3], [4, 5], [0])),
        replace(base, truth=None),
        replace(base, truth=replace(base.truth, boxes=base.truth.boxes + 1)),
        *(
            replace(base, semantics=replace(s, **change))
            for change in (
                {"class_names": ("a", "b", "d")},
                {"attribute_names": ("x", "z")},
                {"attribute_names": ("x\ny", "z")},
                {"attribute_groups": ()},
                {"attribute_groups": ("g", "h")},
                {"attribute_vectors": None},
                {"class_vectors": None},
                {"class_attributes": s.class_attributes + 1},
            )
        ),
    ]
    assert len({variant.fingerprint for variant in variants}) == len(variants)
    assert replace(base, name="other", provenance={}).fingerprint == base.fingerprint


def test_vectors_of_one_kind_are_not_taken_for_the_other(tmp_path: Path) -> None:
    base = tiny(tmp_path)
    square = replace(
        base.semantics,
        attribute_names=("x", "y", "z"),
        class_attributes=np.eye(3, dtype=np.float32),
        attribute_groups=(),
        attribute_vectors=None,
        class_vectors=None,
    )
    vectors = np.ones((3, 2), dtype=np.float32)
    one = replace(base, semantics=replace(square, attribute_vectors=vectors))
    other = replace(base, semantics=replace(square, class_vectors=vectors))
    assert one.fingerprint != other.fingerprint


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="attribute vectors that are not finite"):
        replace(tiny(tmp_path).semantics, attribute_vectors=np.full((2, 3), np.nan, dtype=np.float32))
