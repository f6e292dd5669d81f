"""Properties of `Split`, against sets and plain counting."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zslcache.data.split import Split, draw_val_classes, stratified
from zslcache.errors import DataError

PARTS = ("trainval", "train", "val", "test_seen", "test_unseen")


@st.composite
def labelled_splits(draw: st.DrawFn) -> tuple[np.ndarray, Split]:
    """Labels of 3 to 8 classes in any order, the last ones unseen, and a split of their images."""
    seen = draw(st.integers(2, 5))
    sizes = draw(st.lists(st.integers(1, 9), min_size=seen + 1, max_size=seen + 3))
    labels = np.repeat(np.arange(len(sizes)), sizes)
    labels = labels[draw(st.permutations(range(len(labels))))]
    trainval, test_seen = stratified(labels, np.flatnonzero(labels < seen), 0.2, seed=draw(st.integers(0, 9)))
    val_classes = draw_val_classes(np.arange(seen), draw(st.integers(1, seen - 1)), seed=0)
    return labels, Split.of_classes(labels, trainval, test_seen, np.flatnonzero(labels >= seen), val_classes)


def as_sets(split: Split) -> dict[str, set[int]]:
    return {name: set(getattr(split, name).tolist()) for name in (*PARTS, "seen", "unseen")}


@given(labelled_splits(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(case: tuple[np.ndarray, Split], random) -> None:
    _, split = case
    shuffled = {name: random.sample(list(ids), len(ids)) for name, ids in as_sets(split).items()}
    again = Split(**shuffled)
    for name in shuffled:
        np.testing.assert_array_equal(getattr(again, name), getattr(split, name))


@given(labelled_splits())
def test_narrow_unsigned_indices_mean_the_same(case: tuple[np.ndarray, Split]) -> None:
    _, split = case
    narrow = Split(**{name: getattr(split, name).astype(np.uint16) for name in (*PARTS, "seen", "unseen")})
    assert as_sets(narrow) == as_sets(split)
    assert narrow.trainval.dtype == np.int64
    assert (narrow.trainval - 70_000 < 0).all()  # unsigned numbers would wrap


@pytest.mark.parametrize(
    ("one", "other"),
    [("trainval", "test_seen"), ("trainval", "test_unseen"), ("test_seen", "test_unseen"), ("seen", "unseen")],
)
@given(case=labelled_splits())
def test_overlap_is_refused_by_name(case: tuple[np.ndarray, Split], one: str, other: str) -> None:
    parts = {name: sorted(ids) for name, ids in as_sets(case[1]).items()}
    assume(parts[one])
    shared = parts[one][-1]
    parts[other] = [*parts[other], shared]
    with pytest.raises(DataError, match=f"{one} and {other} share 1 entries, the first is {shared}"):
        Split(**parts)


def test_train_and_val_must_divide_trainval() -> None:
    parts = {"test_seen": [6], "test_unseen": [7], "seen": [0, 1], "unseen": [2]}
    with pytest.raises(DataError, match="train and val share 1 entries, the first is 2"):
        Split(trainval=[1, 2, 3], train=[1, 2], val=[2, 3], **parts)
    with pytest.raises(DataError, match="train and val together are not trainval"):
        Split(trainval=[1, 2, 3], train=[1], val=[2], **parts)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([0, 0], "the same index twice"),
        ([-1], "negative index: -1"),
        ([0.5], "not whole"),
        ([float("nan")], "float64 values"),
        ([True, False], "a mask"),
        (np.array([2**64 - 1], dtype=np.uint64), "uint64 values"),
        (["0"], "U1 values"),
    ],
)
def test_what_is_no_index_is_refused(bad: object, message: str) -> None:
    with pytest.raises(DataError, match=f"trainval holds .*{message}"):
        Split(trainval=bad, train=[], val=[], test_seen=[], test_unseen=[], seen=[], unseen=[])


def test_images_that_do_not_exist_are_refused() -> None:
    labels = np.array([0, 1, 2])
    for trainval, test_unseen in (([0, 9], [2]), ([0, 1], [9])):
        with pytest.raises(DataError, match=r"names image 9 of only 3 images"):
            Split.of_classes(labels, trainval, [], test_unseen, [1])
    with pytest.raises(DataError, match="test_seen names image 9, but there are only 3 images"):
        Split.of_classes(labels, [0, 1], [9], [2], [1]).check(labels)


def test_labels_that_contradict_the_split_are_named() -> None:
    split = Split.of_classes(np.array([0, 1, 0, 2]), [0, 1], [2], [3], [1])
    with pytest.raises(DataError, match="test_seen holds images of class 2, which is not in its class list"):
        split.check(np.array([0, 1, 2, 2]))
    with pytest.raises(DataError, match="class 0 is in train and in val"):
        split.check(np.array([0, 0, 0, 2]))


@given(labelled_splits(), st.integers(0, 99))
def test_the_validation_phase_sees_no_test_image(case: tuple[np.ndarray, Split], seed: int) -> None:
    labels, split = case
    phase = split.validation_phase(labels, seed)
    phase.check(labels)
    inside, outside = as_sets(phase), as_sets(split)
    assert inside["trainval"] | inside["test_seen"] == outside["train"]
    assert not inside["trainval"] & inside["test_seen"]
    assert inside["test_unseen"] == outside["val"]
    assert not set().union(*(inside[part] for part in PARTS)) & (outside["test_seen"] | outside["test_unseen"])
    assert inside["seen"] == set(labels[split.train].tolist())
    assert inside["unseen"] == set(labels[split.val].tolist())


@given(
    st.lists(st.integers(0, 4), max_size=80),
    st.floats(0, 1),
    st.integers(0, 9),
    st.randoms(use_true_random=False),
)
def test_stratified_takes_its_share_of_every_class(classes: list[int], share: float, seed: int, random) -> None:
    labels = np.array(classes, dtype=np.uint16)
    indices = np.arange(len(classes))
    kept, held = stratified(labels, indices, share, seed)
    assert sorted([*kept, *held]) == indices.tolist()
    counted = Counter(labels[held].tolist())
    for label, count in Counter(classes).items():
        assert counted[label] == min(round(count * share), count - 1)
    again = stratified(labels, np.array(random.sample(range(len(classes)), len(classes)), dtype=np.int64), share, seed)
    np.testing.assert_array_equal(again[1], held)


@given(labelled_splits(), st.integers(0, 99))
def test_redraw_changes_validation_only(case: tuple[np.ndarray, Split], seed: int) -> None:
    labels, split = case
    again = split.redraw(labels, seed)
    again.check(labels)
    for name in ("trainval", "test_seen", "test_unseen", "seen", "unseen"):
        np.testing.assert_array_equal(getattr(again, name), getattr(split, name))
    assert len(np.unique(labels[again.val])) == len(np.unique(labels[split.val]))
    assert len(again.train)


def test_redraw_reaches_every_class_and_keeps_classes_without_images() -> None:
    labels = np.array([0, 1, 2, 3])
    split = Split([0, 1, 2], [0, 1], [2], [], [3], seen=[0, 1, 2, 4], unseen=[3, 5])
    redrawn = [split.redraw(labels, seed) for seed in range(20)]
    assert {int(labels[again.val][0]) for again in redrawn} == {0, 1, 2}
    assert redrawn[0].unseen.tolist() == [3, 5]


def test_val_classes_do_not_depend_on_the_order_of_the_seen_ones() -> None:
    seen = np.arange(40)
    assert draw_val_classes(seen, 13, 1).tolist() == draw_val_classes(seen[::-1], 13, 1).tolist()
