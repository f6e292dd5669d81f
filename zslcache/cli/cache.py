"""Commands about feature stores: what is stored, why it matched, whether it is intact, and other forms of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zslcache.cli.app import app, command
from zslcache.cli.console import Console
from zslcache.errors import DamageError, UsageError, ZslError

if TYPE_CHECKING:
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

    opened = open_store(console, store)
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

    one = open_store(console, store)
    document: dict[str, Any] = {"store": str(one.path), "key": one.spec.key}
    if other is None:
        fields = [{"field": name, "value": value} for name, value in leaves(one.spec.document())]
        document["fields"] = [{**field, "meaning": MEANING[field["field"].split(".")[0]]} for field in fields]
    else:
        two = open_store(console, other)
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
        if not typer.confirm(f"Delete {path}?", err=True):
            raise ZslError("Nothing was deleted.")
    catalogue.remove(path)
    console.result({"removed": str(path)}, lambda out: out.print(f"Deleted {path}.", markup=False))


def open_store(console: Console, text: str) -> FeatureStore:
    """The store that a person means."""
    from zslcache.cache import catalogue
    from zslcache.cache.store import FeatureStore

    return FeatureStore.open(catalogue.find(console.home, text))


def _show_features(row: dict[str, Any], out: rich.console.Console) -> None:
    for name, feature in row["features"].items():
        shape = " x ".join(map(str, feature["shape"]))
        done = "" if feature["images"] == row["images"] else f", {feature['images']:,} images so far"
        size = f"{feature['bytes'] / 1e6:,.1f} MB"
        out.print(f"  {name:<14} {shape:<18} {feature['dtype']:<8} {size}{done}", markup=False)
