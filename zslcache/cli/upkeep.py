"""Commands that compare a store with the images it came from, and mend it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from zslcache.cli.app import command
from zslcache.cli.cache import StoreArgument, cache_app
from zslcache.cli.console import Console
from zslcache.cli.extract import HubOption, WeightsOption
from zslcache.errors import DamageError

if TYPE_CHECKING:
    import rich.console


@command(cache_app)
def repair(
    console: Console,
    store: StoreArgument,
    skipped: Annotated[
        bool, typer.Option("--skipped", help="Also try again the shards that hold skipped images.")
    ] = False,
    weights: WeightsOption = None,
    hub_dir: HubOption = None,
) -> None:
    """Extract again exactly the shards that are damaged."""
    from zslcache.cache import catalogue
    from zslcache.pipelines.repair import repair as run

    path = catalogue.find(console.home, store)
    outcome = run(console.home, path, skipped, weights, hub_dir, console)
    found, left = ([asdict(bad) for bad in group] for group in (outcome.found, outcome.left))

    def show(out: rich.console.Console) -> None:
        out.print(f"{len(found)} damaged, {outcome.images:,} images extracted again, {len(left)} still damaged.")
        for entry in left:
            out.print(entry["reason"], markup=False)

    console.result({"ok": not left, "found": found, "images": outcome.images, "left": left}, show)
    if left:
        raise typer.Exit(DamageError.exit_code)


@command(cache_app)
def audit(
    console: Console,
    store: StoreArgument,
    images: Annotated[int, typer.Option(min=1, help="How many images to encode again.")] = 16,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    device: Annotated[str, typer.Option(help="Where to encode.")] = "auto",
    weights: WeightsOption = None,
    hub_dir: HubOption = None,
) -> None:
    """Encode some images again and compare with what is stored; exits with 3 when they differ."""
    from zslcache.cache import catalogue
    from zslcache.pipelines.audit import audit as run

    path = catalogue.find(console.home, store)
    comparisons = run(console.home, path, images, seed, device, weights, hub_dir)

    def show(out: rich.console.Console) -> None:
        for one in comparisons:
            mark = "ok  " if one.ok else "FAIL"
            numbers = f"least cosine {one.least_cosine:.6f}, largest difference {one.largest_difference:.3g}"
            out.print(f"{mark} {one.feature:<14} {numbers}", markup=False)

    ok = all(one.ok for one in comparisons)
    console.result({"ok": ok, "features": [asdict(one) for one in comparisons]}, show)
    if not ok:
        raise typer.Exit(DamageError.exit_code)
