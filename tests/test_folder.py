"""A practitioner's folder and tables: valid ones round-trip, every other is refused with file and line."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zslcache.data import registry
from zslcache.data.dataset import Dataset
from zslcache.data.folder import prepare_folder
from zslcache.data.spreadsheet import parse_number
from zslcache.errors import DataError, NotFoundError, UsageError
from zslcache.home import Home
from zslcache.progress import Silent

CLASSES = """class,split,tail,wings
cat,seen,1,0
dog,seen,0.5,0.25
cow,seen,0.75,0
owl,unseen,0,1
"""
IMAGES = """image,class,split
cat/0.jpg,cat,train
cat/1.jpg,cat,test_seen
dog/0.jpg,dog,train
cow/0.jpg,cow,val
owl/0.jpg,owl,test_unseen
"""
SIZES = {"cat": 10, "dog": 5, "cow": 4, "owl": 3}


def build(root: Path, classes: str | bytes = CLASSES, sizes: dict[str, int] = SIZES, **tables: str) -> dict[str, Path]:
    """The folder and tables as arguments of prepare_folder."""
    root.mkdir(parents=True, exist_ok=True)
    for name, size in sizes.items():
        (root / "images" / name).mkdir(parents=True)
        for i in range(size):
            (root / "images" / name / f"{i}.jpg").write_bytes(b"")
    given = {"images": root / "images"}
    for key, text in {"classes": classes, **tables}.items():
        given[key] = root / f"{key}.csv"
        given[key].write_bytes(text.encode() if isinstance(text, str) else text)
    return given


def prepare(root: Path, *args: object, seed: int = 0, **tables: str) -> Dataset:
    return prepare_folder(Home(root / "home"), "mine", **build(root, *args, **tables), seed=seed)


def problems(root: Path, *args: object, **tables: str) -> tuple[str, ...]:
    with pytest.raises(DataError, match="Dataset mine cannot be prepared") as caught:
        prepare(root, *args, **tables)
    return caught.value.problems


def test_a_folder_becomes_a_registered_dataset(tmp_path: Path) -> None:
    dataset = prepare(tmp_path)
    assert registry.load(Home(tmp_path / "home"), "mine").fingerprint == dataset.fingerprint
    assert dataset.semantics.class_names == ("cat", "dog", "cow", "owl")
    assert dataset.semantics.attribute_names == ("tail", "wings")
    assert dataset.semantics.class_attributes[1].tolist() == [0.5, 0.25]
    assert list(dataset.images.names) == sorted(f"{c}/{i}.jpg" for c, n in SIZES.items() for i in range(n))
    assert all(
        name.split("/")[0] == dataset.semantics.class_names[y]
        for name, y in zip(dataset.images.names, dataset.labels, strict=True)
    )
    split = dataset.split
    assert Counter(dataset.labels[split.test_seen].tolist()) == {0: 2, 1: 1, 2: 1}  # a fifth of 10, 5 and 4
    assert split.unseen.tolist() == [3]
    assert len(split.test_unseen) == 3
    assert len(np.unique(dataset.labels[split.val])) == 1
    assert dataset.images.read(0) == b""


@pytest.mark.parametrize(("seen", "val"), [(2, 1), (3, 1), (4, 1), (5, 1), (6, 2), (8, 2), (40, 10)])
def test_a_quarter_of_the_seen_classes_are_for_validation(tmp_path: Path, seen: int, val: int) -> None:
    table = "class,split,a\n" + "".join(f"{i},seen,{i}\n" for i in range(seen)) + "x,unseen,-1\n"
    dataset = prepare(tmp_path, table, {**{str(i): 3 for i in range(seen)}, "x": 1})
    assert len(np.unique(dataset.labels[dataset.split.val])) == val
    assert len(np.unique(dataset.labels[dataset.split.train])) == seen - val


def test_the_seed_and_nothing_else_draws_the_split(tmp_path: Path) -> None:
    drawn = [prepare(tmp_path / str(i), seed=seed) for i, seed in enumerate((0, 0, 1, 2, 3))]
    assert drawn[0].fingerprint == drawn[1].fingerprint
    assert len({dataset.fingerprint for dataset in drawn}) > 2


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", "\t"),
        lambda text: re.sub(r"[^,\n]+", lambda cell: f'"{cell[0]}"', text),
        lambda text: text.replace("\n", ",,\n"),
        lambda text: text.replace("\n", "\n,,,\n\n"),
        lambda text: text.replace("class,split", "Class, SPLIT ").replace(",seen", ", Seen\u00a0"),
        lambda text: text.rstrip("\n"),
    ],
    ids=["mark", "crlf", "cr", "semicolons", "tabs", "quotes", "empty columns", "empty rows", "case", "no last end"],
)
def test_spreadsheet_quirks_change_nothing(tmp_path: Path, rewrite: Callable[[str], str]) -> None:
    assert prepare(tmp_path / "a").fingerprint == prepare(tmp_path / "b", rewrite(CLASSES)).fingerprint


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("cat,seen,1", "cat,seen,one", "classes.csv line 2: 'tail' is 'one', expected a number such as 0.5"),
        ("cat,seen,1", "cat,seen,", "classes.csv line 2: 'tail' is '', expected a number; write 0 if it is absent"),
        ("cat,seen,1", "cat,seen,NaN", "classes.csv line 2: 'tail' is 'NaN', expected a finite number"),
        ("cat,seen,1", "cat,seen,-inf", "classes.csv line 2: 'tail' is '-inf', expected a finite number"),
        ("cat,seen,1", "cat,seen,1e99", "line 2: 'tail' is '1e99', expected a number that single precision can hold"),
        ("cat,seen,1", 'cat,seen,"0,5"', "line 2: 'tail' is '0,5', expected a decimal point: 0.5"),
        ("dog,seen,0.5,", "dog,seen,0,5,", "classes.csv line 3: has 5 cells, expected 4 as in the header (decimal com"),
        ("cow,seen,0.75,0", "cow,seen", "classes.csv line 4: has 2 cells, expected 4 as in the header"),
        ("cow,seen", "cow,sean", "classes.csv line 4: split is 'sean', expected seen or unseen"),
        ("owl,unseen", "owl,seen", "classes.csv: has 0 unseen classes, expected at least 1"),
        (
            "owl,unseen,0,1",
            "cat,unseen,0,1",
            "classes.csv line 5: class 'cat' is there twice, first at classes.csv line 2",
        ),
        ("owl", "", "classes.csv line 5: the class is empty, expected a name"),
        ("tail,", "wings,", "classes.csv line 1: column 'wings' is there twice"),
        ("tail,", ",", "classes.csv line 1: column 3 has no name"),
        ("split,", "kind,", "line 1: there is no column 'split'; the header reads class, kind, tail, wings"),
        (CLASSES, "", "classes.csv: is empty, expected a header with class, split"),
        (CLASSES, "class,split\ncat,seen\n", "classes.csv: has no attribute columns, expected at least one"),
        ("0.5,0.25", "1,0.25", None),
        ("0,1\n", "0,0\n", None),
        ("cat,", "../cat,", "classes.csv line 2: class '../cat' cannot be the name of a sub-folder"),
        ("cat,", "/etc,", "classes.csv line 2: class '/etc' cannot be the name of a sub-folder"),
        ("cat,", "..,", "classes.csv line 2: class '..' cannot be the name of a sub-folder"),
        ("cat,", "cats,", "folder 'cat' holds 10 images but is no class; is it class 'cats'?"),
        ("cat,", "cats,", "classes.csv line 2: class 'cats' has no images, expected some in its sub-folder"),
        ("cat,", '"c\nat",', "classes.csv line 2: a cell holds a line break or another control character"),
        ("cat,", "c\0at,", "classes.csv line 2: a cell holds a line break or another control character"),
        ("cat,", '"cat,', "classes.csv line 2: unexpected end of data; expected cells between ',' with closed quotes"),
    ],
)
def test_each_problem_has_its_message(tmp_path: Path, old: str, new: str, expected: str | None) -> None:
    assert old in CLASSES
    if expected is None:
        prepare(tmp_path, CLASSES.replace(old, new))  # still valid: the tests beside this one are not too strict
    else:
        assert any(expected in problem for problem in problems(tmp_path, CLASSES.replace(old, new)))


def test_constant_columns_are_named(tmp_path: Path) -> None:
    table = CLASSES.replace("\n", ",2,0\n").replace("wings,2,0", "wings,legs,fins")
    assert problems(tmp_path, table) == (
        "classes.csv: the same for every class, so they tell none apart; remove these columns: 'legs', 'fins'",
    )


def test_bytes_that_are_no_text_are_located(tmp_path: Path) -> None:
    assert problems(tmp_path / "a", CLASSES.replace("dog", "dög").encode("latin-1")) == (
        "classes.csv line 3: byte 37 is not UTF-8 text; save the file as 'CSV UTF-8' and try again",
    )
    assert "line 1: byte 0 is not UTF-8" in problems(tmp_path / "b", CLASSES.encode("utf-16"))[0]


def test_all_problems_come_together(tmp_path: Path) -> None:
    table = CLASSES.replace("cat,seen,1", "cat,seen,x").replace("dog,seen", "hog,sen")
    found = problems(tmp_path, table, attributes="attribute,group\ntail,\nlegs,g\n")
    files = [problem.split(":")[0] for problem in found]
    assert files == [
        *("classes.csv line 3", "classes.csv line 2"),
        *("attributes.csv line 2", "attributes.csv line 3", "attributes.csv"),
        *("folder 'dog' holds 5 images but is no class; is it class 'hog'?", "classes.csv line 3"),
    ]


def test_too_few_images_to_test_on(tmp_path: Path) -> None:
    assert problems(tmp_path, CLASSES, dict.fromkeys(SIZES, 2)) == (
        "no image is left for test_seen: at least one seen class needs 3 images",
    )


def test_where_images_are_found(tmp_path: Path) -> None:
    given = build(tmp_path)
    images = given["images"]
    for extra in (
        "cat/deep/er/x.JPEG",
        "cat/.hidden.jpg",
        "cat/.cache/y.jpg",
        "cat/notes.txt",
        ".git/z.png",
        "empty/a.txt",
    ):
        (images / extra).parent.mkdir(parents=True, exist_ok=True)
        (images / extra).write_bytes(b"")
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "linked.png").write_bytes(b"linked")
    (images / "owl" / "more").symlink_to(tmp_path / "aside")
    (images / "owl" / "loop").symlink_to(images)
    dataset = prepare_folder(Home(tmp_path / "home"), "mine", **given)
    names = list(dataset.images.names)
    assert names == sorted(names, key=str.encode)
    assert {"cat/deep/er/x.JPEG", "owl/more/linked.png", "owl/loop/cat/0.jpg"} & set(names) == {
        "cat/deep/er/x.JPEG",
        "owl/more/linked.png",
    }
    assert not any("hidden" in name or "cache" in name or "notes" in name for name in names)
    (images / "loose.gif").write_bytes(b"")
    with pytest.raises(DataError, match="1 images lie directly in"):
        prepare_folder(Home(tmp_path / "home"), "mine", **given)


def test_decomposed_folder_names_match(tmp_path: Path) -> None:
    folder = unicodedata.normalize("NFD", "bär")
    dataset = prepare(tmp_path, CLASSES.replace("cat", "bär"), {folder: 3, "dog": 3, "cow": 3, "owl": 1})
    assert dataset.semantics.class_names[0] == "bär"
    assert any(name.startswith(folder) for name in dataset.images.names)


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
@pytest.mark.parametrize("name", [b"a\nb.jpg", b"\xff.jpg"])
def test_unusable_file_names_are_reported(tmp_path: Path, name: bytes) -> None:
    given = build(tmp_path)
    Path(os.fsdecode(os.fsencode(given["images"] / "cat") + b"/" + name)).write_bytes(b"")
    with pytest.raises(DataError, match="its name holds a line break or is not UTF-8; rename it"):
        prepare_folder(Home(tmp_path / "home"), "mine", **given)


def test_an_explicit_list_is_obeyed_in_any_order(tmp_path: Path) -> None:
    dataset = prepare(tmp_path / "a", images_csv=IMAGES)
    assert dataset.images.names == ("cat/0.jpg", "cat/1.jpg", "cow/0.jpg", "dog/0.jpg", "owl/0.jpg")
    parts = {part: getattr(dataset.split, part).tolist() for part in ("train", "val", "test_seen", "test_unseen")}
    assert parts == {"train": [0, 3], "val": [2], "test_seen": [1], "test_unseen": [4]}
    header, *rows = IMAGES.splitlines()
    again = "\n".join([header, *reversed(rows)]).replace("cat/0.jpg", "./cat//0.jpg")
    assert prepare(tmp_path / "b", images_csv=again).fingerprint == dataset.fingerprint


def test_trainval_in_the_list_draws_the_validation_classes(tmp_path: Path) -> None:
    dataset = prepare(tmp_path, images_csv=IMAGES.replace(",train", ",trainval").replace(",val", ",trainval"))
    assert len(dataset.split.val) == 1
    assert len(dataset.split.train) == 2


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("cat/0.jpg", "../cat.jpg", "images_csv.csv line 2: '../cat.jpg' is not a path inside the image folder."),
        ("cat/0.jpg", "/etc/passwd", "images_csv.csv line 2: '/etc/passwd' is not a path inside the image folder."),
        ("cat/0.jpg", "cat/99.jpg", "images_csv.csv line 2: image 'cat/99.jpg' is not in the image folder"),
        ("cat/1.jpg", "cat/./0.jpg", "line 3: image 'cat/0.jpg' is there twice, first at images_csv.csv line 2"),
        ("cat,train", "rat,train", "images_csv.csv line 2: class 'rat' is not in the classes file"),
        (
            "cat,train",
            "cat,fit",
            "line 2: split is 'fit', expected one of trainval, train, val, test_seen, test_unseen",
        ),
        ("owl,test_unseen", "owl,test_seen", "images_csv.csv line 6: unseen class 'owl' cannot be in test_seen"),
        ("cow,val", "cow,test_unseen", "images_csv.csv line 5: seen class 'cow' cannot be in test_unseen"),
        (
            "cat/1.jpg,cat,test_seen",
            "cat/1.jpg,cat,val",
            "class 'cat' is in train and in val, expected every class in one",
        ),
        ("cow,val", "cow,train", "the images to learn from are called train, expected either all trainval"),
        ("cow,val", "cow,trainval", "the images to learn from are called train, trainval, expected either"),
        ("cow/0.jpg,cow,val\n", "", "classes.csv line 4: class 'cow' has no images in images_csv.csv"),
        ("cow,val", "cow,test_seen", "seen class 'cow' is in test_seen but has no images to learn from"),
        ("test_seen", "train", "no image is left for test_seen"),
    ],
)
def test_each_problem_of_a_list_has_its_message(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in IMAGES
    assert any(expected in problem for problem in problems(tmp_path, images_csv=IMAGES.replace(old, new, 1)))


def test_groups_and_vectors_of_attributes(tmp_path: Path) -> None:
    table = "attribute,group,v1,v2\nwings,parts,0,0\ntail,parts,1,2\n"
    dataset = prepare(tmp_path / "a", attributes=table)
    assert dataset.semantics.attribute_groups == ("parts", "parts")
    assert dataset.semantics.attribute_vectors.tolist() == [[1, 2], [1, 2]]  # the row of zeros is filled
    assert prepare(tmp_path / "b", attributes="attribute,group\ntail,a\nwings,b\n").semantics.attribute_vectors is None
    np.save(tmp_path / "v.npy", np.ones((2, 3)))
    with pytest.raises(UsageError, match="has vectors, and word vectors are given too"):
        prepare_folder(
            Home(tmp_path), "mine", **build(tmp_path / "c", attributes=table), word_vectors=tmp_path / "v.npy"
        )
    dataset = prepare_folder(Home(tmp_path), "mine", **build(tmp_path / "d"), word_vectors=tmp_path / "v.npy")
    assert registry.load(Home(tmp_path), "mine").semantics.attribute_vectors.shape == (2, 3)


def test_classes_that_no_method_can_tell_apart_are_noted(tmp_path: Path) -> None:
    class Lines(Silent):
        def line(self, text: str) -> None:
            lines.append(text)

    lines: list[str] = []
    given = build(tmp_path, CLASSES.replace("0.75,0", "1,0"))
    prepare_folder(Home(tmp_path), "mine", **given, progress=Lines())
    assert lines == ["Note: 'cat' and 'cow' have the same attributes; no method can tell them apart."]


def test_what_is_not_there_is_named_first(tmp_path: Path) -> None:
    given = build(tmp_path)
    with pytest.raises(NotFoundError, match="There is no folder"):
        prepare_folder(Home(tmp_path), "mine", tmp_path / "no", given["classes"])
    with pytest.raises(NotFoundError, match=r"There is no file .*no\.csv"):
        prepare_folder(Home(tmp_path), "mine", given["images"], tmp_path / "no.csv")
    with pytest.raises(UsageError, match="cannot be the name of a dataset"):
        prepare_folder(Home(tmp_path), "../mine", **given)


@pytest.mark.parametrize("cell", ["1", "-0.5", "+.5", "1.", "1e-3", "2E+5"])
def test_numbers_are_read(cell: str) -> None:
    assert parse_number(cell) == float(cell)


@pytest.mark.parametrize("cell", ["1_000", "0x1", "\u0661", "1 000", "50%", "--1", "1e", ".", "True"])
def test_what_only_looks_like_a_number_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match="expected a number such as"):
        parse_number(cell)


def mutated(text: str) -> st.SearchStrategy[str]:
    """`text` after a few cuts, insertions and swaps of lines and cells."""
    piece = st.sampled_from(
        [
            ",",
            ";",
            "\t",
            "\n",
            "\r",
            '"',
            "seen",
            "unseen",
            "cat",
            "dog",
            "..",
            "/",
            "0",
            "0,5",
            "nan",
            "\ufeff",
            "\0",
            "é",
        ]
    )
    change = st.tuples(st.integers(0, len(text)), st.integers(0, 6), piece | st.just(""))

    def apply(changes: list[tuple[int, int, str]]) -> str:
        result = text
        for start, length, new in changes:
            result = result[:start] + new + result[start + length :]
        return result

    return st.lists(change, max_size=4).map(apply)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("fuzz"), images_csv=IMAGES, attributes="attribute,group\ntail,a\nwings,b\n")


@settings(max_examples=400, deadline=None)
@given(
    classes=st.binary(max_size=80) | mutated(CLASSES).map(str.encode),
    listing=st.none() | st.binary(max_size=80) | mutated(IMAGES).map(str.encode),
)
def test_any_tables_give_a_dataset_or_a_clear_refusal(
    place: dict[str, Path], classes: bytes, listing: bytes | None
) -> None:
    place["classes"].write_bytes(classes)
    given = place
    if listing is None:
        given = {key: path for key, path in place.items() if key != "images_csv"}
    else:
        place["images_csv"].write_bytes(listing)
    home = Home(place["images"].parent / "home")
    try:
        dataset = prepare_folder(home, "mine", **given)
    except (DataError, UsageError):
        return
    assert registry.load(home, "mine").fingerprint == dataset.fingerprint


def test_the_example_of_the_page_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[1] / "docs" / "own-data.md").read_text(encoding="utf-8")
    tables = [re.sub("^    ", "", block, flags=re.M) for block in re.findall(r"(?:^    .+\n)+", page, flags=re.M)]
    classes, attributes = (next(t for t in tables if t.startswith(start)) for start in ("class,split", "attribute,"))
    dataset = prepare(tmp_path, classes, attributes=attributes)
    assert dataset.semantics.attribute_groups == ("parts", "parts", "parts")
