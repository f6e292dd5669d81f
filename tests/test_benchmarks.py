"""Official downloads, small ones in the official layout, become datasets; everything that is off is named."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.matfiles import att_splits, cells, res101, save
from tests.servers import Remote, serving
from zslcache.data import registry
from zslcache.data.benchmark_specs import BENCHMARKS, Archive, Benchmark, find_benchmark
from zslcache.data.benchmarks import prepare_benchmark
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.home import Home

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CLASSES = {  # class folder as the split file writes it -> folder of its images; the first is the probe of the spec
    "awa2": {"grizzly+bear": "grizzly+bear", "antelope": "antelope", "ox": "ox", "zebra": "zebra"},
    "cub": {
        "003.Sooty_Albatross": "003.Sooty_Albatross",
        "001.Black_footed_Albatross": "001.Black_footed_Albatross",
        "010.Red_winged_Blackbird": "010.Red_winged_Blackbird",
        "002.Laysan_Albatross": "002.Laysan_Albatross",
    },
    "sun": {"abbey": "a/abbey", "apse_indoor": "a/apse/indoor", "lean-to": "l/lean-to", "zoo": "z/zoo"},
    "flo": {"": ""},
}
EACH = 5  # images of each class
STRENGTHS = np.array([[10, 20, 30], [100, 0, 5], [-1, 7, 8], [1, 1, 0]])


@dataclass
class Download:
    """A small download of one benchmark, unpacked at `root`."""

    root: Path
    images: Path
    names: list[str]  # in the order of the split
    labels: np.ndarray
    splits: Path

    def content(self) -> dict[str, np.ndarray]:
        """The split file: the last class of the sorted images is unseen, the first one validation."""
        order = list(dict.fromkeys(self.labels.tolist()))
        of = {k: np.flatnonzero(self.labels == label).tolist() for k, label in enumerate(order)}
        seen = [i for k in range(3) for i in of[k]]
        parts = {"trainval": [i for i in seen if i % EACH], "test_seen": [i for i in seen if i % EACH == 0]}
        parts |= {"test_unseen": of[3], "train": of[1] + of[2], "val": of[0]}
        name = self.splits.parent.name.lower()
        return att_splits(list(CLASSES[name]) if name != "flo" else None, STRENGTHS, **parts)

    def res101(self) -> dict[str, np.ndarray]:
        return res101([f"/BS/x/xian//data/{self.images.name}/{name}" for name in self.names], self.labels)


Maker = Callable[[str], Download]


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Maker:
    """Makes a small download of the named benchmark, and makes the benchmark expect just that."""

    def make(name: str) -> Download:
        spec = BENCHMARKS[name]
        root = tmp_path / "downloads" / name
        images = root.joinpath(*spec.folder)
        if name == "flo":
            names = [f"image_{number:05}.jpg" for number in range(1, 4 * EACH + 1)]
            labels = np.repeat([2, 0, 1, 3], EACH)
        else:
            of = {
                f"{f}/{f.split('/')[-1]}_{10001 + i}.jpg": k
                for k, f in enumerate(CLASSES[name].values())
                for i in range(EACH)
            }
            names = sorted(of)
            labels = np.array([of[n] for n in names])
        for image in names:
            (images / image).parent.mkdir(parents=True, exist_ok=True)
            (images / image).write_bytes(PIXEL)
        digest = hashlib.sha256("".join(f"{n}\n" for n in sorted(names)).encode()).hexdigest()
        small = replace(
            spec, images=len(names), classes=4, attributes=3, val_classes=1, attribute_groups=("g", "g", "h"),
            names_sha256=digest if spec.names_sha256 else None,
            listed=spec.listed if name in ("cub", "sun") else lambda folder: tuple(names),
        )  # fmt: skip
        monkeypatch.setitem(BENCHMARKS, name, small)
        made = Download(root, images, names, labels, root / "xlsa17" / "data" / spec.splits / "att_splits.mat")
        save(made.splits, made.content())
        return made

    return make


def prepare(home: Path, name: str, root: Path | None, **options: object) -> registry.Dataset:
    dataset = prepare_benchmark(Home.at(home), name, root, **options)
    again = registry.load(Home.at(home), name)
    assert again.fingerprint == dataset.fingerprint
    return again


@pytest.mark.parametrize("name", ["awa2", "cub", "sun"])
def test_an_official_download_becomes_a_dataset(tmp_path, fake, name):
    made = fake(name)
    dataset = prepare(tmp_path / "home", name, made.root)
    assert list(dataset.images.names) == made.names
    assert dataset.images.root == made.images
    assert dataset.labels.tolist() == made.labels.tolist()
    assert dataset.images.read(7) == PIXEL
    semantics, split = dataset.semantics, dataset.split
    assert len(semantics.class_names) == 4
    assert not any(c in "".join(semantics.class_names) for c in "+_.")
    assert np.allclose(semantics.class_attributes, STRENGTHS.clip(0) / 100)
    assert semantics.attribute_groups == ("g", "g", "h")
    assert len(split.trainval) == 12
    assert len(np.unique(dataset.labels[split.val])) == 1
    assert split.unseen.tolist() == [made.labels[-1]]
    assert dataset.provenance["validation"] == "from the split file"


def test_names_of_the_attributes_come_from_the_official_files(tmp_path, fake):
    awa2, cub, sun = fake("awa2"), fake("cub"), fake("sun")
    (awa2.images.parent / "predicates.txt").write_text("     1\tblack\n     2\twhite\n     3\tblue\n")
    (cub.root / "attributes.txt").write_text(
        "1 has_bill_shape::curved_(up_or_down)\n2 has_size::big\n3 has_size::small\n"
    )
    save(
        sun.root / "SUNAttributeDB" / "attributes.mat", {"attributes": cells(["sailing/ boating", "fire", "open area"])}
    )
    found = [
        prepare(tmp_path, d, m.root).semantics.attribute_names for d, m in (("awa2", awa2), ("cub", cub), ("sun", sun))
    ]
    assert found == [
        ("black", "white", "blue"),
        ("has_bill_shape::curved_(up_or_down)", "has_size::big", "has_size::small"),
        ("sailing/ boating", "fire", "open area"),
    ]


def test_attributes_without_names_are_numbered(tmp_path, fake):
    assert prepare(tmp_path, "cub", fake("cub").root).semantics.attribute_names == (
        "attribute 1",
        "attribute 2",
        "attribute 3",
    )


def test_literal_facts_fit_the_benchmarks(tmp_path):
    awa2, cub, sun = (BENCHMARKS[name] for name in ("awa2", "cub", "sun"))
    for spec in (awa2, cub, sun):
        assert len(spec.attribute_groups) == spec.attributes
    names = awa2.attribute_names(tmp_path / "JPEGImages")
    grouped = dict(zip(names, awa2.attribute_groups, strict=True))
    assert len(grouped) == 85
    for group, members in {
        "colour": "black yellow",
        "pattern": "patches toughskin",
        "shape": "big lean",
        "body": "flippers smelly bipedal quadrapedal",
        "movement": "flys muscle",
        "activity": "active agility",
        "food": "fish stalker",
        "habitat": "newworld cave",
        "character": "fierce domestic",
    }.items():
        assert {grouped[member] for member in members.split()} == {group}
    assert len(awa2.listed(tmp_path)) == 37322
    assert len(set(cub.attribute_groups)) == 28
    assert {group: sun.attribute_groups.count(group) for group in set(sun.attribute_groups)} == {
        "function": 36, "material": 40, "surface": 10, "envelope": 16,
    }  # fmt: skip
    assert len(BENCHMARKS["flo"].listed(tmp_path)) == BENCHMARKS["flo"].images


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("awa2", "."),
        ("awa2", ".."),
        ("awa2", "Animals_with_Attributes2"),
        ("awa2", "Animals_with_Attributes2/JPEGImages"),
        ("awa2", "Animals_with_Attributes2/JPEGImages/zebra"),
        ("cub", "CUB_200_2011"),
        ("sun", "images"),
        ("sun", "images/a/apse/indoor"),
    ],
)
def test_the_right_folder_is_found_around_the_given_one(tmp_path, fake, name, given):
    made = fake(name)
    assert prepare(tmp_path / "home", name, made.root / given, splits=made.splits).images.root.samefile(made.images)


def test_a_relative_root_is_remembered_whole(tmp_path, fake, monkeypatch):
    made = fake("sun")
    monkeypatch.chdir(made.root.parent)
    assert prepare(tmp_path / "home", "sun", Path("sun")).images.root == made.images


def test_a_folder_without_the_images_is_refused(tmp_path, fake):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFoundError, match=r"no CUB_200_2011/images/001\.Black_footed_Albatross in it") as refused:
        prepare(tmp_path / "home", "cub", tmp_path / "empty")
    assert "CUB_200_2011.tgz" in refused.value.hint
    with pytest.raises(NotFoundError, match="There is no folder"):
        prepare(tmp_path / "home", "cub", tmp_path / "none")
    made = fake("cub")
    made.splits.unlink()
    with pytest.raises(NotFoundError, match=r"att_splits\.mat of Caltech.* is not at") as refused:
        prepare(tmp_path / "home", "cub", made.root)
    assert "xlsa17.zip" in refused.value.hint
    with pytest.raises(NotFoundError, match="There is no file"):
        prepare(tmp_path / "home", "cub", made.root, splits=made.splits)


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", ["awa2", "cub", "sun"])
def test_missing_and_surplus_images_are_named(tmp_path, fake, name, listed):
    made = fake(name)
    if name == "cub" and listed:
        lines = [f"{i} {n}\n" for i, n in enumerate(made.names, 1)]
        (made.images.parent / "images.txt").write_text("".join(lines))
    if name == "sun" and listed:
        save(made.root / "SUNAttributeDB" / "images.mat", {"images": cells(made.names)})
    gone = made.images / made.names[3]
    gone.rename(gone.with_name("renamed.JPG"))
    with pytest.raises(DataError, match="as it was published") as refused:
        prepare(tmp_path / "home", name, made.root)
    if listed or name == "awa2":
        assert refused.value.problems == (
            f"missing: {made.names[3]}",
            f"surplus: {gone.with_name('renamed.JPG').relative_to(made.images)}",
        )
    else:
        assert refused.value.problems == ("some images have other names",)
    gone.with_name("renamed.JPG").unlink()
    with pytest.raises(DataError) as refused:
        prepare(tmp_path / "home", name, made.root)
    assert refused.value.problems[0] == "19 images instead of 20"
    if name == "sun" and not listed:
        assert refused.value.problems[1] == "4 images of abbey instead of 5"


def test_what_is_no_image_does_not_matter(tmp_path, fake):
    made = fake("sun")
    for name in (".DS_Store", "._sun_x.jpg", "Thumbs.db", "a/list.txt", ".hidden/x.jpg"):
        (made.images / name).parent.mkdir(exist_ok=True)
        (made.images / name).write_bytes(b"x")
    assert len(prepare(tmp_path / "home", "sun", made.root).images) == 20


def test_the_split_file_of_another_benchmark_is_refused(tmp_path, fake):
    cub, sun = fake("cub"), fake("sun")
    with pytest.raises(DataError, match="does not know these classes") as refused:
        prepare(tmp_path, "cub", cub.root, splits=sun.splits)
    assert "001.Black_footed_Albatross" in refused.value.problems
    save(sun.splits, sun.content() | {"test_unseen_loc": np.array([[21]])})
    with pytest.raises(DataError, match="21 images, 4 classes and 3 attributes, not 20, 4 and 3"):
        prepare(tmp_path, "sun", sun.root)


def test_res101_beside_the_split_file_decides_the_order(tmp_path, fake):
    made = fake("awa2")
    content = made.res101()
    turned = {
        "image_files": content["image_files"][::-1],
        "labels": content["labels"][::-1],
        "features": content["features"],
    }
    save(made.splits.with_name("att_splits.mat"), _reversed(made.content()))
    save(made.splits.with_name("res101.mat"), turned)
    dataset = prepare(tmp_path / "home", "awa2", made.root)
    assert list(dataset.images.names) == made.names[::-1]
    assert dataset.labels.tolist() == made.labels[::-1].tolist()
    wrong = turned | {"labels": np.roll(turned["labels"], 1)}
    with pytest.raises(DataError, match="another class than its folder"):
        prepare(tmp_path, "awa2", made.root, features=save(tmp_path / "wrong.mat", wrong))
    other = res101([f"x/{i}.jpg" for i in range(20)], made.labels)
    with pytest.raises(DataError, match="they are not the same") as refused:
        prepare(tmp_path, "awa2", made.root, features=save(tmp_path / "other.mat", other))
    assert refused.value.problems[0] == "not in the folder: x/0.jpg"


def _reversed(content):
    return {k: (21 - v if k.endswith("_loc") else v) for k, v in content.items()}


def test_flowers_need_res101_for_their_labels(tmp_path, fake):
    made = fake("flo")
    with pytest.raises(NotFoundError, match=r"needs res101\.mat"):
        prepare(tmp_path / "home", "flo", made.root, splits=made.splits)
    save(made.splits.with_name("res101.mat"), made.res101())
    dataset = prepare(tmp_path / "home", "flo", made.root, splits=made.splits)
    assert dataset.labels.tolist() == made.labels.tolist()
    assert dataset.semantics.class_names == ("class 1", "class 2", "class 3", "class 4")


def test_the_published_features_are_enough_to_begin(tmp_path, fake):
    made = fake("cub")
    features = save(tmp_path / "res101.mat", made.res101())
    dataset = prepare(tmp_path / "home", "cub", None, splits=made.splits, features=features)
    assert dataset.images.names[0] == f"BS/x/xian/data/images/{made.names[0]}"
    assert dataset.labels.tolist() == made.labels.tolist()
    with pytest.raises(NotFoundError, match="is gone"):
        dataset.images.read(0)
    with pytest.raises(UsageError, match="needs the folder of the official download, or the published features"):
        prepare(tmp_path / "home", "cub", None, splits=made.splits)


def test_apy_has_no_images_that_could_be_prepared(tmp_path, monkeypatch):
    save(
        tmp_path / "APY" / "att_splits.mat",
        att_splits(list("abcd"), STRENGTHS, trainval=[0, 1, 2], test_seen=[3], test_unseen=[4]),
    )
    monkeypatch.setitem(BENCHMARKS, "apy", replace(BENCHMARKS["apy"], images=5, classes=4, attributes=3, val_classes=1))
    with pytest.raises(NotFoundError, match="boxes cut out of larger photographs") as refused:
        prepare(tmp_path / "home", "apy", tmp_path)
    assert refused.value.hint.startswith("zslcache prepare apy --splits att_splits.mat --features res101.mat")
    boxes = ["/x/a.jpg", "/x/a.jpg", "/y/b.jpg", "/y/b.jpg", "/y/c.jpg"]
    save(tmp_path / "APY" / "res101.mat", res101(boxes, np.array([0, 1, 2, 2, 3])))
    dataset = prepare(tmp_path / "home", "apy", tmp_path)
    assert list(dataset.images.names) == ["x/a.jpg", "x/a.jpg#2", "y/b.jpg", "y/b.jpg#2", "y/c.jpg"]
    assert dataset.provenance["validation"] == "1 classes drawn with seed 0"


def test_an_unknown_benchmark_is_refused():
    with pytest.raises(NotFoundError, match="no benchmark called 'cups'") as refused:
        find_benchmark("cups")
    assert refused.value.hint.startswith("Known: apy, awa2, cub, flo, sun. ")


def test_a_download_is_fetched_unpacked_and_prepared(tmp_path, fake, monkeypatch):
    made = fake("cub")
    with tarfile.open(tmp_path / "images.tgz", "w:gz") as archive:
        archive.add(made.images.parent, "CUB_200_2011")
    with zipfile.ZipFile(tmp_path / "splits.zip", "w") as zipped:
        zipped.write(made.splits, "xlsa17/data/CUB/att_splits.mat")
    shutil.rmtree(made.root)
    bodies = [(tmp_path / name).read_bytes() for name in ("images.tgz", "splits.zip")]
    with serving(Remote(bodies[0])) as images, serving(Remote(bodies[1])) as splits:
        archives = Archive(f"{images.url}/CUB_200_2011.tgz", hashlib.md5(bodies[0]).hexdigest())
        spec = replace(BENCHMARKS["cub"], archives=(archives,), split_archive=Archive(f"{splits.url}/xlsa17.zip"))
        monkeypatch.setitem(BENCHMARKS, "cub", spec)
        for root in (None, None, tmp_path / "elsewhere"):
            dataset = prepare(tmp_path / "home", "cub", root, download=True)
            assert list(dataset.images.names) == made.names
    assert len(images.requests) == len(splits.requests) == 2
    assert dataset.images.root == tmp_path / "elsewhere" / "CUB_200_2011" / "CUB_200_2011" / "images"


def test_every_checksum_has_the_form_of_one():
    specs: list[Benchmark] = list(BENCHMARKS.values())
    for archive in {archive for spec in specs for archive in (*spec.archives, spec.split_archive)}:
        assert archive.url.startswith(("https://", "http://"))
        assert archive.md5 is None or len(bytes.fromhex(archive.md5)) == 16
        assert os.sep not in archive.name
