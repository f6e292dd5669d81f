"""Commands about feature stores: what is stored, why it matched, whether it is intact, and other forms of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zslcache.cli.app import app, command
from zslcache.cli.console import Console
from zslcache.errors import DamageError, UsageError, ZslError

if TYPE_CHECKING:
    import numpy as np
    import rich.console

    from zslcache.cache.store import FeatureStore

PANEL = "Stage one: features"
cache_app = typer.Typer(name="cache", help="Look after feature stores.", no_args_is_help=True)
app.add_typer(cache_app, rich_help_panel=PANEL)

StoreArgument = Annotated[str, typer.Argument(help="A store: its path, or as much of DATASET/BACKBONE as is unique.")]


@command(cache_app)
def ls(console: Console) -> None:
    """List the feature stores."""
    from zslcache.cache import catalogue
    from zslcache.cache.store import FeatureStore

    rows: list[dict[str, Any]] = []
    for path in catalogue.stores(console.home):
        try:
            rows.append(catalogue.summary(FeatureStore.open(path)))
        except ZslError as error:
            rows.append({"name": catalogue.name_of(path), "path": str(path), "error": error.message})

    def show(out: rich.console.Console) -> None:
        if not rows:
            out.print(f"There are no feature stores in {console.home.stores}.", markup=False)
        for row in rows:
            out.print(row["name"], style="bold", markup=False)
            if "error" in row:
                out.print(f"  {row['error']}", markup=False)
            else:
                _show_features(row, out)

    console.result(rows, show)


@command(cache_app)
def show(console: Console, store: StoreArgument) -> None:
    """Show what one store holds, how it was made and which images it lacks."""
    from zslcache.cache import catalogue

    opened = _open(console, store)
    names = opened.image_names
    skipped = [{"path": names[row], "reason": reason} for row, reason in sorted(opened.skipped.items())]
    document = catalogue.summary(opened) | {
        "skipped": skipped,
        "spec": opened.spec.document(),
        "provenance": dict(opened.provenance),
    }

    def show(out: rich.console.Console) -> None:
        from zslcache.cache.spec import leaves

        out.print(document["name"], style="bold", markup=False)
        out.print(f"  {document['path']}", markup=False)
        _show_features(document, out)
        for title in ("spec", "provenance"):
            out.print(title, style="bold")
            for name, value in leaves(document[title]):
                out.print(f"  {name} = {value}", markup=False)
        if skipped:
            out.print(f"{len(skipped)} images without features", style="bold")
            for entry in skipped:
                out.print(f"  {entry['path']}: {entry['reason']}", markup=False)

    console.result(document, show)


@command(cache_app)
def explain(
    console: Console,
    store: StoreArgument,
    other: Annotated[str | None, typer.Argument(help="A second store, to see why the two are not one.")] = None,
) -> None:
    """Say field by field what makes a store the one it is, or how two stores differ."""
    from zslcache.cache.spec import MEANING, differences, leaves

    one = _open(console, store)
    document: dict[str, Any] = {"store": str(one.path), "key": one.spec.key}
    if other is None:
        fields = [{"field": name, "value": value} for name, value in leaves(one.spec.document())]
        document["fields"] = [{**field, "meaning": MEANING[field["field"].split(".")[0]]} for field in fields]
    else:
        two = _open(console, other)
        found = differences(one.spec.document(), two.spec.document())
        document |= {"other": str(two.path), "other_key": two.spec.key}
        document["differences"] = [{"field": field, "store": a, "other": b} for field, a, b in found]

    def show(out: rich.console.Console) -> None:
        if other is None:
            out.print(f"Two extractions share a store when all of this is equal; its hash is the key {one.spec.key}.")
            for field in document["fields"]:
                out.print(f"  {field['field']} = {field['value']}   ({field['meaning']})", markup=False)
            return
        if not document["differences"]:
            out.print("The two have the same specification.")
        for field in document["differences"]:
            out.print(f"  {field['field']}: {field['store']!r} here, {field['other']!r} there", markup=False)

    console.result(document, show)


@command(cache_app)
def verify(
    console: Console,
    store: Annotated[
        list[str] | None, typer.Argument(help="Stores to verify; all of them by default.", show_default=False)
    ] = None,
) -> None:
    """Compare every byte with what was written; exits with 3 when anything is damaged."""
    from zslcache.cache import catalogue
    from zslcache.cache.verify import verify as run

    paths = [catalogue.find(console.home, name) for name in store] if store else catalogue.stores(console.home)
    checked, bad = 0, []
    for path in paths:
        report = run(path, console)
        checked += report.checked
        bad += [{"store": str(path), "feature": b.feature, "shard": b.shard, "reason": b.reason} for b in report.bad]

    def show(out: rich.console.Console) -> None:
        for entry in bad:
            out.print(f"{entry['store']}: {entry['reason']}", markup=False)
        out.print(f"{checked:,} files of {len(paths)} stores checked, {len(bad)} damaged.")
        for path in dict.fromkeys(entry["store"] for entry in bad):
            out.print(f"Mend it: zslcache cache repair {path}", markup=False)

    console.result({"ok": not bad, "checked": checked, "bad": bad}, show)
    if bad:
        raise typer.Exit(DamageError.exit_code)


@command(cache_app)
def export(
    console: Console,
    store: StoreArgument,
    target: Annotated[Path, typer.Argument(help="X.npz, X.mat, or a folder for .npy files.")],
    features: Annotated[str, typer.Option(help="Names separated by commas.")] = "global",
) -> None:
    """Write features in a form that other programs read; images without features become NaN, see valid."""
    from zslcache.cache.export import export as run

    opened = _open(console, store)
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

    opened = _open(console, store)
    target = opened.path.parent / converted_spec(opened.spec, store_dtype).folder_name
    document = catalogue.summary(run(opened, store_dtype, target, console))
    console.result(document, lambda out: out.print(f"{document['bytes'] / 1e6:,.1f} MB: {target}", markup=False))


@command(cache_app)
def rm(
    console: Console,
    store: StoreArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete a store."""
    from zslcache.cache import catalogue

    path = catalogue.find(console.home, store)
    if not yes:
        if not sys.stdin.isatty() or console.as_json:
            raise UsageError(f"{path} would be deleted.", "Say so: --yes")
        typer.confirm(f"Delete {path}?", abort=True, err=True)
    catalogue.remove(path)
    console.result({"removed": str(path)}, lambda out: out.print(f"Deleted {path}.", markup=False))


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
    from zslcache.cache.importing import import_features, read_foreign
    from zslcache.data import registry

    files = [file for file in (mat, npz, npy) if file is not None]
    if len(files) != 1:
        raise UsageError("Name one file of features.", "--mat FILE, --npz FILE or --npy FILE")
    prepared = registry.load(console.home, dataset)
    listed = None if names is None else names.read_text(encoding="utf-8").splitlines()
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


def _open(console: Console, text: str) -> FeatureStore:
    from zslcache.cache import catalogue
    from zslcache.cache.store import FeatureStore

    return FeatureStore.open(catalogue.find(console.home, text))


def _labels(console: Console, store: FeatureStore) -> np.ndarray | None:
    """The labels of the store's images, if they are still those of the prepared dataset."""
    from zslcache.data import registry

    name = str(store.spec.dataset["name"])
    if name not in registry.names(console.home):
        return None
    dataset = registry.load(console.home, name)
    return dataset.labels if tuple(dataset.images.names) == store.image_names else None


def _show_features(row: dict[str, Any], out: rich.console.Console) -> None:
    for name, feature in row["features"].items():
        shape = " x ".join(map(str, feature["shape"]))
        done = "" if feature["images"] == row["images"] else f", {feature['images']:,} images so far"
        size = f"{feature['bytes'] / 1e6:,.1f} MB"
        out.print(f"  {name:<14} {shape:<18} {feature['dtype']:<8} {size}{done}", markup=False)
