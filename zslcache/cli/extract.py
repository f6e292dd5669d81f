"""Commands of stage one: which encoders there are, and running them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zslcache.cli.app import command
from zslcache.cli.console import Console
from zslcache.errors import UsageError

if TYPE_CHECKING:
    import rich.console

PANEL = "Stage one: features"
WeightsOption = Annotated[
    str | None, typer.Option(help="A state dict (safetensors or .pth), or 'random' for benchmarks.")
]
HubOption = Annotated[Path | None, typer.Option(help="A folder to use in place of the libraries' own hub caches.")]


@command(panel=PANEL)
def backbones(console: Console) -> None:
    """List the named encoders: what they give, what they were trained on, whether their weights are here."""
    from zslcache.extract.catalogue import ANY_OTHER, CATALOGUE, offered
    from zslcache.extract.locate import weights_available

    rows: list[dict[str, Any]] = []
    for name, spec in CATALOGUE.items():
        assert spec.facts is not None, "every catalogued backbone has facts"
        where = weights_available(spec)
        row = asdict(spec.facts) | {"name": name, "source": spec.source, "model": spec.model}
        rows.append(row | {"weights": str(spec.weights), "here": str(where or ""), "features": offered(spec)})

    def show(out: rich.console.Console) -> None:
        from rich.table import Table

        table = Table(box=None, header_style="bold")
        for title in ("backbone", "from", "width", "grid", "px", "blocks", "params", "trained on", "licence", "here"):
            table.add_column(title, no_wrap=title != "trained on")
        for row in rows:
            numbers = (str(row["width"]), f"{row['grid']}x{row['grid']}", str(row["px"]), str(row["blocks"] or "CNN"))
            millions = f"{row['parameters'] / 1e6:.1f} M"
            leak = " [yellow](may have seen unseen classes)[/]" if row["leak"] else ""
            training = row["pretraining"] + leak
            here = "yes" if row["here"] else "no"
            table.add_row(row["name"], row["source"], *numbers, millions, training, row["licence"], here)
        out.print(table)
        out.print(ANY_OTHER, markup=False)

    console.result(rows, show)


@command(panel=PANEL)
def extract(
    console: Console,
    backbone: Annotated[str, typer.Option(help="Encoders, separated by commas; see zslcache backbones.")],
    dataset: Annotated[str, typer.Option(help="A prepared dataset; see zslcache datasets.")],
    features: Annotated[
        str, typer.Option(help="global, tokens, tokens@L, prefix@L, patches, rollout, cls_attention.")
    ] = "global,tokens",
    pool: Annotated[str, typer.Option(help="none, 2x2 (mean of four tokens) or merge (four side by side).")] = "none",
    store_dtype: Annotated[str, typer.Option(help="float16, float32 or int8.")] = "float16",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16; auto is bf16 on CUDA, fp32 on the CPU.")] = "auto",
    weights: WeightsOption = None,
    model_arg: Annotated[
        list[str] | None, typer.Option(help="A constructor option, NAME=VALUE; may be repeated.")
    ] = None,
    transform_arg: Annotated[
        list[str] | None, typer.Option(help="A preprocessing setting, NAME=VALUE, such as size=448; may be repeated.")
    ] = None,
    hub_dir: HubOption = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...; auto takes a GPU if there is one.")] = "auto",
    batch_size: Annotated[str, typer.Option(help="Images at once, or auto.")] = "auto",
    workers: Annotated[int | None, typer.Option(min=1, help="Decoding threads; one per core by default.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Take only this many images, spread evenly; they get their own store."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first image that cannot be used.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait when another process writes to the store.")] = False,
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the encoder with torch.compile.")] = False,
) -> None:
    """Run frozen encoders over a dataset once and keep what they see.

    Running it again resumes; asking for further features adds them to the same store.
    """
    _check_choices({"--pool": pool, "--store-dtype": store_dtype, "--precision": precision})
    if batch_size != "auto" and not (batch_size.isdigit() and int(batch_size)):
        raise UsageError(f"--batch-size {batch_size} is neither a positive number nor auto.", "--batch-size 64")
    names = [name.strip() for name in backbone.split(",") if name.strip()]
    if not names:
        raise UsageError("--backbone names no encoder.", "See: zslcache backbones")
    if weights and len(names) > 1:
        raise UsageError("--weights belongs to one backbone, but several were given.", "Extract them one by one.")

    from zslcache.data import registry
    from zslcache.extract.backbones import build_backbone
    from zslcache.pipelines.extract import extract as run
    from zslcache.pipelines.store_for import Settings

    data = registry.load(console.home, dataset)
    if limit is not None:
        data = data.spread(limit)
    wanted = [name.strip() for name in features.split(",") if name.strip()]
    model_args = dict(_pair("--model-arg", text) for text in model_arg or [])
    transform_args = dict(_pair("--transform-arg", text) for text in transform_arg or [])
    backbones = [build_backbone(name, wanted, weights, model_args, transform_args, hub_dir) for name in names]
    settings = Settings(
        store_dtype=store_dtype,
        precision=precision,
        pool=pool,
        device=device,
        batch_size=None if batch_size == "auto" else int(batch_size),
        workers=workers,
        strict=strict,
        wait=wait,
        compiled=compiled,
    )
    reports = run(console.home, data, backbones, settings, console)
    documents = [report.document() for report in reports]

    def show(out: rich.console.Console) -> None:
        for document in documents:
            show_extraction(document, out)

    console.result(documents[0] if len(documents) == 1 else documents, show)


def _check_choices(given: dict[str, str]) -> None:
    """Refuse a value that its option does not know."""
    from zslcache.cache.spec import POOLS, PRECISIONS, STORE_DTYPES

    known = {"--pool": POOLS, "--store-dtype": STORE_DTYPES, "--precision": ("auto", *PRECISIONS)}
    for option, value in given.items():
        if value not in known[option]:
            raise UsageError(f"{option} {value} does not exist.", f"Choose one of {', '.join(known[option])}.")


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise UsageError(f"{option} {text} is not NAME=VALUE.", f"For example: {option} name=value")
    return name, value


def show_extraction(document: dict[str, Any], out: rich.console.Console) -> None:
    """What one extraction did, for people."""
    out.print(f"[bold]{document['backbone']}[/] on {document['dataset']}")
    speed = f"{document['seconds']:.1f} s ({document['images_per_second']:,.0f} images/s)"
    for name, feature in document["features"].items():
        shape = " x ".join(map(str, feature["shape"]))
        out.print(f"{name:<14} {shape:<18} {feature['dtype']:<8} {feature['bytes'] / 1e6:,.1f} MB", markup=False)
    out.print(
        f"{document['images']:,} images in {speed}, {document['resumed']:,} were there already: {document['store']}",
        markup=False,
    )
    for skipped in document["skipped"][:10]:
        out.print(f"skipped {skipped['path']}: {skipped['reason']}", markup=False)
    if len(document["skipped"]) > 10:
        out.print(f"... {len(document['skipped'])} skipped in all; --json lists them", markup=False)
    if any(skipped["reason"].startswith("cannot be read") for skipped in document["skipped"]):
        out.print(f"Once they can be read again: zslcache cache repair --skipped {document['store']}", markup=False)
    for name, count in document["not_finite"].items():
        out.print(f"Warning: {name} holds {count:,} values that are NaN or infinite; --store-dtype float32 may help.")
    if document["random_weights"]:
        out.print("Warning: random weights. These features are good for timing only.")
