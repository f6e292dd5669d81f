"""Commands about data: what is prepared, and how to prepare more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zslcache.cli.app import command
from zslcache.cli.console import Console
from zslcache.errors import UsageError

if TYPE_CHECKING:
    import rich.console

    from zslcache.data.dataset import Dataset

PANEL = "Data"


@command(panel=PANEL)
def datasets(console: Console) -> None:
    """List the prepared datasets, and those that can be prepared."""
    from zslcache.data import registry
    from zslcache.data.benchmark_specs import BENCHMARKS
    from zslcache.errors import DataError

    rows: list[dict[str, Any]] = []
    for name in registry.names(console.home):
        try:
            rows.append(_summary(registry.load(console.home, name)) | {"ready": True})
        except DataError as error:
            rows.append({"name": name, "ready": False, "note": f"{error.message} {error.hint}"})
    prepared = {row["name"] for row in rows}
    available = {"menagerie": "zslcache prepare menagerie"}
    for name, benchmark in BENCHMARKS.items():
        source = "--root DIR" if benchmark.folder else "--splits att_splits.mat --features res101.mat"
        available[name] = f"zslcache prepare {name} {source}"
    rows += [{"name": n, "ready": False, "note": how} for n, how in available.items() if n not in prepared]
    rows.sort(key=lambda row: (not row["ready"], row["name"]))

    def show(out: rich.console.Console) -> None:
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        for title in ("dataset", "images", "seen", "unseen", "attributes", "where"):
            table.add_column(title, justify="right" if title in ("images", "seen", "unseen", "attributes") else "left")
        for row in rows:
            counts = [f"{row[key]:,}" if key in row else "" for key in ("images", "seen", "unseen", "attributes")]
            table.add_row(row["name"], *counts, row["root"] if row["ready"] else f"not ready: {row['note']}")
        out.print(table)

    console.result(rows, show)


@command(panel=PANEL)
def prepare(
    console: Console,
    name: Annotated[str, typer.Argument(help="menagerie, awa2, cub, sun, apy, flo, or a name for your own data.")],
    root: Annotated[Path | None, typer.Option(help="The folder of an official download.", show_default=False)] = None,
    splits: Annotated[
        Path | None, typer.Option(help="att_splits.mat, when it is not beside the images.", show_default=False)
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="res101.mat, which gives apy and flo their order.", show_default=False)
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the official archives into --root first.")
    ] = False,
    images: Annotated[Path | None, typer.Option(help="Your own data: the image folder.", show_default=False)] = None,
    classes: Annotated[
        Path | None, typer.Option(help="Your own data: CSV with class, split, attributes.", show_default=False)
    ] = None,
    attributes: Annotated[
        Path | None, typer.Option(help="Your own data: CSV with attribute, group, vectors.", show_default=False)
    ] = None,
    image_list: Annotated[
        Path | None, typer.Option(help="Your own data: CSV with image, class, split.", show_default=False)
    ] = None,
    word_vectors: Annotated[
        str | None,
        typer.Option(help=".npy, GloVe or word2vec text file, or clip:MODEL/PRETRAINED.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of whatever is drawn: splits, Menagerie's pictures.")] = 0,
    size: Annotated[int, typer.Option(min=4, help="Menagerie: images per class.")] = 60,
) -> None:
    """Check a dataset and register it under its name.

    Official downloads: zslcache prepare awa2 --root DIR. Your own: zslcache prepare NAME --images DIR --classes FILE.
    """
    from zslcache.data.benchmark_specs import BENCHMARKS

    own = {"--images": images, "--classes": classes, "--attributes": attributes, "--image-list": image_list}
    official = {"--root": root, "--splits": splits, "--features": features}
    if name == "menagerie":
        from zslcache.data.menagerie import prepare_menagerie

        _refuse(name, own | official)
        dataset = prepare_menagerie(console.home, size=size, seed=seed, progress=console)
    elif name in BENCHMARKS:
        from zslcache.data.benchmarks import prepare_benchmark

        _refuse(name, own)
        dataset = prepare_benchmark(
            console.home, name, root, splits=splits, features=features, download=download, seed=seed, progress=console
        )
    else:
        from zslcache.data.folder import prepare_folder
        from zslcache.errors import unknown_name

        _refuse(name, official)
        if images is None or classes is None:
            if not any(own.values()):
                hint = "For your own data: zslcache prepare NAME --images DIR --classes classes.csv"
                raise unknown_name("benchmark", name, [*BENCHMARKS, "menagerie"], hint)
            raise UsageError(
                "Your own data needs a folder of images and a table of classes.",
                f"zslcache prepare {name} --images DIR --classes classes.csv",
            )
        dataset = prepare_folder(
            console.home, name, images, classes, attributes, image_list, word_vectors, seed=seed, progress=console
        )
    summary = _summary(dataset)

    def show(out: rich.console.Console) -> None:
        out.print(
            f"[bold]{summary['name']}[/] is ready: {summary['images']:,} images, "
            f"{summary['seen']} seen and {summary['unseen']} unseen classes, {summary['attributes']} attributes."
        )
        parts = ", ".join(f"{part} {count:,}" for part, count in summary["split"].items())
        out.print(f"Split: {parts}.")

    console.result(summary, show)


def _refuse(name: str, options: Mapping[str, object]) -> None:
    """Options that would silently do nothing are usage errors."""
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise UsageError(f"{given[0]} does not apply to {name}.", "See: zslcache prepare --help")


def _summary(dataset: Dataset) -> dict[str, Any]:
    parts = ("trainval", "train", "val", "test_seen", "test_unseen")
    return {
        "name": dataset.name,
        "images": len(dataset.labels),
        "classes": len(dataset.semantics.class_names),
        "seen": len(dataset.split.seen),
        "unseen": len(dataset.split.unseen),
        "attributes": len(dataset.semantics.attribute_names),
        "split": {part: len(getattr(dataset.split, part)) for part in parts},
        "root": str(getattr(dataset.images, "root", "")),
        "fingerprint": dataset.fingerprint,
    }
