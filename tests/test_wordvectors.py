"""Attribute vectors: names to words, words to sums, and a stand-in for whatever is missing."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zslcache.data.words import words_of
from zslcache.data.wordvectors import attribute_vectors, fill_rows
from zslcache.errors import DataError, NotFoundError, UsageError, ZslError

WORDS = {
    "blue": [1, 0, 0],
    "wing": [0, 1, 0],
    "gray": [0, 0, 1],
    "long": [2, 0, 0],
    "leg": [0, 2, 0],
    "Arctic": [5, 5, 5],
}


def write(path: Path, words: dict[str, list[float]] = WORDS, header: bool = False) -> Path:
    lines = [f"{len(words)} {len(next(iter(words.values())))}"] if header else []
    lines += [f"{word} {' '.join(map(str, vector))}" for word, vector in words.items()]
    content = "".join(f"{line}\n" for line in lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("has_bill_shape::curved_(up_or_down)", "bill shape curved"),
        ("has_bill_shape::all-purpose", "bill shape all purpose"),
        ("has_bill_shape::spatulate", "bill shape broad"),
        ("has_upperparts_color::grey", "upper parts color gray"),
        ("has_underparts_color::buff", "underparts color buff"),
        ("has_size::very_large_(32_-_72_in)", "size very large"),
        ("newworld", "new world"),
        ("quadrapedal", "quadrupedal"),
        ("man-made", "man made"),
        ("rock/stone", "rock stone"),
        ("far-away horizon", "faraway horizon"),
        ("wood (not part of a tree)", "wood"),
        ("Bird's  EYE", "bird's eye"),
        ("hashtag", "hashtag"),
        ("( unclosed", ""),
        ("::", ""),
    ],
)
def test_words_of_a_name(name: str, words: str) -> None:
    assert words_of(name) == words.split()


@given(st.text())
def test_words_are_clean_and_final(name: str) -> None:
    words = words_of(name)
    assert all(word and word == word.lower() for word in words if word.isascii())
    assert not set("".join(words)) & set("_-:/() \t\n")
    if name.isascii():
        assert words_of(" ".join(words)) == words or words[:1] == ["has"]


@pytest.mark.parametrize("file", ["v.txt", "v.vec", "v.txt.gz"])
@pytest.mark.parametrize("header", [False, True])
def test_a_vector_is_the_sum_of_its_words(tmp_path: Path, file: str, header: bool) -> None:
    path = write(tmp_path / file, header=header)
    vectors, report = attribute_vectors(["has_wing_::blue", "grey", "arctic blue"], path)
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 1, 0], [0, 0, 1], [6, 5, 5]]
    assert report.fills == ()
    assert report.source == str(path)


def test_british_dictionaries_serve_too(tmp_path: Path) -> None:
    vectors, report = attribute_vectors(["gray", "grey"], write(tmp_path / "v.txt", {"grey": [1, 2]}))
    assert vectors.tolist() == [[1, 2], [1, 2]]
    assert not report.fills


def test_missing_words_are_filled_and_reported(tmp_path: Path) -> None:
    names = ["bluewing", "blue qqqq wing", "qqqq", "longlegblue", "leglo"]
    vectors, report = attribute_vectors(names, write(tmp_path / "v.txt"))
    bluewing, partly, three = [1, 1, 0], [1.5, 1.5, 0], [3, 2, 0]
    mean = np.mean([bluewing, partly, three], axis=0)
    np.testing.assert_allclose(vectors, [bluewing, partly, mean, three, mean], rtol=1e-6)
    assert [str(fill) for fill in report.fills] == [
        "bluewing: no vector for 'bluewing', filled with blue + wing",
        "blue qqqq wing: no vector for 'qqqq', filled with the mean of the other words",
        "longlegblue: no vector for 'longlegblue', filled with long + leg + blue",
        "qqqq: no vector for 'qqqq', filled with the mean of the other attributes",
        "leglo: no vector for 'leglo', filled with the mean of the other attributes",
    ]


def test_a_dictionary_of_another_language_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="knows no word of any attribute"):
        attribute_vectors(["azul", "ala"], write(tmp_path / "v.txt"))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is empty"),
        (b"one\n", "line 1: expected a word and its numbers"),
        (b"wing 1 2\nblue 1\n", "line 2: has 1 numbers, expected 2"),
        (b"wing 1 2\n\nblue 1 x\n", "line 3: 'blue' is not followed by 2 finite numbers"),
        (b"wing 1 2\nblue 1 nan\n", "line 2: 'blue' is not followed by 2 finite numbers"),
        (b"wing 1 2\nblue 1 1e99\n", "line 2: 'blue' is not followed by 2 finite numbers"),
        (b"3 2\nwing 1 2\nblue 1 1\n", "line 1 announces 3 words, but 2 follow: is the file cut off?"),
        (b"wing 1 2\n" + b"x" * 300_000, "line 2 is longer than 262144 bytes"),
    ],
)
def test_malformed_lines_are_located(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(DataError, match="not a whole text file of word vectors") as caught:
        attribute_vectors(["blue wing"], tmp_path / "v.txt")
    assert any(problem in found for found in caught.value.problems)


def test_a_hopeless_file_is_left_early(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_text("wing 1 2\n" + "x\n" * 1000)
    with pytest.raises(DataError) as caught:
        attribute_vectors(["wing"], tmp_path / "v.txt")
    assert len(caught.value.problems) == 20


def test_words_with_blanks_inside_and_repeated_words_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(b"blue 1 2 \r\n. . 3 4\nblue sky 5 6\nblue 7 8\n\xff\xfe 1 2\n")
    assert attribute_vectors(["blue"], tmp_path / "v.txt")[0].tolist() == [[1, 2]]


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "v.txt.gz", {f"w{i}": list(np.random.default_rng(i).random(9)) for i in range(200)})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(DataError, match="cannot be read to its end"):
        attribute_vectors(["w1"], path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=60), suffix=st.sampled_from([".txt", ".gz", ".npy"]), magic=st.booleans())
def test_any_bytes_give_vectors_or_a_clear_refusal(tmp_path: Path, content: bytes, suffix: str, magic: bool) -> None:
    path = tmp_path / f"v{suffix}"
    start = {".txt": b"wing 1 2\n", ".gz": gzip.compress(b"wing 1 2\n")[:12], ".npy": b"\x93NUMPY\x01\x00"}[suffix]
    path.write_bytes((start if magic else b"") + content)
    try:
        vectors, _ = attribute_vectors(["wing"], path)
    except ZslError:
        return
    assert np.isfinite(vectors).all()


def test_rows_of_a_file_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = np.arange(1, 7, dtype=np.float64).reshape(2, 3)
    np.save(tmp_path / "v.npy", rows)
    vectors, report = attribute_vectors(["a", "b"], tmp_path / "v.npy")
    np.testing.assert_array_equal(vectors, rows.astype(np.float32))
    assert not report.fills


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.ones((3, 4)), r"float64 of shape \(3, 4\), expected numbers of shape \(2, dimensions\)"),
        (np.ones(2), r"shape \(2,\), expected"),
        (np.ones((2, 0)), r"shape \(2, 0\), expected"),
        (np.array([["a"], ["b"]]), "<U1 of shape"),
        (np.array([[1.0], [np.nan]]), "1 rows with numbers that are not finite, the first is row 1"),
        (np.array([[1.0], [1e99]]), "1 rows with numbers that are not finite, the first is row 1"),
        (np.zeros((2, 2)), "All attribute vectors in .* are zero"),
    ],
)
def test_unfit_rows_are_refused(tmp_path: Path, rows: np.ndarray, message: str) -> None:
    np.save(tmp_path / "v.npy", rows)
    with pytest.raises(DataError, match=message):
        attribute_vectors(["a", "b"], tmp_path / "v.npy")


def test_pickles_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([{}, {}]), allow_pickle=True)
    (tmp_path / "w.npy").write_bytes(pickle.dumps([1, 2]))
    for file in ("v.npy", "w.npy"):
        with pytest.raises(DataError, match=r"cannot be read as an \.npy file"):
            attribute_vectors(["a", "b"], tmp_path / file)


def test_rows_of_zeros_are_filled_from_their_words_else_by_the_mean() -> None:
    names = ["man-made", "man", "made", "unheard-of", "man of straw"]
    rows = np.array([[0, 0], [1, 2], [3, 5], [0, 0], [0, 0]], dtype=np.float32)
    vectors, report = fill_rows(names, rows, "here")
    np.testing.assert_allclose(vectors, [[4, 7], [1, 2], [3, 5], [2, 3.5], [3, 6]])
    assert rows[0].tolist() == [0, 0]
    assert [(fill.attribute, fill.missing, fill.stand_in) for fill in report.fills] == [
        ("man-made", "man-made", "its words, from other rows"),
        ("unheard-of", "unheard-of", "the mean of the other attributes"),
        ("man of straw", "man of straw", "its words, from other rows"),
        ("man of straw", "of", "the mean of the other words"),
        ("man of straw", "straw", "the mean of the other words"),
    ]


def test_sources_that_do_not_exist() -> None:
    with pytest.raises(NotFoundError, match="There is no file no"):
        attribute_vectors(["a"], "no.txt")


def test_binary_dictionaries_are_recognised(tmp_path: Path) -> None:
    (tmp_path / "GoogleNews.bin").write_bytes(b"1 2\n")
    with pytest.raises(UsageError, match="binary file of word vectors"):
        attribute_vectors(["a"], tmp_path / "GoogleNews.bin")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of a CLIP called zslcache-test, small enough to make here."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("clip")
    tower = {"width": 16, "layers": 1}
    config = {
        "embed_dim": 8,
        "vision_cfg": {**tower, "image_size": 32, "patch_size": 16, "head_width": 8},
        "text_cfg": {**tower, "context_length": 16, "vocab_size": 49408, "heads": 2},
    }
    (folder / "zslcache-test.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "zslcache-test.json")
    torch.manual_seed(0)
    save_file(open_clip.create_model("zslcache-test").state_dict(), folder / "weights.safetensors")
    return folder / "weights.safetensors"


def test_clip_encodes_the_words(clip: Path) -> None:
    source = f"clip:zslcache-test/{clip}"
    vectors, report = attribute_vectors(["has_wing::blue", "wing blue", "gray", "(?)"], source)
    assert vectors.shape == (4, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[1])
    assert abs(vectors[0] @ vectors[2]) < 0.999
    assert report.source == source


def test_clip_sources_that_cannot_be_are_explained(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        attribute_vectors(["a"], "clip:vit-b-32/openai")
    assert "ViT-B-32" in caught.value.hint
    with pytest.raises(UsageError, match="names no weights"):
        attribute_vectors(["a"], "clip:ViT-B-32")
    with pytest.raises(NotFoundError, match="neither a file nor published weights"):
        attribute_vectors(["a"], "clip:zslcache-test/openai")
    for name in ("bad.safetensors", "bad.pt"):
        (tmp_path / name).write_bytes(b"garbage")
        with pytest.raises(DataError, match="cannot be loaded into zslcache-test"):
            attribute_vectors(["a"], f"clip:zslcache-test/{tmp_path / name}")


@pytest.mark.real
def test_the_empty_row_of_sun_is_filled(real_data: Path) -> None:
    path = real_data / "word_vectors" / "sun_attributes_w2v.npy"
    names = [f"attribute {i}" for i in range(102)]
    names[88] = "man-made"
    vectors, report = attribute_vectors(names, path)
    assert [fill.attribute for fill in report.fills] == ["man-made"]
    given = np.load(path)
    others = np.arange(102) != 88
    np.testing.assert_array_equal(vectors[others], given[others])
    np.testing.assert_allclose(vectors[88], given[others].mean(axis=0), rtol=1e-4, atol=1e-6)


@pytest.mark.real
def test_words_of_explains_the_published_vectors(real_data: Path) -> None:
    """The published rows are sums over exactly these words: counts @ (some word vectors) gives them back."""
    names, rows = [], []
    for file, vectors in (("cub_attributes.txt", "cub"), ("awa_predicates.txt", "awa2")):
        names += [line.split()[1] for line in (real_data / "splits" / file).read_text().splitlines()]
        rows.append(np.load(real_data / "word_vectors" / f"{vectors}_attributes_w2v.npy").astype(np.float64))
    vocabulary = sorted({word for name in names for word in words_of(name)})
    counts = np.array([[words_of(name).count(word) for word in vocabulary] for name in names], dtype=np.float64)
    published = np.concatenate(rows)
    explained = counts @ np.linalg.lstsq(counts, published, rcond=1e-9)[0]
    assert len(names) == 397
    assert len(vocabulary) < 200
    assert np.abs(explained - published).max() < 1e-6
