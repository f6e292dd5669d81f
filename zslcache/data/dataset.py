"""The `Dataset`: images, labels, what is known of the classes, and a split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int16, Int64

from zslcache.data.images import Images
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.errors import DataError


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
