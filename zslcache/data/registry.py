"""Prepared datasets in the home: registered once, loaded by name ever after."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

from zslcache.data.dataset import Dataset, InstanceTruth
from zslcache.data.images import FolderImages
from zslcache.data.semantics import Semantics
from zslcache.data.split import Split
from zslcache.errors import DataError, ZslError, unknown_name
from zslcache.files import check_name, write_atomic
from zslcache.home import Home

FORMAT = 1
MANIFEST = "dataset.json"
_SPLIT_PARTS = tuple(Split.__dataclass_fields__)


def names(home: Home) -> list[str]:
    """The prepared datasets, in alphabetical order."""
    return sorted(path.parent.name for path in home.datasets.glob(f"[!.]*/{MANIFEST}"))


def folder(home: Home, name: str) -> Path:
    """Where the dataset called `name` is registered."""
    return home.datasets / check_name("dataset", name)


def register(home: Home, dataset: Dataset) -> Path:
    """Write `dataset` into the home, replacing an older one of its name; images stay where they are."""
    if not isinstance(dataset.images, FolderImages):
        raise DataError(f"Dataset {dataset.name} cannot be registered: its images are not files in a folder.")
    target = folder(home, dataset.name)
    root = dataset.images.root.absolute()
    inside = root.is_relative_to(target)
    document: dict[str, Any] = {
        "format": FORMAT,
        "name": dataset.name,
        # A dataset that lives inside the home moves with it.
        "root": str(root.relative_to(target)) if inside else str(root),
        "class_names": dataset.semantics.class_names,
        "attribute_names": dataset.semantics.attribute_names,
        "attribute_groups": dataset.semantics.attribute_groups,
        "fingerprint": dataset.fingerprint,
        "provenance": dict(dataset.provenance),
    }
    arrays = {"labels": dataset.labels, "class_attributes": dataset.semantics.class_attributes}
    arrays |= {f"split.{part}": getattr(dataset.split, part) for part in _SPLIT_PARTS}
    for name in ("attribute_vectors", "class_vectors"):
        if (vectors := getattr(dataset.semantics, name)) is not None:
            arrays[name] = vectors
    if dataset.truth is not None:
        arrays |= {"truth.attributes": dataset.truth.attributes, "truth.boxes": dataset.truth.boxes}

    # Each registration writes files of its own; dataset.json, replaced last and at once, says which ones count.
    token = secrets.token_hex(4)
    document |= {"images": f"images-{token}.txt", "arrays": f"arrays-{token}.safetensors"}
    write_atomic(target / document["images"], "".join(f"{n}\n" for n in dataset.images.names).encode())
    write_atomic(target / document["arrays"], save({k: np.ascontiguousarray(v) for k, v in arrays.items()}))
    write_atomic(target / MANIFEST, json.dumps(document, indent=1).encode())
    for path in (*target.glob("images-*.txt"), *target.glob("arrays-*.safetensors")):
        if path.name not in (document["images"], document["arrays"]):
            path.unlink(missing_ok=True)
    return target


def load(home: Home, name: str) -> Dataset:
    """The dataset registered as `name`; says which ones there are when there is none of that name."""
    target = home.datasets / name
    known = names(home)
    if name not in known:
        raise unknown_name("prepared dataset", name, known, "Make it ready with: zslcache prepare NAME ...")
    try:
        document = json.loads((target / MANIFEST).read_bytes())
        newer = document["format"] > FORMAT
        dataset = None if newer else _rebuild(target, document)
        intact = dataset is not None and dataset.fingerprint == document["fingerprint"] and dataset.name == name
    except ZslError as error:
        raise _damaged(name, error.message) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise _damaged(name, repr(error)) from error
    if dataset is None:
        raise DataError(f"Dataset {name} was registered by a newer zslcache.", "Upgrade: pip install -U zslcache")
    if not intact:
        raise _damaged(name, "its files are not the ones that were registered")
    return dataset


def _rebuild(target: Path, document: dict[str, Any]) -> Dataset:
    # check_name: what the manifest names lies beside it, whatever was written into it.
    arrays = load_arrays((target / check_name("file", document["arrays"])).read_bytes())
    listed = (target / check_name("file", document["images"])).read_text(encoding="utf-8").split("\n")[:-1]
    split = Split(**{part: arrays[f"split.{part}"] for part in _SPLIT_PARTS})
    return Dataset(
        name=document["name"],
        images=FolderImages(target / document["root"], tuple(listed)),
        labels=arrays["labels"],
        semantics=Semantics(
            class_names=tuple(document["class_names"]),
            class_attributes=arrays["class_attributes"],
            attribute_names=tuple(document["attribute_names"]),
            attribute_groups=tuple(document["attribute_groups"]),
            attribute_vectors=arrays.get("attribute_vectors"),
            class_vectors=arrays.get("class_vectors"),
            seen=split.seen,
            unseen=split.unseen,
        ),
        split=split,
        provenance=document["provenance"],
        truth=InstanceTruth(arrays["truth.attributes"], arrays["truth.boxes"])
        if "truth.attributes" in arrays
        else None,
    )


def _damaged(name: str, reason: str) -> DataError:
    return DataError(
        f"The registration of dataset {name} cannot be read: {reason}.", f"Run zslcache prepare {name} again."
    )
