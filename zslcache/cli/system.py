"""Commands about the tool itself: doctor and demo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zslcache.cli.app import command
from zslcache.cli.console import Console
from zslcache.cli.extract import show_extraction

if TYPE_CHECKING:
    import rich.console


@command(panel="Start here")
def doctor(console: Console) -> None:
    """Check versions, devices, disk and home; every problem comes with a line that begins with Fix:."""
    from zslcache.pipelines.doctor import examine

    checks = examine(console.home)
    ok = all(check.ok for check in checks)

    def show(out: rich.console.Console) -> None:
        for check in checks:
            mark = "[green]ok  [/]" if check.ok else "[bold red]FAIL[/]"
            out.print(mark, end=" ")
            out.print(f"{check.name:<16} {check.detail}", markup=False)
            if check.fix:
                out.print(f"     Fix: {check.fix}", markup=False)

    findings = [{"name": c.name, "ok": c.ok, "detail": c.detail, "fix": c.fix} for c in checks]
    console.result({"ok": ok, "checks": findings}, show)
    if not ok:
        raise typer.Exit(1)


@command(panel="Start here")
def demo(
    console: Console,
    size: Annotated[int, typer.Option(min=4, help="Drawn images per class.")] = 60,
    seed: Annotated[int, typer.Option(help="Seed of the drawing.")] = 0,
) -> None:
    """Go through the whole pipeline offline, on a dataset that the package draws itself."""
    from zslcache.pipelines.demo import run_demo

    outcome = run_demo(console.home, size, seed, console)

    def show(out: rich.console.Console) -> None:
        dataset = outcome.dataset
        out.print(
            f"Drawn: {len(dataset.labels):,} images of {len(dataset.split.seen)} seen and "
            f"{len(dataset.split.unseen)} unseen classes, {len(dataset.semantics.attribute_names)} attributes."
        )
        for report in outcome.extractions:
            show_extraction(report.document(), out)

    console.result(outcome.document(), show)
