"""Commands that bring features into other forms, and others' features into stores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zslcache.cli.app import command
from zslcache.cli.cache import PANEL, StoreArgument, cache_app, open_store
from zslcache.cli.console import Console
from zslcache.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import rich.console

    from zslcache.cache.store import FeatureStore


@command(cache_app)
def export(
    console: Console,
    store: StoreArgument,
    target: Annotated[Path, typer.Argument(help="X.npz, X.mat, or a folder for .npy files.")],
    features: Annotated[str, typer.Option(help="Names separated by commas.")] = "global",
) -> None:
    """Write features in a form that other programs read; images without features become NaN, see valid."""
    from zslcache.cache.export import export as run

    opened = open_store(console, store)
    names = [name.strip() for name in features.split(",") if name.strip()]
    run(opened, names, target, _labels(console, opened), console)
    document = {"store": str(opened.path), "target": str(target), "features": names, "images": opened.rows}
    console.result(document, lambda out: out.print(f"{opened.rows:,} images: {target}", markup=False))


@command(cache_app)
def convert(
    console: Console,
    store: StoreArgument,
    store_dtype: Annotated[str, typer.Option(help="float16, float32 or int8.")],
) -> None:
    """Make a store of the same features in another dtype, beside the first and without the images."""
    from zslcache.cache import catalogue
    from zslcache.cache.convert import convert as run
    from zslcache.cache.convert import converted_spec

    opened = open_store(console, store)
    target = opened.path.parent / converted_spec(opened.spec, store_dtype).folder_name
    document = catalogue.summary(run(opened, store_dtype, target, console))
    console.result(document, lambda out: out.print(f"{document['bytes'] / 1e6:,.1f} MB: {target}", markup=False))


@command(name="import", panel=PANEL)
def import_(
    console: Console,
    dataset: Annotated[str, typer.Option(help="The prepared dataset whose images these are.")],
    backbone: Annotated[str, typer.Option(help="A name for the encoder that made them, such as res101.")],
    mat: Annotated[Path | None, typer.Option(help="Features as in res101.mat.", show_default=False)] = None,
    npz: Annotated[
        Path | None, typer.Option(help="Arrays global (or features) and image_names.", show_default=False)
    ] = None,
    npy: Annotated[Path | None, typer.Option(help="One vector per image.", show_default=False)] = None,
    names: Annotated[
        Path | None, typer.Option(help="The image of every row, one per line.", show_default=False)
    ] = None,
    store_dtype: Annotated[str, typer.Option(help="float16, float32 or int8.")] = "float32",
) -> None:
    """Make a store from features that others computed, matched by the names of the images."""
    from zslcache.cache import catalogue
    from zslcache.cache.importing import import_features, read_foreign, read_names
    from zslcache.data import registry

    files = [file for file in (mat, npz, npy) if file is not None]
    if len(files) != 1:
        raise UsageError("Name one file of features.", "--mat FILE, --npz FILE or --npy FILE")
    prepared = registry.load(console.home, dataset)
    listed = None if names is None else read_names(names)
    imported = import_features(
        read_foreign(files[0], listed), prepared, backbone, console.home.stores / prepared.name, store_dtype, console
    )
    if imported.order_trusted:
        console.line(f"{files[0].name} names no images: its order is taken to be that of {dataset}.")
    document = catalogue.summary(imported.store) | {"unmatched": list(imported.unmatched)}

    def show(out: rich.console.Console) -> None:
        filled = document["images"] - document["skipped"]
        out.print(f"{filled:,} of {document['images']:,} images have features: {document['path']}", markup=False)
        if imported.unmatched:
            first = imported.unmatched[0]
            out.print(f"{len(imported.unmatched):,} rows belong to no image; the first is {first}", markup=False)

    console.result(document, show)


def _labels(console: Console, store: FeatureStore) -> np.ndarray | None:
    """The labels of the store's images, if they are still those of the prepared dataset."""
    from zslcache.data import registry

    name = str(store.spec.dataset["name"])
    if name not in registry.names(console.home):
        return None
    dataset = registry.load(console.home, name)
    return dataset.labels if tuple(dataset.images.names) == store.image_names else None
