"""Which images may be used for what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from jaxtyping import Int64
from numpy.typing import ArrayLike

from zslcache.errors import DataError

Indices = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False)
class Split:
    """Which images may be used for what; sorted index arrays that refuse to overlap.

    `train` and `val` divide `trainval` class by class: no class is in both.
    """

    trainval: Indices
    train: Indices
    val: Indices
    test_seen: Indices
    test_unseen: Indices
    seen: Indices
    unseen: Indices

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            object.__setattr__(self, name, _sorted_indices(name, getattr(self, name)))
        overlaps = [*combinations(("trainval", "test_seen", "test_unseen"), 2), ("train", "val"), ("seen", "unseen")]
        problems = []
        for one, other in overlaps:
            shared = np.intersect1d(getattr(self, one), getattr(self, other))
            if len(shared):
                problems.append(f"{one} and {other} share {len(shared)} entries, the first is {shared[0]}")
        if not np.array_equal(np.union1d(self.train, self.val), self.trainval):
            problems.append("train and val together are not trainval")
        if problems:
            raise DataError("The split contradicts itself:", problems=problems)

    def check(self, labels: Int64[np.ndarray, " images"]) -> None:
        """Raise unless every index exists and lies in a class its part may contain."""
        problems = []
        for name, classes in (
            ("trainval", self.seen),
            ("test_seen", self.seen),
            ("test_unseen", self.unseen),
        ):
            indices = getattr(self, name)
            if len(indices) and indices[-1] >= len(labels):
                problems.append(f"{name} names image {indices[-1]}, but there are only {len(labels)} images")
                continue
            foreign = np.setdiff1d(labels[indices], classes)
            if len(foreign):
                problems.append(f"{name} holds images of class {foreign[0]}, which is not in its class list")
        if not problems:
            both = np.intersect1d(labels[self.train], labels[self.val])
            if len(both):
                problems.append(f"class {both[0]} is in train and in val, which must divide the classes")
        if problems:
            raise DataError("The split does not fit the labels:", problems=problems)

    @classmethod
    def of_classes(
        cls,
        labels: Int64[np.ndarray, " images"],
        trainval: ArrayLike,
        test_seen: ArrayLike,
        test_unseen: ArrayLike,
        val_classes: ArrayLike,
    ) -> Split:
        """The split whose validation part is the images of `val_classes` inside `trainval`."""
        trainval = _sorted_indices("trainval", trainval)
        test_unseen = _sorted_indices("test_unseen", test_unseen)
        for name, indices in (("trainval", trainval), ("test_unseen", test_unseen)):
            if len(indices) and indices[-1] >= len(labels):
                raise DataError(f"The split part {name} names image {indices[-1]} of only {len(labels)} images.")
        held_out = np.isin(labels[trainval], np.asarray(val_classes, dtype=np.int64))
        return cls(
            trainval=trainval,
            train=trainval[~held_out],
            val=trainval[held_out],
            test_seen=_sorted_indices("test_seen", test_seen),
            test_unseen=test_unseen,
            seen=np.unique(labels[trainval]),
            unseen=np.unique(labels[test_unseen]),
        )

    def redraw(self, labels: Int64[np.ndarray, " images"], seed: int) -> Split:
        """The same test sets with other validation classes, as many as now, drawn from `seed`."""
        count = len(np.unique(labels[self.val]))
        held_out = np.isin(labels[self.trainval], draw_val_classes(np.unique(labels[self.trainval]), count, seed))
        return replace(self, train=self.trainval[~held_out], val=self.trainval[held_out])

    def validation_phase(self, labels: Int64[np.ndarray, " images"], seed: int = 0, held_out: float = 0.2) -> Split:
        """The split to choose settings on: `val` plays unseen, a share of each train class plays test_seen.

        It has the form of any other split, so that both phases run the same code; no test image is in it.
        """
        fit, seen_holdout = stratified(labels, self.train, held_out, seed)
        classes = np.unique(labels[fit])
        # Inside this phase nothing is chosen, so its own train is all of it and its val is empty.
        return Split(fit, fit, fit[:0], seen_holdout, self.val, classes, np.unique(labels[self.val]))


def draw_val_classes(seen: Indices, count: int, seed: int) -> Indices:
    """`count` of the seen classes, drawn from `seed`."""
    return np.sort(np.random.default_rng(seed).permutation(np.sort(seen))[:count])


def stratified(
    labels: Int64[np.ndarray, " images"], indices: Indices, share: float, seed: int
) -> tuple[Indices, Indices]:
    """Divide `indices` into (kept, held out) with `share` of every class held out, rounded, but never all of it."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(np.sort(indices))
    order = np.argsort(labels[shuffled], kind="stable")
    shuffled, classes = shuffled[order], labels[shuffled][order]
    _, first, counts = np.unique(classes, return_index=True, return_counts=True)
    rank = np.arange(len(shuffled)) - np.repeat(first, counts)
    quota = np.minimum(np.round(counts * share), counts - 1)
    held = rank < np.repeat(quota, counts)
    return np.sort(shuffled[~held]), np.sort(shuffled[held])


def _sorted_indices(name: str, values: ArrayLike) -> Indices:
    """Sorted, read-only int64; unsigned 16-bit input of public files must not wrap, floats must be whole."""
    array = np.asarray(values).ravel()
    if len(array) and (array.dtype.kind not in "iuf" or not (np.abs(array.astype(np.float64)) < 2**53).all()):
        raise DataError(f"The split part {name} holds something other than indices (a mask?): {array.dtype} values.")
    indices = np.sort(array.astype(np.int64))
    if not np.array_equal(np.sort(array), indices):
        raise DataError(f"The split part {name} holds numbers that are not whole.")
    if len(indices) and indices[0] < 0:
        raise DataError(f"The split part {name} holds a negative index: {indices[0]}.")
    if np.any(indices[1:] == indices[:-1]):
        raise DataError(f"The split part {name} holds the same index twice.")
    indices.setflags(write=False)
    return indices
