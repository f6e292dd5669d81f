"""What may be known about classes without seeing an image of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32

from zslcache.data.split import Indices
from zslcache.errors import DataError


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
