"""What the images are: `Images`, `Semantics`, `Split` and the `Dataset` that joins them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int16, Int64
from numpy.typing import ArrayLike

from zslcache.errors import DataError, NotFoundError
from zslcache.files import check_relative

Indices = Int64[np.ndarray, " _"]


@runtime_checkable
class Images(Protocol):
    """A list of encoded images: each has a stable name and bytes that can be decoded."""

    @property
    def names(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> bytes: ...

    def select(self, indices: Indices) -> Images: ...


@dataclass(frozen=True)
class FolderImages:
    """Image files below one folder, named by their relative path."""

    root: Path
    names: Sequence[str]

    def __post_init__(self) -> None:
        for name in self.names:
            check_relative(name)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> bytes:
        """The encoded bytes of one image."""
        try:
            return (self.root / self.names[index]).read_bytes()
        except FileNotFoundError:
            if self.root.is_dir():
                raise
            raise NotFoundError(
                f"The image folder {self.root} is gone.", "Bring it back, or run zslcache prepare with its new place."
            ) from None

    def select(self, indices: Indices) -> FolderImages:
        """Only the images at these places."""
        return replace(self, names=tuple(self.names[i] for i in indices))


@dataclass(frozen=True, eq=False)
class Semantics:
    """All that a head may know about the classes: attributes, names, vectors, seen and unseen ids."""

    class_names: tuple[str, ...]
    class_attributes: Float32[np.ndarray, "classes attributes"]
    attribute_names: tuple[str, ...]
    seen: Indices
    unseen: Indices
    attribute_groups: tuple[str, ...] = ()  # the group of each attribute; empty when there are none
    attribute_vectors: Float32[np.ndarray, "attributes words"] | None = None
    class_vectors: Float32[np.ndarray, "classes text"] | None = None

    def __post_init__(self) -> None:
        classes, attributes = self.class_attributes.shape
        problems = []
        if len(self.class_names) != classes:
            problems.append(f"{len(self.class_names)} class names for {classes} rows of class attributes")
        if len(set(self.class_names)) != len(self.class_names):
            problems.append("two classes have the same name")
        if len(self.attribute_names) != attributes:
            problems.append(f"{len(self.attribute_names)} attribute names for {attributes} columns of class attributes")
        if self.attribute_groups and len(self.attribute_groups) != attributes:
            problems.append(f"{len(self.attribute_groups)} attribute groups for {attributes} attributes")
        if not np.isfinite(self.class_attributes).all():
            problems.append("class attributes that are not finite numbers")
        if self.attribute_vectors is not None and len(self.attribute_vectors) != attributes:
            problems.append(f"{len(self.attribute_vectors)} attribute vectors for {attributes} attributes")
        if self.class_vectors is not None and len(self.class_vectors) != classes:
            problems.append(f"{len(self.class_vectors)} class vectors for {classes} classes")
        for name in ("attribute_vectors", "class_vectors"):
            vectors = getattr(self, name)
            if vectors is not None and not np.isfinite(vectors).all():
                problems.append(f"{name.replace('_', ' ')} that are not finite numbers")
        ids = np.concatenate([self.seen, self.unseen])
        if len(np.unique(ids)) != len(ids) or (len(ids) and not 0 <= ids.min() <= ids.max() < classes):
            problems.append("seen and unseen ids that overlap or do not exist")
        if problems:
            raise DataError("The class semantics contradict themselves:", problems=problems)

    @cached_property
    def unit_attributes(self) -> Float32[np.ndarray, "classes attributes"]:
        """Rows of `class_attributes` at unit length (the `att` of the public benchmark files)."""
        return unit_rows(self.class_attributes)


def unit_rows(matrix: Float32[np.ndarray, "rows columns"]) -> Float32[np.ndarray, "rows columns"]:
    """Rows divided by their length; a row of zeros stays zero instead of turning into NaN."""
    length = np.linalg.norm(matrix.astype(np.float64), axis=1, keepdims=True)
    return (matrix / np.where(length > 0, length, 1)).astype(np.float32)


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


@dataclass(frozen=True, eq=False)
class InstanceTruth:
    """What is really visible in each image: its own attributes, and where each can be seen."""

    attributes: Bool[np.ndarray, "images attributes"]
    boxes: Int16[
        np.ndarray, "images attributes 4"
    ]  # left, top, right, bottom in pixels; -1 where nowhere in particular


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, labels, class semantics and a split; everything later stages know about the data."""

    name: str
    images: Images
    labels: Int64[np.ndarray, " images"]
    semantics: Semantics
    split: Split
    provenance: Mapping[str, str] = field(default_factory=dict)
    truth: InstanceTruth | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise DataError(f"Dataset {self.name} has {len(self.images)} images but {len(self.labels)} labels.")
        classes = len(self.semantics.class_names)
        if len(self.labels) and not 0 <= self.labels.min() <= self.labels.max() < classes:
            raise DataError(f"Dataset {self.name} has labels outside 0..{classes - 1}.")
        self.split.check(self.labels)
        for name in ("seen", "unseen"):
            if not np.array_equal(getattr(self.semantics, name), getattr(self.split, name)):
                raise DataError(f"Dataset {self.name}: the {name} classes of its semantics and its split differ.")

    @cached_property
    def images_fingerprint(self) -> str:
        """sha256 over the image names in order: what a feature store is a store of."""
        return _digest(name.encode() for name in self.images.names)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 over everything that can change a result: images, labels, split, semantics and truth."""
        semantics, split = self.semantics, self.split
        names = [semantics.class_names, semantics.attribute_names, semantics.attribute_groups]
        arrays = [self.labels, semantics.class_attributes, *(getattr(split, n) for n in split.__dataclass_fields__)]
        arrays += [semantics.attribute_vectors, semantics.class_vectors]
        if self.truth is not None:
            arrays += [self.truth.attributes, self.truth.boxes]
        parts = [self.images_fingerprint.encode(), json.dumps(names).encode()]
        return _digest([*parts, *(b"" if a is None else _array_bytes(a) for a in arrays)])

    def with_split(self, split: Split) -> Dataset:
        """The same data under another split."""
        return replace(self, split=split, semantics=replace(self.semantics, seen=split.seen, unseen=split.unseen))

    def spread(self, count: int) -> Dataset:
        """At most `count` of the images, evenly spread over the dataset and so over its classes."""
        kept = np.unique(np.linspace(0, len(self.labels) - 1, min(count, len(self.labels))).round().astype(np.int64))
        place = np.full(len(self.labels), -1)
        place[kept] = np.arange(len(kept))
        parts = ("trainval", "test_seen", "test_unseen")
        trainval, test_seen, test_unseen = (p[p >= 0] for p in (place[getattr(self.split, part)] for part in parts))
        labels = self.labels[kept]
        val_classes = np.unique(self.labels[self.split.val])
        split = replace(
            Split.of_classes(labels, trainval, test_seen, test_unseen, val_classes),
            seen=self.split.seen,
            unseen=self.split.unseen,
        )
        truth = self.truth and InstanceTruth(self.truth.attributes[kept], self.truth.boxes[kept])
        return replace(self, images=self.images.select(kept), labels=labels, split=split, truth=truth)


def _array_bytes(array: np.ndarray) -> bytes:
    return f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes()


def _digest(parts: Iterable[bytes]) -> str:
    """sha256 over length-prefixed parts, so that no two lists of parts collide by concatenation."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
